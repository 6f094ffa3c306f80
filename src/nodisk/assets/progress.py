"""A build's progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nodisk import ui

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Step:
    """One step of a build, as shown to people."""

    def __init__(self, board: Board, title: str) -> None:
        self._board = board
        self.title = title
        self.started = time.monotonic()
        self._task: TaskID | None = board.bars.add_task(title, total=None) if board.bars else None

    def doing(self, what: str) -> None:
        """Show what the step is doing; on a terminal this replaces the previous text."""
        if self._board.bars and self._task is not None:
            self._board.bars.update(self._task, description=f"{self.title}: {what}")
        else:
            self._board.line(f"{self.title}: {what}")

    def loaded(self, done: int, total: int | None) -> None:
        """Bytes of a download; drawn only on a terminal."""
        if self._board.bars and self._task is not None:
            self._board.bars.update(self._task, completed=done, total=total)

    def heed(self, line: str) -> None:
        """Pick out of a recipe's output the lines meant for people: ``step: TEXT``."""
        if line.startswith("step: "):
            self.doing(line.removeprefix("step: "))

    def end(self, *, failed: bool) -> None:
        """End the step, and show how long it took."""
        seconds = time.monotonic() - self.started
        if self._board.bars and self._task is not None:
            self._board.bars.remove_task(self._task)
        word = "failed after" if failed else "done in"
        self._board.line(f"{self.title}: {word} {seconds:.0f} s")
        self._board.times[self.title] = seconds


class Board:
    """All running steps."""

    def __init__(self, bars: Progress | None) -> None:
        self.bars = bars
        self.times: dict[str, float] = {}
        """Duration of each finished step in seconds."""

    def line(self, text: str) -> None:
        """Print a permanent line, above the bars."""
        if self.bars:
            self.bars.console.print(text, markup=False)
        else:
            ui.say(text)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step until the end of the block."""
        step = Step(self, title)
        try:
            yield step
        except BaseException:
            step.end(failed=True)
            raise
        step.end(failed=False)


@contextmanager
def board() -> Iterator[Board]:
    """Bars if stderr is a terminal, else lines."""
    bars = ui.progress()
    if bars.console.is_terminal:
        with bars:
            yield Board(bars)
    else:
        yield Board(None)
