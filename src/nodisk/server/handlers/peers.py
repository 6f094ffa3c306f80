"""``GET /peers``: which machines a booting one may ask for chunks of its image."""

from __future__ import annotations

import random

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.server.handlers.common import Problem, address_of, app_state_of
from nodisk.values import Stage

MOST = 48
"""Addresses in one answer: the program asks six of them at a time, and comes again."""
_HAVE = frozenset((Stage.KERNEL, Stage.ROOTFS, Stage.CONFIG, Stage.OS, Stage.ENROLLED, Stage.JOINED, Stage.READY))
"""A machine whose newest event is one of these fetches the image, or has it."""


async def peers(request: Request) -> Response:
    """Addresses, one a line, in random order: those of lab.yaml that boot the asker's image and said so by an event.

    So nobody can send a machine elsewhere by reporting something. 404 for a caller that isn't a machine of the lab.
    """
    app_state, address = app_state_of(request), address_of(request)
    texts = app_state.texts
    if texts.lab.peers is None:
        raise Problem(404, "lab.yaml says no peers")
    asker = texts.lab.by_address(address) if address is not None else None
    if asker is None:
        raise Problem(404, "no machine of this lab")
    image, newest = texts.image(asker), app_state.database.newest_stages()
    found = [
        str(one.address)
        for one in texts.lab.machines
        if one is not asker and newest.get(one.mac) in _HAVE and texts.image(one) == image
    ]
    chosen = random.sample(found, min(MOST, len(found)))  # by lot, so that nobody is asked by all
    return PlainTextResponse("".join(f"{one}\n" for one in chosen), headers={"Cache-Control": "no-store"})
