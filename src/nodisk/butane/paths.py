"""Where something is in a document: ``("storage", "files", 0, "mode")``."""

from __future__ import annotations

Path = tuple[str | int, ...]


class Key(str):
    """The last element of a path, when the key itself is meant and not its value."""

    __slots__ = ()
