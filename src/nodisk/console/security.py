"""What guards every answer of the console: headers, whose request it is, and that it comes from a page of our own.

A request that changes something must pass three independent checks: a cookie that other sites' requests don't carry
(SameSite=Strict), an Origin that is the console's own (RFC 6454), and a form token bound to the session.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nodisk.server.handlers.common import Problem, body_of
from nodisk.spec.model import Lab

MOST_FORM = 4096
"""Bytes of a form."""
HEADERS = {
    # https://www.w3.org/TR/CSP3/: only our own files, nothing inline, in no frame.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    # Not no-referrer: a browser then says "Origin: null" for a form, which can't be told from another site's.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


@dataclass(slots=True)
class Guarded:
    """ASGI middleware: HEADERS on every answer, errors included, and 400 for a Host that is not the server's."""

    app: ASGIApp
    hosts: Callable[[], frozenset[str]]
    """Those of now: lab.yaml may change."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application do it."""
        if scope["type"] == "websocket":
            if _name(HTTPConnection(scope).headers.get("host", "")) in self.hosts():
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            raise ValueError(scope["type"])  # uvicorn is told to speak nothing else

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if _name(Request(scope).headers.get("host", "")) not in self.hosts():
            answer = Response("this is not the console's address\n", 400, media_type="text/plain")
            await answer(scope, receive, guarded)
        else:
            await self.app(scope, receive, guarded)


def hosts(lab: Lab) -> frozenset[str]:
    """The names by which browsers reach the console: those of its certificate."""
    return frozenset({str(lab.network.server), "127.0.0.1", "localhost"})


def _name(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return (name if port.isdecimal() else "") if colon else host.lower()


def is_own(request: HTTPConnection) -> bool:
    """Whether the request comes from a page of the console itself."""
    return request.headers.get("origin") == f"https://{request.headers.get('host', '')}"


def check_origin(request: Request) -> None:
    """Raise Problem 403 unless the request comes from a page of the console itself."""
    if not is_own(request):
        raise Problem(403, "this request comes from another site")


def form_token(session_token: str) -> str:
    """The token of a session's forms: it follows from the session's, and nothing about that follows from it."""
    return hashlib.sha256(b"nodisk console form " + session_token.encode("utf-8", "surrogatepass")).hexdigest()


def is_form_token(given: str, session_token: str) -> bool:
    """Whether that is the token of this session's forms."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), form_token(session_token).encode())


def check_form(form: dict[str, str], session_token: str) -> None:
    """Raise Problem 403 unless the form was made for this session."""
    if not is_form_token(form.get("token", ""), session_token):
        raise Problem(403, "the form is not of this session: go back, reload the page and try again")


async def form_of(request: Request, most: int = MOST_FORM) -> dict[str, str]:
    """A form's fields, the first of each name; raises Problem 413 if it has more than ``most`` bytes, or 400."""
    body = await body_of(request, most)
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=50) if body else {}
    except ValueError as error:
        raise Problem(400, "not a form") from error
    return {name: values[0] for name, values in fields.items()}


def cookie_name(lab: Lab) -> str:
    """The session's cookie. Of the lab, for browsers give one cookie to all ports of an address.

    ``__Host-`` makes a browser refuse it without Secure, for a domain, or for a part of the paths (RFC 6265bis, 4.1.3).
    """
    return f"__Host-nodisk-{lab.name}"


def door_cookie_name(lab: Lab) -> str:
    """A student's session, which is another thing than one of the console."""
    return f"__Host-nodisk-door-{lab.name}"


def set_session(response: Response, cookie: str, token: str, *, seconds: int) -> None:
    """Give the browser a session's token in that cookie, for so long; 0 seconds take it away."""
    response.set_cookie(cookie, token, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict")
