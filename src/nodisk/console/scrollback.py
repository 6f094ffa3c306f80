"""The last of what a terminal said, kept by the server for when its pod is gone. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

KEPT = 64 * 1024
"""Bytes."""


@dataclass(slots=True)
class Scrollback:
    """The end of a stream of bytes."""

    most: int = KEPT
    _kept: bytearray = field(default_factory=bytearray)

    def add(self, data: bytes) -> None:
        """Something was said."""
        self._kept += data[-self.most :]
        if len(self._kept) > self.most:
            del self._kept[: len(self._kept) - self.most]
            # Not in the middle of a character, or of an order to the terminal.
            del self._kept[: self._kept.find(b"\n") + 1]

    def clear(self) -> None:
        """Forget it."""
        self._kept.clear()

    @property
    def text(self) -> bytes:
        """What is kept: at most ``most`` bytes, from the beginning of a line if that isn't all that was said."""
        return bytes(self._kept)
