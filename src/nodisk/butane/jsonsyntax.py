"""Whether a text is JSON, in the words of Go's ``encoding/json`` where it is not."""

from __future__ import annotations

import math
import re

from nodisk.butane.gojson import quote


class JsonError(ValueError):
    """Not JSON; ``offset``: bytes read when it was noticed."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


_SPACE = b" \t\r\n"
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_VALUE = re.compile(_STRING.pattern + rb"|(?P<number>" + _NUMBER.pattern + rb")")
MAX_DEPTH = 10_000


def check_values(data: bytes) -> None:
    """As ``check``, and every number must fit a float, as where Go decodes a text without knowing its shape."""
    check(data)
    for match in _VALUE.finditer(data):
        if match["number"] and math.isinf(float(match["number"])):
            raise JsonError(f"json: cannot unmarshal number {match['number'].decode()} into float64", match.end())


def check(data: bytes) -> None:  # noqa: PLR0912, PLR0915 - one state machine, a branch a state
    """Raises JsonError, in Go's words, unless ``data`` is one JSON value."""
    stack: list[str] = []  # what is open: "{" or "["
    expect = "value"
    pos, end = 0, len(data)
    while True:
        while pos < end and data[pos] in _SPACE:
            pos += 1
        if expect == "end":
            if pos < end:
                raise _invalid(data, pos, "after top-level value")
            return
        if pos >= end:
            raise JsonError("unexpected end of JSON input", end)
        char = data[pos : pos + 1]
        if expect in ("value", "value or ]"):
            if char in b"{[":
                stack.append(char.decode())
                if len(stack) > MAX_DEPTH:
                    raise JsonError("exceeded max depth", pos + 1)
                expect = "key or }" if char == b"{" else "value or ]"
                pos += 1
                continue
            if char == b"]" and expect == "value or ]":
                stack.pop()
                pos += 1
            else:
                pos = _scalar(data, pos)
            expect = _after(stack)
        elif expect in ("key", "key or }"):
            if char == b"}" and expect == "key or }":
                stack.pop()
                pos += 1
                expect = _after(stack)
            elif char == b'"':
                pos = _scalar(data, pos)
                expect = ":"
            else:
                raise _invalid(data, pos, "looking for beginning of object key string")
        elif expect == ":":
            if char != b":":
                raise _invalid(data, pos, "after object key")
            pos += 1
            expect = "value"
        else:  # after an element
            closing, place = ("}", "object key:value pair") if stack[-1] == "{" else ("]", "array element")
            if char == b",":
                expect = "key" if closing == "}" else "value"
            elif char == closing.encode():
                stack.pop()
                expect = _after(stack)
            else:
                raise _invalid(data, pos, "after " + place)
            pos += 1


def _after(stack: list[str]) -> str:
    return ", or close" if stack else "end"


def _invalid(data: bytes, pos: int, where: str) -> JsonError:
    char = chr(data[pos])
    shown = {"'": "'\\''", '"': "'\"'"}.get(char) or "'" + quote(char)[1:-1] + "'"
    return JsonError(f"invalid character {shown} {where}", pos + 1)


def _scalar(data: bytes, pos: int) -> int:
    """The end of the string, number or word at ``pos``."""
    char = data[pos : pos + 1]
    if char == b'"':
        match = _STRING.match(data, pos)
        return match.end() if match else _bad_string(data, pos)
    if char in b"-0123456789":
        match = _NUMBER.match(data, pos)
        if match is None:
            return _bad_number(data, pos + 1, "in numeric literal")
        stop = match.end()
        after = data[stop : stop + 1]
        if after == b"." and b"." not in match[0] and b"e" not in match[0].lower():
            return _bad_number(data, stop + 1, "after decimal point in numeric literal")
        if after in (b"e", b"E") and b"e" not in match[0].lower():
            skip = 2 if data[stop + 1 : stop + 2] in (b"+", b"-") else 1
            return _bad_number(data, stop + skip, "in exponent of numeric literal")
        return stop
    for word in (b"true", b"false", b"null"):
        if char == word[:1]:
            for index in range(1, len(word)):
                here = data[pos + index : pos + index + 1]
                if not here:
                    raise JsonError("unexpected end of JSON input", len(data))
                if here != word[index : index + 1]:
                    raise _invalid(data, pos + index, f"in literal {word.decode()} (expecting '{chr(word[index])}')")
            return pos + len(word)
    raise _invalid(data, pos, "looking for beginning of value")


def _bad_number(data: bytes, pos: int, where: str) -> int:
    if pos >= len(data):
        raise JsonError("unexpected end of JSON input", len(data))
    raise _invalid(data, pos, where)


def _bad_string(data: bytes, pos: int) -> int:
    pos += 1
    while pos < len(data):
        char = data[pos]
        if char < 0x20:
            raise _invalid(data, pos, "in string literal")
        if char == 0x5C:
            pos += 1
            if pos < len(data) and data[pos : pos + 1] == b"u":
                for pos in range(pos + 1, pos + 5):  # noqa: B020 - the position goes on from here
                    if pos < len(data) and data[pos : pos + 1] not in b"0123456789abcdefABCDEF":
                        raise _invalid(data, pos, "in \\u hexadecimal character escape")
            elif pos < len(data) and data[pos : pos + 1] not in b'"\\/bfnrt':
                raise _invalid(data, pos, "in string escape code")
        pos += 1
    raise JsonError("unexpected end of JSON input", len(data))
