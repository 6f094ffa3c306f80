"""Where a lab's upgrade stands, for readers that change nothing."""

from __future__ import annotations

from dataclasses import dataclass

from nodisk import files
from nodisk.context import LabContext
from nodisk.upgrade import begin, journal, look
from nodisk.upgrade.journal import LOCK
from nodisk.upgrade.plan import One, Wave, plan


@dataclass(frozen=True, slots=True)
class Progress:
    """What has begun, or would."""

    build: str
    """The current build, in words."""
    machines: tuple[One, ...]
    """All of the lab, each with what it booted last."""
    left: tuple[tuple[str, ...], ...]
    """Machines that have yet to boot, step after step: of what has begun, else of what would begin now."""
    done: tuple[str, ...] = ()
    """Machines that are back, of what has begun."""
    away: tuple[str, ...] = ()
    """Machines of the step that is being done, or at which it stopped."""
    went: tuple[str, ...] = ()
    """Machines that would go back if it was turned; none where nothing has begun, or it leads back already."""
    underway: bool = False
    """Whether one has begun, and is not over."""
    back: bool = False
    """Whether that one leads back."""
    runs: bool = False
    """Whether a process is at it now."""


def progress(context: LabContext, wave: Wave) -> Progress:
    """From the records; raises EnvironmentProblem where nothing is built, IntegrityError for a damaged record."""
    current, found = begin.current(context), look.machines(context.state.state, context.lab)
    runs = files.holder(context.state.root / LOCK) is not None
    begun = journal.read(context.state)
    if begun is None:
        return Progress(current.words, found, plan(found, wave).steps, runs=runs)
    begun = begin.without_strangers(context, begun)
    went = () if begun.back else tuple(name for step in begun.turned().left for name in step)
    return Progress(
        current.words,
        found,
        tuple(begun.left),
        done=begun.done,
        away=begun.away,
        went=went,
        underway=True,
        back=begun.back,
        runs=runs,
    )
