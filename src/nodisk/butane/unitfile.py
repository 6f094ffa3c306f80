"""systemd's unit files: their syntax as far as Ignition checks it, and the escaping of names.

The syntax is that of the library Ignition uses, which reads through a buffer of 4096 bytes and looks for lines that
are too long only in what the buffer holds; the same windows are kept here, so that the same files are refused.
"""

from __future__ import annotations

import re

from nodisk.butane.gojson import quote

LINE_MAX = 2048
_BUFFER = 4096
_NAME_END = re.compile(rb"[=\n\r]")
_SPACES = b" \t\n\v\f\r"
_ALL_SPACES = (
    _SPACES.decode() + "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
)


class UnitError(ValueError):
    """The text is not a unit file; ``garbage``: what stands after a section's name."""

    def __init__(self, message: str, garbage: bytes = b"") -> None:
        super().__init__(message)
        self.garbage = garbage


class _Reader:
    """Bytes, where reading stands, and how far the buffer is filled."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0
        self.filled = 0

    def advance(self, to: int) -> None:
        """Read on to ``to``; the buffer is refilled only when it is empty."""
        while self.filled < to:
            self.filled = min(self.filled + _BUFFER, len(self.data))
        self.pos = to

    def peek(self) -> bytes:
        """The next byte; b"" at the end."""
        if self.pos >= len(self.data):
            return b""
        if self.filled <= self.pos:
            self.filled = min(self.pos + _BUFFER, len(self.data))
        return self.data[self.pos : self.pos + 1]

    def until(self, delimiter: bytes) -> tuple[bytes, bool]:
        """Everything up to and with ``delimiter``; False if the data ends before it."""
        start = self.pos
        found = self.data.find(delimiter, start)
        end = len(self.data) if found < 0 else found + 1
        # A search that does not end in the buffer slides what is unread to its beginning and fills the rest.
        while self.filled < end:
            self.filled = min((self.pos if self.filled - self.pos < _BUFFER else self.filled) + _BUFFER, len(self.data))
            if self.filled - self.pos >= _BUFFER and self.filled < end:
                self.pos = self.filled
        self.pos = end
        return self.data[start:end], found >= 0

    def line(self) -> tuple[bytes, bool]:
        """The rest of the line, and whether the data ends with it."""
        line, ended = self.until(b"\n")
        return line.removesuffix(b"\r").removesuffix(b"\n"), not ended

    def check_line(self) -> None:
        """Raises UnitError if what the buffer holds begins with too long a line."""
        if self.filled - self.pos >= LINE_MAX:
            ahead = self.data[self.pos : self.pos + LINE_MAX]
            if b"\n" not in ahead and b"\r" not in ahead:
                raise UnitError(f"line too long (max {LINE_MAX} bytes)")


def sections(text: str) -> set[str]:
    """The names of the sections that have an option. Raises UnitError."""
    reader = _Reader(text.encode("utf-8", "surrogateescape"))
    found: set[str] = set()
    section: str | None = None
    while True:
        reader.check_line()
        char = reader.peek()
        if not char:
            return found
        if char == b"[":
            reader.advance(reader.pos + 1)
            section = _header(reader)
        elif char in b"#;":
            reader.advance(reader.pos + 1)
            reader.check_line()
            _comment(reader)
        elif section is None or char in _SPACES:
            reader.advance(reader.pos + 1)  # before the first section anything is skipped
        elif (width := _wide_space(reader)) > 0:
            reader.advance(reader.pos + width)
        else:
            _option(reader)
            found.add(section)


def _trimmed(line: bytes) -> bytes:
    """Without the spaces around it, of whatever kind Unicode has."""
    return line.decode("utf-8", "surrogateescape").strip(_ALL_SPACES).encode("utf-8", "surrogateescape")


def _wide_space(reader: _Reader) -> int:
    """The length of a non-ASCII space at the position; 0 if there is none."""
    if reader.data[reader.pos] < 0x80:
        return 0
    char = reader.data[reader.pos : reader.pos + 4].decode("utf-8", "ignore")[:1]
    return len(char.encode()) if char.isspace() else 0


def _header(reader: _Reader) -> str:
    reader.check_line()
    name, ended = reader.until(b"]")
    if not ended:
        raise UnitError("unable to find end of section")
    reader.check_line()
    rest, _ = reader.line()
    garbage = _trimmed(rest)
    if garbage:
        shown = quote(garbage.decode("utf-8", "surrogateescape"))
        raise UnitError(f"found garbage after section name : {shown}", garbage)
    return name[:-1].decode("utf-8", "surrogateescape")


def _comment(reader: _Reader) -> None:
    while True:
        line, _ = reader.line()
        if not line.removesuffix(b" ").endswith(b"\\"):
            return


def _option(reader: _Reader) -> None:
    reader.check_line()
    data, start = reader.data, reader.pos
    stop = _NAME_END.search(data, start)
    end = stop.start() if stop is not None else len(data)
    if end == len(data):
        raise UnitError("EOF")
    reader.advance(end + 1)
    if data[end : end + 1] != b"=":
        raise UnitError("unexpected newline encountered while parsing option name")
    while True:
        reader.check_line()
        line, _ = reader.line()
        if not _trimmed(line) or not line.endswith(b"\\"):
            return


def problem(text: str | None) -> str | None:
    """What is wrong with a unit's text, in Ignition's words; None if nothing is."""
    if text is None:
        return None
    try:
        sections(text)
    except UnitError as error:
        return f"invalid unit content: {error}"
    return None


_ALLOWED = frozenset(b":_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def escape_path(path: str) -> str:
    """A path as part of a unit's name: ``/var/lib/a-b`` → ``var-lib-a\\x2db``. Works on UTF-8 bytes."""
    parts = [part for part in path.encode("utf-8", "surrogateescape").split(b"/") if part]
    out = []
    for index, part in enumerate(parts):
        for place, byte in enumerate(part):
            hidden = byte not in _ALLOWED or (byte == 0x2E and index == 0 and place == 0)
            out.append(f"\\x{byte:x}" if hidden else chr(byte))
        out.append("-")
    return "".join(out[:-1]) if out else "-"
