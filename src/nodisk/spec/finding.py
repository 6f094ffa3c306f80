"""What a rule says is wrong, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nodisk.spec.model import Lab
from nodisk.yamltree import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a path of the document."""

    path: Path
    message: str
    hint: str = ""
    other: Path | None = None
    """What it conflicts with: ``{other}`` in the message becomes that one's line."""
    about: tuple[Path, ...] = ()
    """Other values that the finding mentions; it is dropped if one of them could not be read."""
    key: bool = False
    """The finding is about the key, not its value."""
    line: int = 0
    """Lines below the start of a literal block."""


Rule = Callable[[Lab], Iterator[Finding]]
