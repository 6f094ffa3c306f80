"""What Go's ``net/url`` takes for a URL, as far as Ignition's rules ask: is it one, its scheme, its query."""

from __future__ import annotations

import re
from typing import NamedTuple

from nodisk.butane.gojson import quote
from nodisk.butane.pattern import Pattern

_CONTROL = Pattern(r"[\x00-\x1f\x7f]")
_SCHEME = Pattern(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ESCAPE = Pattern(r"%(?![0-9A-Fa-f]{2})")
_PORT = Pattern(r"(?::[0-9]*)?", re.ASCII)
_USERINFO = Pattern(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_HOST_ESCAPE = Pattern(r"%(?!25|[89A-Fa-f][0-9A-Fa-f])")
_HOST_BAD = Pattern(r"[\x00-\x20\\^`{|}\x7f]")


class BadUrl(ValueError):
    """Go would not parse it."""


class Url(NamedTuple):
    """The parts that are looked at."""

    scheme: str
    opaque: str
    query: str


def parse(text: str) -> Url:
    """Raises BadUrl."""
    rest, _, fragment = text.partition("#")
    if _CONTROL.search(rest):
        raise BadUrl("net/url: invalid control character in URL")
    if not text:
        return Url("", "", "")
    if rest == "*":
        _unescape(fragment)
        return Url("", "", "")
    scheme = ""
    match = _SCHEME.match(rest)
    if match:
        scheme, rest = match[0][:-1].lower(), rest[match.end() :]
    elif rest.startswith(":"):
        raise BadUrl("missing protocol scheme")
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            _unescape(fragment)
            return Url(scheme, rest, query)
        if ":" in rest.split("/", 1)[0]:
            raise BadUrl("first path segment in URL cannot contain colon")
    if (scheme or not rest.startswith("///")) and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        _authority(authority)
        rest = slash + path
    _unescape(rest)
    _unescape(fragment)
    return Url(scheme, "", query)


def _unescape(text: str) -> None:
    bad = _ESCAPE.search(text)
    if bad:
        raise BadUrl(f"invalid URL escape {quote(text[bad.start() : bad.start() + 3])}")


def _authority(authority: str) -> None:
    userinfo, at, host = authority.rpartition("@")
    if at:
        if not _USERINFO.fullmatch(userinfo):
            raise BadUrl("net/url: invalid userinfo")
        _unescape(userinfo)
    if host.startswith("["):
        inside, bracket, port = host.rpartition("]")
        if not bracket:
            raise BadUrl("missing ']' in host")
        address, zone_mark, zone = inside.partition("%25")
        if zone_mark:
            _zone(zone)
        _host(address)
    else:
        colon = host.rfind(":")
        port = host[colon:] if colon >= 0 else ""
        _host(host)
    if not _PORT.fullmatch(port):
        raise BadUrl(f"invalid port {quote(port)} after host")


def _host(host: str) -> None:
    bad = _HOST_ESCAPE.search(host)
    if bad:
        raise BadUrl(f"invalid URL escape {quote(host[bad.start() : bad.start() + 3])}")
    bad = _HOST_BAD.search(host)
    if bad:
        raise BadUrl(f"invalid character {quote(bad[0])} in host name")


_HEX = Pattern(r"%([0-9A-Fa-f]{2})?")


def _zone(zone: str) -> None:
    """Of an address in brackets: it may have escapes, but only of what may stand there anyway, of % and of space."""
    for match in _HEX.finditer(zone):
        raw = chr(int(match[1], 16)) if match[1] else ""
        if not raw or (raw not in "% " and (ord(raw) > 0x7E or _HOST_BAD.search(raw) or raw in "#/?@")):
            raise BadUrl(f"invalid URL escape {quote(zone[match.start() : match.start() + 3])}")
    bad = _HOST_BAD.search(zone)
    if bad:
        raise BadUrl(f"invalid character {quote(bad[0])} in host name")


_LETTERS = "A-Za-z0-9"
_VALID = Pattern(rf"[{_LETTERS}\-_.~!$&'()*+,;=:@/\[\]%]*")
"""A path or fragment that is written as it was read."""
_KEPT = {
    "path": rf"[{_LETTERS}\-_.~$&+,/:;=@]",
    "fragment": rf"[{_LETTERS}\-_.~$&+,/:;=?@!()*]",
    "user": rf"[{_LETTERS}\-_.~$&+,;=]",
    "host": rf"[{_LETTERS}\-_.~!$&'()*+,;=:\[\]<>\"]",
}


def normal(text: str) -> str:
    """``text`` as Go writes the URL that it has read. Raises BadUrl."""
    url = parse(text)
    rest, _, fragment = text.partition("#")
    rest = rest[len(url.scheme) + 1 :] if url.scheme else rest
    rest, mark, query = rest.partition("?")
    if url.scheme and not rest.startswith("/"):
        out = rest  # opaque: as it is
    elif rest.startswith("//") and (url.scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        userinfo, at, host = authority.rpartition("@")
        name, colon, password = userinfo.partition(":")
        user = _escaped(name, "user") + colon + _escaped(password, "user") + at
        out = f"//{user}{_escaped(host, 'host')}{_same(slash + path, 'path')}"
        out = "" if out == "//" else out
    else:
        out = _same(rest, "path")
    return (url.scheme and url.scheme + ":") + out + mark + query + (fragment and "#" + _same(fragment, "fragment"))


def _same(text: str, part: str) -> str:
    valid = _VALID.fullmatch(text.replace("?", "") if part == "fragment" else text)
    return text if valid else _escaped(text, part)


def _escaped(text: str, part: str) -> str:
    """Decoded, and encoded again."""
    data = re.sub(
        rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode("utf-8", "surrogateescape")
    )
    return "".join(char if re.match(_KEPT[part], char) else f"%{ord(char):02X}" for char in data.decode("latin-1"))


def query_values(query: str, key: str) -> list[str]:
    """The values of ``key``; parts that Go can't decode are left out."""
    values = []
    for part in query.split("&"):
        if not part or ";" in part:
            continue
        name, _, value = part.partition("=")
        if not _ESCAPE.search(name + " " + value) and _decoded(name) == key:
            values.append(_decoded(value))
    return values


def _decoded(text: str) -> str:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text.replace("+", " "))
