"""Forms with a file in them, as browsers send them (RFC 7578, and the HTML Living Standard on its encoding). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

MEDIA = "multipart/form-data"
MOST_PARTS = 50
MOST_HEAD = 2048
"""Bytes of a part's headers."""
_BOUNDARY = re.compile(r"multipart/form-data\s*;\s*boundary=(\"?)([0-9A-Za-z'()+_,./:=?-]{1,70})\1\s*", re.IGNORECASE)
_DISPOSITION = re.compile(
    r'content-disposition: form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)")?', re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Part:
    """One field."""

    content: bytes
    file: str | None
    """The file's name, as the browser says it; None: it is no file."""


def parts(content_type: str, body: bytes) -> dict[str, Part]:
    """The fields of a form, the first of each name. Raises ValueError for what is none."""
    found = _BOUNDARY.fullmatch(content_type.strip())
    if found is None:
        raise ValueError("not a form with a boundary")
    before, *pieces = (b"\r\n" + body).split(b"\r\n--" + found[2].encode())
    if before or not pieces or pieces.pop() not in (b"--", b"--\r\n") or len(pieces) > MOST_PARTS:
        raise ValueError("not the parts of a form")
    made: dict[str, Part] = {}
    for piece in pieces:
        head, end, content = piece.partition(b"\r\n\r\n")
        if not head.startswith(b"\r\n") or not end or len(head) > MOST_HEAD:
            raise ValueError("a part without headers")
        lines = head[2:].decode().split("\r\n")  # UnicodeDecodeError is a ValueError
        named = next(filter(None, map(_DISPOSITION.fullmatch, lines)), None)
        if named is None:
            raise ValueError("a part without a name")
        made.setdefault(named[1], Part(content, named[2]))
    return made
