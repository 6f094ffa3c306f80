"""Regular expressions that are compiled when they are first used: most runs need few of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator


class Pattern:
    """Like ``re.compile(text, flags)``, but later."""

    __slots__ = ("_compiled", "flags", "text")

    def __init__(self, text: str, flags: re.RegexFlag = re.NOFLAG) -> None:
        self.text = text
        self.flags = flags
        self._compiled: re.Pattern[str] | None = None

    def _ready(self) -> re.Pattern[str]:
        if self._compiled is None:
            self._compiled = re.compile(self.text, self.flags)
        return self._compiled

    def match(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """At ``start``."""
        return self._ready().match(text, start, end)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """All of it."""
        return self._ready().fullmatch(text)

    def search(self, text: str) -> re.Match[str] | None:
        """Anywhere."""
        return self._ready().search(text)

    def sub(self, replace: Callable[[re.Match[str]], str], text: str) -> str:
        """``text`` with every match replaced."""
        return self._ready().sub(replace, text)

    def finditer(self, text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[re.Match[str]]:
        """Every match between ``start`` and ``end``."""
        return self._ready().finditer(text, start, end)
