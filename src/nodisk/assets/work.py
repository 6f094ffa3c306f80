"""The tools and options that every step of a build gets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodisk.assets.progress import Board
from nodisk.assets.store import Store
from nodisk.errors import EnvironmentProblem
from nodisk.state import State

RECIPES = Path(__file__).parent / "recipes"
EPOCH = "1767225600"
"""SOURCE_DATE_EPOCH of everything built here: the same inputs give the same bytes, whenever they are built."""


@dataclass(frozen=True, slots=True)
class Work:
    """The tools of a build."""

    state: State
    store: Store
    board: Board
    offline: bool = False
    """Download nothing."""
    refresh: bool = False
    """Rebuild existing assets from what the mirrors have now."""

    def log(self, name: str) -> Path:
        """The log file of a step's program."""
        return self.state.cache / "log" / f"{name}.log"

    def need_network(self, what: str) -> None:
        """Raises EnvironmentProblem if ``--offline`` forbids a download."""
        if self.offline:
            raise EnvironmentProblem(
                f"{what} is not in the store, and --offline forbids downloading it",
                hint="run nodisk build once with network access, or copy the state's assets/ from another host",
            )
