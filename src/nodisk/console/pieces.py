"""Pieces of a page that change one by one, and what of them has to be sent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Piece:
    """An element of a page, and what is in it."""

    id: str
    """The element's."""
    html: str
    """All that is in it."""
    rows: Mapping[str, str] = field(default_factory=dict)
    """Elements in it that change alone, in their order: each id with what is in it."""
    frame: str = ""
    """What of ``html`` is in none of the rows; where that has changed, the piece is sent whole."""


def news(before: Sequence[Piece], now: Sequence[Piece]) -> list[tuple[str, str]]:
    """The elements, by id, that say something else than before, each with what is in it now."""
    known = {piece.id: piece for piece in before}
    return [one for piece in now for one in _of(known.get(piece.id), piece)]


def _of(before: Piece | None, now: Piece) -> Iterable[tuple[str, str]]:
    if before is not None and before.html == now.html:
        return ()
    if before is None or not now.rows or list(before.rows) != list(now.rows) or before.frame != now.frame:
        return ((now.id, now.html),)
    return [(row, html) for row, html in now.rows.items() if before.rows[row] != html]
