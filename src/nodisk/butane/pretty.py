"""A report as a person reads it: each message under the lines of the document that it is about."""

from __future__ import annotations

from nodisk.butane.report import Entry, Report

_COLOURS = {"error": "\033[1;31m", "warning": "\033[1;33m", "info": "\033[1;36m"}
_BLUE, _RESET = "\033[1;34m", "\033[0m"
_CONTEXT = 2
_MAX_SHOWN = 16 * 1024 * 1024
"""Characters of messages with the lines around them; those that follow get a line each."""


def text(report: Report, name: str, source: bytes, *, colour: bool = False, raw: bool = False) -> str:
    """All entries, with the lines of ``source``, the file called ``name``, around them; ``raw``: a line each.

    What ``report.failure`` says already is not repeated here.
    """
    failure = report.failure or ""
    entries = [entry for entry in report if entry.column is not None or entry.message not in failure]
    if raw:
        return "".join(f"{entry}\n" for entry in entries)
    lines = source.decode("utf-8", "replace").split("\n")
    out, size = [], 0
    for entry in entries:
        # Very long lines, shown again for every message about them, would add up.
        shown = _entry(entry, name, lines, colour) if size < _MAX_SHOWN else f"{entry}\n"
        size += len(shown)
        out.append(shown)
    return "\n".join(out)


def _paint(words: str, code: str, colour: bool) -> str:
    return f"{code}{words}{_RESET}" if colour else words


def _entry(entry: Entry, name: str, lines: list[str], colour: bool) -> str:
    row, column = entry.line or 0, entry.column or 0
    if not 1 <= row <= len(lines) or not 1 <= column <= len(lines[row - 1].encode()):
        return f"{entry}\n"
    severity = _paint(entry.severity, _COLOURS[entry.severity], colour)
    first, last = max(1, row - _CONTEXT), min(len(lines), row + _CONTEXT)
    width = len(str(last))
    margin = f" {' ' * width} |"
    out = [f"{severity}{f'[{entry.path}]' if entry.path else ''}:"]
    out.append(f"  {_paint('-->', _BLUE, colour)} {name}:{row}:{column}")
    out.append(margin)
    for number in range(first, last + 1):
        line = lines[number - 1]
        out.append(f" {_paint(f'{number:{width}}', _BLUE, colour)} | {line}")
        if number == row:
            # Butane counts characters and cuts bytes.
            rest = line.encode()[column - 1 :]
            words = rest.split(None, 1) if not rest[:1].isspace() else []
            marks = _paint("^" * (len(words[0]) if words else 0), _BLUE, colour)
            out.append(f"{margin} {' ' * (column - 1)}{marks} {entry.message}")
    out.append(margin)
    return "\n".join(out) + "\n"
