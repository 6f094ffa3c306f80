"""Which worker takes which tests: by the real scheduler, and workers that only take notes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from tests.support import shares
from tests.support.shares import PLANES, SHARES, Shares

FILES = (
    *("tests/api/test_backup.py", "tests/api/test_names.py", "tests/api/test_classes.py", "tests/api/test_addons.py"),
    *("tests/api/test_upgrade.py", "tests/api/test_new.py", "tests/interop/server/test_layers.py"),
    *("tests/interop/node/test_peers.py", "tests/golden/plan/test_plan.py", "tests/unit/test_run.py"),
)
TESTS = sorted(
    (f"{file}::{test}" for file in FILES for test in ("test_one", "test_two[a::b]", "Of::test_three")),
    key=lambda name: shares.turn(name.partition("::")[0]),
)


@dataclass
class Worker:
    """One that runs what it is sent when the test says so."""

    name: str
    sent: list[int] = field(default_factory=list)
    ran: list[int] = field(default_factory=list)
    shutting_down: bool = False

    @property
    def gateway(self) -> Any:
        return SimpleNamespace(id=self.name)

    def __hash__(self) -> int:
        return hash(self.name)

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.sent += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def begun(count: int) -> tuple[Shares, list[Worker]]:
    options = SimpleNamespace(loadscopereorder=False)
    scheduler = Shares(cast("Any", SimpleNamespace(getvalue=lambda _: [f"{count}*popen"], option=options)))
    workers = [Worker(f"gw{number}") for number in range(count)]
    for one in workers:
        scheduler.add_node(one)
    for one in workers:
        scheduler.add_node_collection(one, TESTS)
    assert scheduler.collection_is_completed
    scheduler.schedule()
    return scheduler, workers


def ended(scheduler: Shares, workers: Sequence[Worker], dice: random.Random) -> None:
    """All of it run, by workers of which now this, now that is faster."""
    while busy := [one for one in workers if one.sent]:
        one = dice.choice(busy)
        one.ran.append(one.sent.pop(0))
        scheduler.mark_test_complete(one, one.ran[-1])
    assert not scheduler.has_pending


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_each_file_and_each_plane_has_one_worker(count: int, seed: int) -> None:
    scheduler, workers = begun(count)
    ended(scheduler, workers, random.Random(seed))  # noqa: S311 - who is faster, no secret
    assert sorted(index for one in workers for index in one.ran) == list(range(len(TESTS)))
    whose = {file: {one.name for one in workers if any(TESTS[i].startswith(file) for i in one.ran)} for file in FILES}
    assert all(len(names) == 1 for names in whose.values())
    for share in SHARES:
        mine = {name.split("::")[1] for name in shares.shared(TESTS) if name.startswith(share)}
        assert len(mine) == 2, "six files of API, three planes"
        assert len(set.union(*(whose[file] for file in mine))) == 1


def test_what_waits_longest_comes_first() -> None:
    scheduler, (only,) = begun(1)
    ended(scheduler, [only], random.Random())  # noqa: S311 - no secret
    order = dict.fromkeys(PurePosixPath(TESTS[index].partition("::")[0]).stem for index in only.ran)
    planes = ["test_classes", "test_names", "test_upgrade", "test_new", "test_backup", "test_addons"]
    assert list(order) == [*planes, "test_layers", "test_peers", "test_plan", "test_run"]


def test_a_crash_is_told_by_the_test_s_own_name() -> None:
    scheduler, workers = begun(PLANES)
    crashed = scheduler.remove_node(workers[0])
    assert crashed == TESTS[workers[0].sent[0]]
    assert crashed.startswith("tests/api/")


def test_names_come_back() -> None:
    assert [shares.own_name(name) for name in shares.shared(TESTS)] == TESTS
