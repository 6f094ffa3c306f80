"""What went wrong with a download, whether to retry, and what a person can do about it."""

from __future__ import annotations

import contextlib
import ssl
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2

from nodisk.assets import trust

LONGEST_WAIT = 60.0
"""The longest pause before the next try, in seconds, that a server may ask for."""
PORTAL = "a captive portal wants a login, or a proxy blocks this: open the address in a browser on this host"
_E = TypeVar("_E", bound=BaseException)
_BUSY = {408, 425, 429}
_EXPIRED, _NOT_YET, _OTHER_NAME = 10, 9, 62  # X509_V_ERR_…


class Kind(Enum):
    """What a person needs to know about a fault."""

    LINE = "the server isn't reached, or the line to it breaks"
    BUSY = "the server is there and can't now"
    MISSING = "the server hasn't got it"
    REFUSED = "the server won't give it"
    PORTAL = "somebody else answers in the server's place"


@dataclass(frozen=True, slots=True)
class Fault:
    """One try that failed."""

    kind: Kind
    reason: str
    hint: str | None = None
    """What to do, if the fault itself tells; None: that depends on the request."""
    again: bool = True
    """Whether a retry may succeed."""
    wait: float | None = None
    """Seconds that the server asks to wait before the next try."""
    nobody: bool = False
    """Whether no server could be reached at all."""


def shown(url: str) -> str:
    """A URL without a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def of_error(url: str, error: httpx2.RequestError) -> Fault:
    """The fault of a request without an answer, or with an incomplete one."""
    reason = str(error) or type(error).__name__
    with contextlib.suppress(RuntimeError):  # a redirect may have led elsewhere
        url = str(error.request.url)
    if (found := _cause(error, ssl.SSLCertVerificationError)) is not None:
        return _certificate(url, found)
    if _cause(error, ssl.SSLError) is not None and isinstance(error, httpx2.ConnectError):
        hint = "check that the server uses TLS; an address without TLS starts with http://"
        return Fault(Kind.LINE, f"no TLS connection: {reason}", hint, again=False)
    by = _proxy(url)
    if isinstance(error, httpx2.ProxyError):
        hint = "correct or unset the proxy's variables (https_proxy, no_proxy)"
        return Fault(Kind.LINE, f"the proxy {by or ''} refuses: {reason}", hint, again=False)
    if isinstance(error, httpx2.TooManyRedirects):
        return Fault(Kind.LINE, reason, PORTAL, again=False)
    nobody = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ReadTimeout)
    if nobody and by:
        reason += f" (via the proxy {by})"
    return Fault(Kind.LINE, reason, nobody=nobody)


def of_answer(url: str, response: httpx2.Response) -> Fault | None:
    """The fault of an answer that isn't the file; None if it is, as far as its headers tell."""
    code = response.status_code
    said = f"{code} {response.reason_phrase}".strip()
    if response.is_success:
        media: str = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media in ("text/html", "application/xhtml+xml"):
            reason = f"a web page came instead of the file{_from(url, response)}"
            return Fault(Kind.PORTAL, reason, PORTAL, again=False)
        return None
    if code == 511:
        return Fault(Kind.PORTAL, said, PORTAL, again=False)
    if code in _BUSY or code >= 500:
        wait = retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
        if wait is not None and wait > LONGEST_WAIT:
            return Fault(Kind.BUSY, f"{said}, and asks to be tried again in {wait:.0f} s", again=False)
        return Fault(Kind.BUSY, said, wait=wait)
    kind = Kind.MISSING if code in (404, 410) else Kind.REFUSED
    hint = "give the proxy's variables a name and a password: http://NAME:PASSWORD@HOST:PORT" if code == 407 else None
    return Fault(kind, said + _from(url, response), hint, again=False)


def retry_after(text: str, now: datetime) -> float | None:
    """Seconds to wait according to ``Retry-After``, a number or a date; None if it can't be read."""
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        then = parsedate_to_datetime(text)
        return max(0.0, ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _from(url: str, response: httpx2.Response) -> str:
    """The origin of an answer, if it isn't the one that was asked."""
    place = str(response.url)
    return f" (from {shown(place)})" if urlsplit(place).netloc != urlsplit(url).netloc else ""


def _cause(error: BaseException | None, kind: type[_E]) -> _E | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _certificate(url: str, error: ssl.SSLCertVerificationError) -> Fault:
    place = urlsplit(url)
    reason = f"the certificate of {place.hostname} is not trusted: {error.verify_message}"
    if error.verify_code in (_EXPIRED, _NOT_YET):
        return Fault(Kind.LINE, reason, "check this host's clock (date)", again=False)
    if error.verify_code == _OTHER_NAME:
        return Fault(Kind.PORTAL, reason, PORTAL, again=False)
    if _proxy(url) is None and place.hostname and (name := trust.issuer(place.hostname, place.port or 443)):
        reason += f"; it is signed by {name!r}"
    lost = trust.missing_file()
    return Fault(Kind.LINE, reason, f"{lost}; {trust.ADD_HINT}" if lost else trust.ADD_HINT, again=False)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL, without its password."""
    parts = urlsplit(url)
    found = urllib.request.getproxies_environment()
    proxy = found.get(parts.scheme) or found.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return shown(proxy)
