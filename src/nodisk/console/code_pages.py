"""Cards with codes: shown to be printed, or to be kept as a file, once. The server forgets the codes by that."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nodisk.classes import handouts
from nodisk.classes.record import Class
from nodisk.console import class_files, security
from nodisk.console.class_pages import class_of
from nodisk.console.common import Console, signed_in, token_of
from nodisk.console.rights import Right
from nodisk.records.console_access import Entry
from nodisk.server.handlers.common import Problem

POLICY = "default-src 'none'; style-src {style}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
"""The page of cards is a file of its own, with its style in it. It runs nothing, loads nothing and sends nothing."""
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
AGAIN = 30.0
"""Seconds for which the browser or the program that took the cards gets them again: somebody clicks twice, or reloads
the page."""
GONE = "there are no cards: they were taken already. Replace the codes of those who have none on paper"


async def cards(console: Console, request: Request, session: Entry) -> Response:
    """The cards of a class. A form asks for them: there are codes on them."""
    security.check_origin(request)
    form = await security.form_of(request)
    security.check_form(form, token_of(request))
    found = class_of(console, session, request.path_params["name"])
    content = await take(console, request, session, found, token_of(request))
    how = "attachment" if form.get("download") == "1" else "inline"
    headers = {
        "content-disposition": f'{how}; filename="{found.name}.codes.html"',
        "content-security-policy": policy(content),
    }
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


async def take(console: Console, request: Request, session: Entry, found: Class, token: str) -> bytes:
    """The page of cards, which is gone from then on; raises Problem 404 if it was before.

    ``token``: of the browser's session or the program, which gets it again for a moment.
    """
    key = (found.name, token)
    content = await asyncio.to_thread(_taken, found)
    if content is not None:
        console.cards[key] = content
        asyncio.get_running_loop().call_later(AGAIN, console.cards.pop, key, None)
        console.log(request, f"{session.name} ({session.role}) took the cards with codes of class {found.name}")
    elif (content := console.cards.get(key)) is None:
        raise Problem(404, GONE)
    return content


async def back(console: Console, request: Request, session: Entry) -> Response:
    """The form's own address, opened as a page."""
    return RedirectResponse(f"/class/{quote(str(request.path_params['name']), safe='')}", 303)


def policy(content: bytes) -> str:
    """What a browser may do with a page: count its first style, by its hash, and no more."""
    found = _STYLE.search(content)
    style = "'none'" if found is None else f"'sha256-{base64.b64encode(hashlib.sha256(found[1]).digest()).decode()}'"
    return POLICY.format(style=style)


def _taken(found: Class) -> bytes | None:
    if found.out is None:
        return None
    return class_files.read(handouts.cards_path(found, Path(found.out)), once=True)


ROUTES = (
    Route("/class/{name}/cards", signed_in(cards, Right.CLASSES), methods=["POST"]),
    Route("/class/{name}/cards", signed_in(back, Right.CLASSES)),
)
