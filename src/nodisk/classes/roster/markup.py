"""HTML → rows. Many platforms export an HTML table and call it ``.xls``."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from nodisk.classes.roster.delimited import clean
from nodisk.classes.roster.model import Row

_SPAN = 32
"""The most cells that one cell may stand for; a wider table is no roster."""


def looks_like_html(text: str) -> bool:
    """Whether a text is a page or a table of HTML."""
    return bool(re.match(r"\s*<(!doctype html|html|head|body|meta|style|table|div|center|p)\b", text, re.IGNORECASE))


def charset(data: bytes) -> str | None:
    """The encoding that a page says it has."""
    if not re.match(rb"[\s\xef\xbb\xbf]*<", data):
        return None
    said = re.search(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{1,40})", data[:4096], re.IGNORECASE)
    return said[1].decode("ascii") if said else None


def tables(text: str) -> list[list[Row]]:
    """The rows of each table of a page, those with most rows first."""
    reader = _Tables()
    reader.feed(_without_remarks(text))
    reader.close()
    reader.end_row()
    return sorted((rows for rows in reader.found if rows), key=len, reverse=True)


def _without_remarks(text: str) -> str:
    """A page without comments and declarations; the parser takes quadratic time where many of them have no end."""
    kept = []
    at = 0
    for start in re.finditer(r"<[!?]", text):
        if start.start() < at:
            continue
        mark = "-->" if text.startswith("<!--", start.start()) else ">"
        end = text.find(mark, start.end())
        kept.append(text[at : start.start()])
        if end < 0:
            return "".join(kept)
        at = end + len(mark)
        kept.append("\n" * text.count("\n", start.start(), at))  # lines keep their numbers
    return "".join([*kept, text[at:]])


class _Tables(HTMLParser):
    """Collects cells; layout tables inside of others are tables of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[list[Row]] = []
        self._open: list[list[Row]] = []
        self._cells: list[str] | None = None
        self._text: list[str] | None = None
        self._span = 1
        self._line = 0
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden += 1
        elif tag == "table":
            self.end_row()
            rows: list[Row] = []
            self.found.append(rows)
            self._open.append(rows)
        elif tag == "tr":
            self.end_row()
            self._cells, self._line = [], self.getpos()[0]
        elif tag in ("td", "th") and self._cells is not None:
            self._end_cell()
            said = dict(attrs).get("colspan") or "1"
            self._span = min(int(said), _SPAN) if said.isascii() and said.isdigit() and len(said) < 9 else 1
            self._text = []
        elif tag in ("br", "p", "div") and self._text is not None:
            self._text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden = max(0, self._hidden - 1)
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag == "tr":
            self.end_row()
        elif tag == "table":
            self.end_row()
            if self._open:
                self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._text is not None and not self._hidden:
            self._text.append(data)

    def _end_cell(self) -> None:
        if self._text is not None and self._cells is not None:
            self._cells += [clean("".join(self._text)), *([""] * (self._span - 1))]
        self._text = None

    def end_row(self) -> None:
        """Close what is open: HTML may leave end tags out."""
        self._end_cell()
        if self._cells and any(self._cells) and self._open:
            self._open[-1].append(Row(self._line, tuple(self._cells)))
        self._cells = None
