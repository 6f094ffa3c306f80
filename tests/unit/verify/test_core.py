"""Running checks: each on its own, within its time, with words for every kind of failure."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from nodisk.commands.verify import case
from nodisk.errors import CommandFailed, TimedOut, UsageError
from nodisk.junit import junit
from nodisk.verify.checks import CHECKS
from nodisk.verify.clock import Clock
from nodisk.verify.core import MOST_EVIDENCE, Check, Failed, Outcome, Skip, run_check, run_checks
from nodisk.verify.runner import choose


class _Scene:
    """What running a check needs of a scene: a clock that only moves when asked, and a pace."""

    def __init__(self, pace: float = 1.0) -> None:
        self.pace = pace
        self.time = 0.0
        self.clock = Clock(now=lambda: self.time, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.time += seconds


def _run(act: Any, *, pace: float = 1.0, limit: float = 10) -> Any:
    return run_check(Check("name", "tries", limit, act), cast("Any", _Scene(pace)))


def test_evidence_is_kept_and_cut() -> None:
    result = _run(lambda _: [str(i) for i in range(50)])
    assert result.outcome is Outcome.OK
    assert len(result.evidence) == MOST_EVIDENCE
    assert result.evidence[-1] == "… and 39 more"


@pytest.mark.parametrize(
    ("error", "outcome", "words"),
    [
        (Skip("the release has no DNS"), Outcome.SKIPPED, "no DNS"),
        (Failed("a → b: timed out", cause="a route", look="ip route"), Outcome.FAILED, "a → b"),
        (TimedOut("two pods are late"), Outcome.FAILED, "not within 10 s: two pods are late"),
        (CommandFailed(["kubectl", "exec"], 1, "refused"), Outcome.FAILED, "kubectl failed"),
        (KeyError("spec"), Outcome.FAILED, "the check itself broke: KeyError('spec')"),
    ],
)
def test_every_error_is_a_result(error: Exception, outcome: Outcome, words: str) -> None:
    def act(_: Any) -> list[str]:
        raise error

    result = _run(act)
    assert result.outcome is outcome
    assert words in result.evidence[0]
    if isinstance(error, Failed):
        assert (result.cause, result.look) == ("a route", "ip route")


def test_a_slow_cluster_gets_more_time() -> None:
    def act(scene: Any) -> list[str]:
        scene.clock.until(lambda: None if scene.time >= 25 else "still waiting")
        return ["there"]

    assert _run(act).outcome is Outcome.FAILED
    slow = _run(act, pace=3)
    assert (slow.outcome, slow.limit) == (Outcome.OK, 30)


@pytest.mark.parametrize(
    ("takes", "asked"), [(0.01, [0.0, 0.51, 1.02]), (1.0, [0.0, 4.0, 8.0]), (9.0, [0.0, 14.0, 28.0])]
)
def test_a_cluster_that_answers_slowly_is_asked_less_often(takes: float, asked: list[float]) -> None:
    time, when = 0.0, list[float]()

    def sleep(seconds: float) -> None:
        nonlocal time
        time += seconds

    def attempt() -> str | None:
        when.append(round(time, 2))
        sleep(takes)
        return "late" if len(when) < 3 else None

    Clock(100, now=lambda: time, sleep=sleep).until(attempt)
    assert when == asked


@pytest.mark.parametrize(("pace", "limits"), [(1.0, [10, 10, 10]), (4.0, [80, 80, 40])])
def test_a_slow_cluster_gets_more_time_again_for_what_runs_at_once(pace: float, limits: list[float]) -> None:
    checks = [
        Check("a", "", 10, lambda _: []),
        Check("b", "", 10, lambda _: []),
        Check("c", "", 10, lambda _: [], phase=2),
    ]
    assert [one.limit for one in run_checks(checks, cast("Any", _Stage(pace)))] == limits


def test_what_closes_a_node_to_pods_runs_alone() -> None:
    for name in ("drain", "volume", "leftovers"):
        (phase,) = (one.phase for one in CHECKS if one.name == name)
        assert [one.name for one in CHECKS if one.phase == phase] == [name]


def test_waiting_leaves_the_time_that_is_wanted_for_the_rest() -> None:
    scene = _Scene()
    scene.clock.start(10)
    with pytest.raises(TimedOut, match="late"):
        scene.clock.until(lambda: "late", keep=4)
    assert 5 <= scene.time <= 6


def test_junit_holds_the_cause() -> None:
    def act(_: Any) -> list[str]:
        raise Failed("no answer", cause="a firewall", look="nft list ruleset")

    text = junit("nodisk verify", [case(_run(act).to_json())])
    for words in ('failures="1"', "no answer", "likely cause: a firewall", "look further: nft list ruleset"):
        assert words in text


def test_choosing_checks() -> None:
    quick = {one.name for one in choose(CHECKS, quick=True, only=())}
    assert quick == {one.name for one in CHECKS} - {"cron", "drain", "volume"}
    for name in ("pull", "node-port", "access"):  # they speak to and from the pods that the check pods starts
        assert [one.name for one in choose(CHECKS, quick=False, only=(name,))] == ["pods", name]
    with pytest.raises(UsageError, match="unknown check 'pod'"):
        choose(CHECKS, quick=False, only=("pod",))


def test_every_check_has_words_and_a_limit_and_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/verify.md").read_text()
    table = page.split("| check | what it tries | limit | `--quick` |\n| --- | --- | --- | --- |\n")[1]
    assert len({one.name for one in CHECKS}) == len(CHECKS)
    rows = []
    for check in CHECKS:
        assert check.tries
        assert 1 <= check.limit <= 120
        rows.append(f"| `{check.name}` | {check.tries} | {check.limit:g} s | {'yes' if check.quick else ''} |")
    assert table.partition("\n\n")[0].splitlines() == rows


@dataclass
class _Stage:
    pace: float = 1.0
    clock: Clock = field(default_factory=Clock)


def test_checks_of_a_phase_run_together_and_phases_one_after_another() -> None:
    meet = threading.Barrier(2, timeout=120)  # one alone would break it
    done: list[str] = []

    def meeting(name: str) -> Any:
        def act(_: Any) -> list[str]:
            meet.wait()
            done.append(name)
            return [name]

        return act

    def last(_: Any) -> list[str]:
        return [str(len(done))]

    def broken(_: Any) -> list[str]:
        raise Failed("b → a")

    checks = [
        Check("last", "tries", 10, last, phase=2),
        Check("a", "tries", 10, meeting("a"), phase=0),
        Check("broken", "tries", 10, broken, phase=0),
        Check("b", "tries", 10, meeting("b"), phase=0),
    ]
    told: list[str] = []
    results = run_checks(checks, cast("Any", _Stage()), lambda result: told.append(result.name))
    assert [one.name for one in results] == ["last", "a", "broken", "b"]
    assert [str(one.outcome) for one in results] == ["ok", "ok", "failed", "ok"]
    assert results[0].evidence == ("2",)
    assert told[-1] == "last"
    assert sorted(told[:3]) == ["a", "b", "broken"]
