"""A run's pieces: what counts as a result, and what a cluster that is away leaves to the next run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.spec_runs import begun

from nodisk.conformance import runner
from nodisk.conformance.records import Run
from nodisk.conformance.results import Outcome, Result
from nodisk.conformance.specs import PIECE, Spec
from nodisk.conformance.suite import Ended
from nodisk.kube.errors import Overloaded

PASSED, FAILED, UNDECIDED = Outcome.PASSED, Outcome.FAILED, Outcome.UNDECIDED


class Cluster:
    """Stands in for a suite and the API that it runs on: each spec has its own outcome while the API is away."""

    def __init__(self, meanwhile: Mapping[str, Outcome], *, away: bool) -> None:
        self.meanwhile, self.away = meanwhile, away
        self.ran: list[str] = []
        self._lock = threading.Lock()

    def run(self, piece: Sequence[Spec]) -> Ended:
        with self._lock:
            self.ran += [spec.name for spec in piece]
        return Ended(
            tuple(Result(spec.name, self.meanwhile[spec.name] if self.away else PASSED) for spec in piece),
            b"<testsuite/>",
            "said",
        )

    def check(self) -> None:
        if self.away:
            raise Overloaded("GET /readyz: etcd failed", status=500)


def go(run: Run, cluster: Cluster, *, shards: int = 1, end: Callable[[], object] = lambda: None) -> dict[str, Result]:
    return runner.run_all(
        run,
        cluster,
        shards=shards,
        again=cluster,
        now=lambda: 0.0,
        begin=lambda: None,
        end=end,
        check=cluster.check,
        tell=lambda *_: None,
    )


@given(st.lists(st.sampled_from([PASSED, FAILED, UNDECIDED]), min_size=1, max_size=30), st.integers(1, 3))
def test_what_fails_on_a_cluster_that_is_away_is_no_result(
    tmp_path_factory: pytest.TempPathFactory, meanwhile: list[Outcome], shards: int
) -> None:
    outcomes = {f"[sig-a] {number:02} [Conformance]": outcome for number, outcome in enumerate(meanwhile)}
    run = begun(tmp_path_factory.mktemp("runs"), list(outcomes))
    cluster = Cluster(outcomes, away=True)
    if set(meanwhile) == {PASSED}:
        go(run, cluster, shards=shards)
    else:
        with pytest.raises(Overloaded):
            go(run, cluster, shards=shards)
    known = run.results()
    assert {one.outcome for one in known.values()} <= {PASSED}
    assert set(known) <= {name for name, outcome in outcomes.items() if outcome is PASSED}
    back = Cluster(outcomes, away=False)
    found = go(run, back, shards=shards)
    assert {name: (one.outcome, one.runs) for name, one in found.items()} == dict.fromkeys(outcomes, (PASSED, 1))
    assert sorted(back.ran) == sorted(outcomes.keys() - known.keys()), "only what was lacking"


def test_the_second_run_of_a_spec_is_no_result_either(tmp_path: Path) -> None:
    """Failed once on a cluster that was well, then the cluster went away: the next run runs it again, as the second."""
    name = "[sig-a] fails [Conformance]"
    run = begun(tmp_path, [name])
    run.keep([Result(name, FAILED)], junit=None, log="")
    ended: list[bool] = []
    with pytest.raises(Overloaded):
        go(run, Cluster({name: FAILED}, away=True), end=lambda: ended.append(True))
    assert ended == [True]
    assert run.results()[name].runs == 1
    found = go(run, Cluster({}, away=False))
    assert (found[name].outcome, found[name].runs) == (PASSED, 2)


def test_no_new_process_begins_once_one_has_ended_the_run(tmp_path: Path) -> None:
    names = [f"[sig-a] {number:03} [Conformance]" for number in range(20 * PIECE)]
    cluster = Cluster(dict.fromkeys(names, FAILED), away=True)
    with pytest.raises(Overloaded):
        go(begun(tmp_path, names), cluster, shards=2)
    assert len(cluster.ran) <= 4 * PIECE
