"""Orders on their way: each is a command that the server runs, and anybody can see how far it is."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from nodisk.console.orders import AnyOrder, Came
from nodisk.context import LabContext
from nodisk.server import own_command
from nodisk.server.handlers.common import Problem
from nodisk.server.own_command import Ended

KEPT = 50
"""Errands that are remembered; what became of earlier ones is in the activity."""

Run = Callable[[AnyOrder], Awaitable[Ended]]


@dataclass(slots=True)
class Errand:
    """One order, and what came of it so far."""

    number: str
    who: str
    order: AnyOrder
    began: float
    came: tuple[Came, ...] | None = None
    """None while the command runs."""


@dataclass(slots=True)
class Errands:
    """Those of a console; ``close`` it at the end, which ends what still runs."""

    run: Run
    _all: dict[str, Errand] = field(default_factory=dict)
    _tasks: set[asyncio.Future[Ended]] = field(default_factory=set)

    def begin(self, order: AnyOrder, who: str, tell: Callable[[Errand], None]) -> Errand:
        """Begin an order; ``tell`` hears of its end. Raises Problem 409 while another holds what it changes."""
        for other in self._all.values():
            taken = sorted(other.order.held & order.held)
            if other.came is None and taken:
                raise Problem(409, f"wait: {other.who} is changing {', '.join(taken)} ({other.order.line})")
        errand = Errand(secrets.token_hex(8), who, order, time.time())
        self._all[errand.number] = errand
        for old in [one.number for one in self._all.values() if one.came is not None][: max(0, len(self._all) - KEPT)]:
            del self._all[old]
        task = asyncio.ensure_future(self.run(order))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._over(errand, task, tell))
        return errand

    def find(self, number: str) -> Errand | None:
        """The errand of that number; None: there is none, or not any more."""
        return self._all.get(number)

    def _over(self, errand: Errand, task: asyncio.Future[Ended], tell: Callable[[Errand], None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            ended = Ended(-1, "", "error: the server was stopped meanwhile")
        elif (error := task.exception()) is not None:
            ended = Ended(-1, "", f"error: the command could not be run: {error}")
        else:
            ended = task.result()
        errand.came = errand.order.came(ended.status, ended.output, ended.errors)
        tell(errand)

    async def close(self) -> None:
        """End what still runs, as by Ctrl-C; it takes seconds at most."""
        for task in (tasks := list(self._tasks)):
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


def by_command(context: LabContext) -> Run:
    """The real way: nodisk's own command."""

    async def run(order: AnyOrder) -> Ended:
        where = context.state.state.root
        return await own_command.finish(order.words, lab=context.file, state=where, sent=order.sent)

    return run
