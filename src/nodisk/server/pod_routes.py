"""The server's own routes to pods, by their machines: for answers to pods that ask under their own addresses.

Only where classes' names are kept apart (``kubernetes.isolation: names``). Otherwise the server sees pods under their
machines' addresses, and needs none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nodisk import run
from nodisk.errors import NodiskError, describe
from nodisk.plan import network
from nodisk.spec.model import Lab

AGAIN = 30.0
"""Seconds after which they are set again: a network service that is restarted removes what it doesn't know."""
PROTOCOL = 187
"""Who has set a route, as ``ip route`` shows it: a number that no routing daemon has (/etc/iproute2/rt_protos)."""


def commands(lab: Lab, interface: str, verb: str) -> str:
    """Lines for ``ip -batch``: a route for each machine's pods; ``verb``: ``replace`` or ``delete``. Pure."""
    ranges = network.pod_ranges(lab)
    return "".join(
        f"route {verb} {ranges[machine.mac]} via {machine.address} dev {interface} proto {PROTOCOL}\n"
        for machine in lab.machines
    )


async def keep(lab: Lab, interface: str, say: Callable[[str], None]) -> None:
    """Set them, again and again, until it is cancelled; then they are removed.

    A route that can't be set is said, once for each reason, and takes no other away: ``ip`` goes on with the next.
    """
    problem = ""
    try:
        while True:
            before, problem = problem, await _replace(lab, interface)
            if problem not in ("", before):
                say(problem)
            await asyncio.sleep(AGAIN)
    except asyncio.CancelledError:
        _apply(lab, interface, "delete", check=False)
        raise


async def _replace(lab: Lab, interface: str) -> str:
    """What can't be set. Also to its end when it is cancelled: what is removed afterwards must not come back."""
    setting = asyncio.ensure_future(asyncio.to_thread(_apply, lab, interface, "replace"))
    try:
        await asyncio.shield(setting)
    except NodiskError as error:
        return f"not all routes to pods can be set: {' '.join(describe(error).splitlines()[:2])}"
    except asyncio.CancelledError:
        await asyncio.wait([setting])
        raise
    return ""


def _apply(lab: Lab, interface: str, verb: str, *, check: bool = True) -> None:
    run.run(["ip", "-force", "-batch", "-"], stdin=commands(lab, interface, verb), timeout=30, check=check)
