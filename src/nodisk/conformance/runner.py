"""A run of the suite: piece after piece, each result kept at once, nothing left in the cluster however it ends."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nodisk import interrupts
from nodisk.conformance import specs
from nodisk.conformance.records import Run
from nodisk.conformance.results import Outcome, Result
from nodisk.conformance.specs import Spec
from nodisk.conformance.suite import Ended
from nodisk.errors import NodiskError
from nodisk.parallel import all_or_raise, in_parallel

_BAD = (Outcome.FAILED, Outcome.UNDECIDED)
"""What a second run may mend."""


class Runs(Protocol):
    """What runs some specs in one process."""

    def run(self, piece: Sequence[Spec]) -> Ended:
        """Run them to their end."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    done: int
    of: int
    seconds: float
    """Since this command began."""
    here: int
    """Specs decided since then."""

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take if it goes on like this; None before the first result."""
        return self.seconds / self.here * (self.of - self.done) if self.here else None


def run_all(
    run: Run,
    suite: Runs,
    *,
    shards: int,
    again: Runs,
    now: Callable[[], float],
    begin: Callable[[], object],
    end: Callable[[], object],
    check: Callable[[], object],
    tell: Callable[[Result, Progress], None],
    size: int = specs.PIECE,
) -> dict[str, Result]:
    """Run what the run still lacks, and return all of its results.

    ``shards``: processes at once, for specs that allow it; ``size``: specs for one of them. ``again`` runs once more,
    each alone, those that failed or are undecided. ``begin`` comes before all, ``end`` after it and where something
    ends this (it is then raised): they leave nothing of the suite in the cluster. ``check`` raises if the API or its
    datastore is away, and is asked before a spec counts as failed or undecided: their absence isn't taken for a result.
    """
    begin()
    try:
        _run_all(run, suite, shards=shards, again=again, now=now, check=check, tell=tell, size=size)
    finally:
        end()
    return run.results()


def _run_all(
    run: Run,
    suite: Runs,
    *,
    shards: int,
    again: Runs,
    now: Callable[[], float],
    check: Callable[[], object],
    tell: Callable[[Result, Progress], None],
    size: int,
) -> None:
    began, known, one_at_a_time, over = now(), _decided(run), threading.Lock(), threading.Event()
    before = len(known)

    def keep(done: Ended) -> None:
        if interrupts.came():  # it ended because this command ends: that says nothing of the specs
            raise KeyboardInterrupt
        good = tuple(result for result in done.results if result.outcome not in _BAD)
        try:
            if len(good) < len(done.results):
                check()  # for minutes, perhaps: others are kept meanwhile
        except (NodiskError, KeyboardInterrupt):
            if good:  # the rest is as if it had not run
                with one_at_a_time:
                    note(Ended(good, done.junit, done.log))
            raise
        with one_at_a_time:
            if interrupts.came():
                raise KeyboardInterrupt
            note(done)

    def note(done: Ended) -> None:
        run.keep(done.results, junit=done.junit, log=done.log)
        known.update({result.name: result for result in done.results})
        here = Progress(len(known), len(run.plan.specs), now() - began, len(known) - before)
        for result in done.results:
            tell(result, here)

    def beside_others(piece: Sequence[Spec]) -> None:
        if over.is_set():  # another's end has ended this: nothing new begins on a cluster that is away
            return
        try:
            keep(suite.run(piece))
        except NodiskError:
            over.set()
            raise

    todo = [spec for spec in run.plan.specs if spec.name not in known]
    for piece_is_apart, group in itertools.groupby(specs.pieces(todo, size=size), key=lambda piece: piece[0].apart):
        workers = 1 if piece_is_apart else shards
        if workers == 1:
            for piece in group:
                keep(suite.run(piece))
        else:
            all_or_raise(in_parallel(beside_others, list(group), workers=workers))
    for spec in run.plan.specs:
        if (result := known[spec.name]).outcome in _BAD and result.runs == 1:
            keep(_second(again.run([spec])))


def _decided(run: Run) -> dict[str, Result]:
    """What need not run again: an undecided spec is as good as one that has not run."""
    return {name: result for name, result in run.results().items() if result.outcome is not Outcome.UNDECIDED}


def _second(done: Ended) -> Ended:
    again = tuple(dataclasses.replace(result, runs=2) for result in done.results)
    return Ended(again, done.junit, done.log)
