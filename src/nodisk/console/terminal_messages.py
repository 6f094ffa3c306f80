"""What a browser's terminal and the console say to each other over their WebSocket. Pure.

Bytes are what is typed, or what the terminal says. Texts are JSON objects. From the browser: first ``{"token": …,
"columns": …, "rows": …}`` with the token of the page's forms; then ``{"columns": …, "rows": …}`` for a new size, and
``{"seen": N}`` when N bytes in all have been shown. From the console: ``{"state": …, "text": …, "detail": …}``, and
``{"watched": …, "number": N}`` with who watches, '' for nobody: ``{"told": N}`` answers that the page shows it now.

A watcher's browser says ``{"token": …}`` first, and then nothing but ``{"seen": N}``; it also gets the size of what it
watches, ``{"columns": …, "rows": …}``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nodisk.kube.channels import LARGEST

MOST = 64 * 1024
"""Bytes of a message from a browser."""
SHORT = 1024
"""Characters of one that is a text."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody typed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Size:
    """The browser's terminal has this size now."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Seen:
    """So many bytes, of all that were sent, have been shown."""

    total: int


@dataclass(frozen=True, slots=True)
class Told:
    """The page shows who watches, as of the notice of that number."""

    number: int


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message."""

    token: str
    size: Size


def first(text: str | None) -> Hello:
    """The first message; raises ValueError for anything else."""
    found = _object(text)
    token = found.pop("token", None)
    if not isinstance(token, str):
        raise ValueError("the first message has no token")
    return Hello(token, _size(found))


def first_of_watcher(text: str | None) -> str:
    """The token in a watcher's first message; raises ValueError for anything else."""
    found = _object(text)
    if found.keys() != {"token"} or not isinstance(found["token"], str):
        raise ValueError("the first message is not a token")
    return found["token"]


def parse_of_watcher(text: str | None, data: bytes | None) -> Seen:
    """A watcher's message after the first: it may say what it has shown. Raises ValueError for all else."""
    found = parse(text, data)
    if not isinstance(found, Seen):
        raise ValueError("who watches can't type, nor change anything")
    return found


def parse(text: str | None, data: bytes | None) -> Typed | Size | Seen | Told:
    """A message after the first; raises ValueError for one that there isn't."""
    if data is not None:
        if len(data) > MOST:
            raise ValueError("too long a message")
        return Typed(data)
    found = _object(text)
    if found.keys() == {"seen"}:
        return Seen(_number(found["seen"], 0, 2**53))
    if found.keys() == {"told"}:
        return Told(_number(found["told"], 0, 2**53))
    return _size(found)


def state(name: str, text: str, detail: str = "") -> str:
    """A message to the browser: how things are, in words for people; ``detail``: what Kubernetes says of it."""
    return json.dumps({"state": name, "text": text, "detail": detail}, ensure_ascii=False)


def watched(text: str, number: int) -> str:
    """A message to the browser: who watches, in words for people; '' for nobody."""
    return json.dumps({"watched": text, "number": number}, ensure_ascii=False)


def size(of: Size) -> str:
    """A message to a watcher's browser."""
    return json.dumps({"columns": of.columns, "rows": of.rows})


def _object(text: str | None) -> dict[str, Any]:
    if text is None or len(text) > SHORT:
        raise ValueError("not a message")
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _size(found: dict[str, Any]) -> Size:
    if found.keys() != {"columns", "rows"}:
        raise ValueError("neither a size nor what was seen")
    return Size(_number(found["columns"], 1, LARGEST), _number(found["rows"], 1, LARGEST))


def _number(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:  # True is an int as well
        raise ValueError(f"not a number from {least} to {most}")
    return value
