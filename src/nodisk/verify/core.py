"""Checks and how to run a list of them: several at once, each within its time limit, whatever the others' results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from nodisk.errors import CommandFailed, NodiskError, TimedOut
from nodisk.verify.clock import CROWDED, SLOW, Clock
from nodisk.verify.scene import Scene

AT_ONCE = 4
"""Number of checks that run at the same time: they mostly wait for the cluster."""
MOST_EVIDENCE = 12
"""Lines of evidence shown; a room of fifty PCs has 2,450 pairs."""


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class _Told(NodiskError):
    """What a check found. ``look``: a command that shows more."""

    def __init__(self, *evidence: str, cause: str = "", look: str = "") -> None:
        super().__init__("; ".join(evidence))
        self.evidence = evidence
        self.cause = cause
        self.look = look


class Failed(_Told):
    """What was tried doesn't work."""


class Warn(_Told):
    """It was tried, and is as good as this cluster can do it; those who run a class must know what that means."""


class Skip(NodiskError):
    """It can't be tested on this cluster; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """A feature that must work. ``act`` returns its evidence, or raises Failed, Warn or Skip."""

    name: str
    tries: str
    """What it tests, in one sentence."""
    limit: float
    """Seconds on a healthy PC cluster; a slow cluster gets more (``Scene.pace``, ``CROWDED``)."""
    act: Callable[[Scene], Iterable[str]]
    quick: bool = True
    """Whether ``--quick`` includes it."""
    prepare: Callable[[Scene], None] | None = None
    """Called before the first check runs, to start something that needs time to pass."""
    phase: int = 1
    """Phases run one after another; checks of one phase run at the same time. What disturbs others has its own."""


@dataclass(frozen=True, slots=True)
class Result:
    """A check's result."""

    name: str
    tries: str
    outcome: Outcome
    seconds: float
    limit: float
    evidence: tuple[str, ...] = ()
    cause: str = ""
    look: str = ""

    def to_json(self) -> dict[str, Any]:
        """The documented, stable shape of one result."""
        return {
            "name": self.name,
            "tries": self.tries,
            "outcome": str(self.outcome),
            "seconds": round(self.seconds, 2),
            "limit": round(self.limit, 1),
            "evidence": list(self.evidence),
            "cause": self.cause,
            "look": self.look,
        }


def run_check(check: Check, scene: Scene, *, beside: int = 0) -> Result:
    """Run one check; any error becomes its result, because the next check must run anyway.

    ``beside``: how many others run at the same time.
    """
    limit = check.limit * scene.pace * (CROWDED if beside and scene.pace >= SLOW else 1.0)
    scene.clock.start(limit)
    began = scene.clock.now()

    def result(outcome: Outcome, evidence: Iterable[str], cause: str = "", look: str = "") -> Result:
        seconds = scene.clock.now() - began
        return Result(check.name, check.tries, outcome, seconds, limit, _shown(list(evidence)), cause, look)

    try:
        return result(Outcome.OK, list(check.act(scene)))
    except Skip as skip:
        return result(Outcome.SKIPPED, [skip.message])
    except Warn as warn:
        return result(Outcome.WARNING, warn.evidence, warn.cause, warn.look)
    except Failed as failed:
        return result(Outcome.FAILED, failed.evidence, failed.cause, failed.look)
    except Exception as error:  # a fault of a check must not hide what the others find
        return result(Outcome.FAILED, *_explain(error, limit))


def run_checks(checks: Sequence[Check], scene: Scene, tell: Callable[[Result], None] = lambda _: None) -> list[Result]:
    """Run phase after phase; return results in the order of ``checks``, and report each as it ends.

    Ctrl-C ends the time of all running checks, so that none continues in the background.
    """
    results: dict[str, Result] = {}
    for phase in sorted({check.phase for check in checks}):
        scenes = {check: replace(scene, clock=Clock()) for check in checks if check.phase == phase}
        with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="nodisk-check") as pool:
            try:
                beside = len(scenes) - 1
                begun = [pool.submit(run_check, check, own, beside=beside) for check, own in scenes.items()]
                for done in as_completed(begun):
                    result = done.result()
                    results[result.name] = result
                    tell(result)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for own in scenes.values():
                    own.clock.end = 0.0
                raise
    return [results[check.name] for check in checks]


def _explain(error: Exception, limit: float) -> tuple[list[str], str, str]:
    """Evidence, likely cause, a command to investigate."""
    if isinstance(error, TimedOut):
        return [f"not within {limit:.0f} s: {error.message}"], "", error.hint or "nodisk status"
    if isinstance(error, CommandFailed):
        return error.message.splitlines()[:8], "", error.hint or ""
    if isinstance(error, NodiskError):
        return [error.message], "", error.hint or "nodisk status"
    return [f"the check itself broke: {error!r}"], "a fault of nodisk; please report it", ""


def _shown(lines: list[str]) -> tuple[str, ...]:
    if len(lines) <= MOST_EVIDENCE:
        return tuple(lines)
    return (*lines[: MOST_EVIDENCE - 1], f"… and {len(lines) - MOST_EVIDENCE + 1} more")
