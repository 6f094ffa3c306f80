"""``data:`` URLs as the reader that Ignition uses takes them: part by part, with its words at the first fault."""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

from nodisk.butane.pattern import Pattern

_TOKEN = Pattern(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]*")
_TYPES = ("text", "image", "audio", "video", "application", "message", "multipart")
_DATA_CHARS = Pattern(r"[!$-;=?-Z_a-z~]*")
_HEX = "[0-9A-Fa-f]"
_QUOTED = Pattern(
    r"(?:[^\"\\\n]|\\(?:[abfnrtv\\\"]|[0-3][0-7]{2}"
    rf"|x{_HEX}{{2}}|u(?![dD][89A-Fa-f]){_HEX}{{4}}|U(?!0000[dD][89A-Fa-f])(?:000{_HEX}|0010){_HEX}{{4}}))*"
)
"""What Go can take for the inside of a string."""


class _Bad(ValueError):
    """The text says what is wrong."""


def problem(source: str) -> str | None:
    """What is wrong with a ``data:`` URL; None if nothing is."""
    try:
        data, base64 = _head(source)
        if not base64:
            if not _DATA_CHARS.fullmatch(data):
                raise _Bad("invalid data character")
            _unescape(data)
        elif re.search(r"[^A-Za-z0-9+/=\n]", data):
            raise _Bad("invalid data character")
        else:
            _decode(data)
    except _Bad as bad:
        return str(bad)
    return None


def content(source: str) -> bytes:
    """What a ``data:`` URL holds; raises ValueError if it is none that can be read."""
    data, base64 = _head(source)
    if base64:
        return binascii.a2b_base64(data.replace("\n", "").encode(), strict_mode=True)
    if not data.isascii():
        raise _Bad("invalid data character")
    return unquote_to_bytes(data)


def _token(source: str, start: int) -> tuple[int, str]:
    """Where the word at ``start`` ends, and the character there; "" at the end."""
    match = _TOKEN.match(source, start)
    end = match.end() if match else start
    return end, source[end : end + 1]


def _head(source: str) -> tuple[str, bool]:
    """What follows the comma, and whether it is base64."""
    if source.startswith("data:,"):
        return source[len("data:,") :], False
    if not source.startswith("data:"):
        raise _Bad("missing data prefix")
    place = _media_type(source, len("data:"))
    quotes = False
    while source[place] == ";":
        end, stop = _token(source, place + 1)
        name = source[place + 1 : end]
        if not stop or (not name and stop in "=,"):
            raise _Bad("unterminated parameter sequence")
        if stop == "," and name != "base64":
            raise _Bad(f"expected base64, got {name}")
        if stop == ",":
            return source[end + 1 :], True
        if not name or stop != "=":
            raise _Bad("invalid character for parameter attribute")
        place = end + 1
        if source.startswith('"', place):
            value, place = _string(source, place + 1)
            if value and not _QUOTED.fullmatch(value):
                raise _Bad("invalid syntax")
            quotes = not value
        else:
            value, place = _value(source, place)
            if not quotes:  # after an empty string the next value counts as quoted
                _unescape(value)
            quotes = False
    return source[place + 1 :], False


def _media_type(source: str, start: int) -> int:
    """The place of what follows the type."""
    first = source[start : start + 1]
    if not first:
        raise _Bad("missing comma before data")
    if first in ";,":
        return start
    if _token(source, start)[0] == start:
        raise _Bad("invalid character after data prefix")
    # After an x, the next character is taken for granted.
    end, stop = _token(source, min(start + (2 if first in "xX" else 1), len(source)))
    if not stop:
        raise _Bad("missing media type slash")
    if stop != "/":
        raise _Bad("invalid character for media type")
    kind = source[start:end]
    if not kind.startswith(_TYPES) and not kind.lower().startswith("x-"):
        raise _Bad("invalid media type")
    end, stop = _token(source, end + 1)
    if not stop:
        raise _Bad("incomplete media type")
    if stop not in ";,":
        raise _Bad("invalid character for media subtype")
    return end


def _value(source: str, start: int) -> tuple[str, int]:
    """A parameter's value, and the place of what follows."""
    end, stop = _token(source, start)
    if not stop:
        raise _Bad("missing comma before data")
    if end == start or stop not in ";,":
        raise _Bad("invalid character for parameter value")
    return source[start:end], end


def _string(source: str, start: int) -> tuple[str, int]:
    """A value in quotes, and the place of what follows them."""
    place = start
    while (char := source[place : place + 1]) != '"':
        escaped = char == "\\"
        char = source[place + escaped : place + escaped + 1]
        if not char:
            raise _Bad("unclosed quoted string")
        if not char.isascii():
            raise _Bad("invalid escaped character" if escaped else "invalid character for parameter value")
        place += 1 + escaped
    follows = source[place + 1 : place + 2]
    if not follows:
        raise _Bad("missing comma before data")
    if follows not in ";,":
        raise _Bad("expected semicolon or comma")
    return source[start:place], place + 1


def _unescape(text: str) -> None:
    bad = re.search(rf"%(?!{_HEX}{{2}})", text)
    if bad is None:
        return
    rest = text[bad.end() :]
    if not rest or re.fullmatch(_HEX, rest):
        raise _Bad("rfc2396: unexpected end of unescape sequence")
    raise _Bad("rfc2396: invalid char 0x25 in unescape sequence")


def _decode(data: str) -> None:
    text = data.replace("\n", "")
    try:
        binascii.a2b_base64(text.encode(), strict_mode=True)
    except binascii.Error as error:
        good = re.match(r"(?:[A-Za-z0-9+/]{4})*", text)
        place = _base64_offset(data, text, good.end() if good else 0)
        raise _Bad(f"illegal base64 data at input byte {place}") from error


def _base64_offset(data: str, text: str, whole: int) -> int:
    """Where Go's decoder stops: after the last whole group, at the first character that does not fit."""
    group = text[whole : whole + 4]
    if "=" in text[:whole]:
        return text.index("=")
    if len(group) < 4:
        return len(data) - (len(text) - whole) if "=" not in group else len(data)
    if re.fullmatch(r"[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=", group):
        return whole + 4  # something follows the padding
    place = group.index("=")
    return whole + (place if place < 2 else 3)
