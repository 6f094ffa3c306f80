"""How long a stage may take: by the room's own boots, and never too little."""

from __future__ import annotations

import functools
import json
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.context import LabContext
from nodisk.machines import pace, status
from nodisk.machines.asked import Api, Asked
from nodisk.records.database import Database
from nodisk.records.events import Kind, Progress
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.values import Role, Stage

WAY = tuple(stage for stage in Stage if stage is not Stage.FAILED)
LEFT = WAY[:-1]
"""Stages that a machine leaves."""
SECONDS = st.floats(0, 20_000, allow_nan=False)
BOOT = st.lists(SECONDS, min_size=len(LEFT), max_size=len(LEFT))
MACHINE = st.tuples(st.sampled_from(list(Role)), st.lists(BOOT, max_size=8))
ROOM = st.lists(MACHINE, max_size=8)


def way(seconds: list[float]) -> Progress:
    """A boot that stayed so long at each stage."""
    times = tuple(zip(WAY, accumulate([1000.0, *seconds]), strict=False))
    return Progress(times[-1][0], times[-1][1], 1000.0, "1", "", times)


def of(room: list[tuple[Role, list[list[float]]]]) -> pace.Pace:
    return pace.pace((role, [way(boot) for boot in boots]) for role, boots in room)


@given(ROOM)
def test_each_limit_is_one_that_makes_sense(room: list[tuple[Role, list[list[float]]]]) -> None:
    found = of(room)
    assert found.limits.keys() == found.usual.keys()
    for (_, stage), limit in found.limits.items():
        assert pace.SHORTEST_OF.get(stage, pace.SHORTEST) <= limit <= pace.LONGEST
    for key, usual in found.usual.items():
        assert found.limits[key] >= min(pace.LONGEST, pace.MEDIANS * usual)


@given(st.lists(st.tuples(st.sampled_from(list(Role)), st.lists(BOOT, max_size=1)), max_size=pace.ENOUGH - 1))
def test_a_room_without_history_has_the_old_limit(room: list[tuple[Role, list[list[float]]]]) -> None:
    found = of(room)
    for role in Role:
        assert {found.limit(role, stage) for stage in LEFT} == {pace.TOO_LONG}


@given(ROOM, st.randoms())
def test_the_order_of_machines_does_not_count(room: list[tuple[Role, list[list[float]]]], random: object) -> None:
    shuffled = list(room)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert of(room) == of(shuffled)


@given(st.lists(BOOT, min_size=pace.ENOUGH, max_size=12))
def test_nine_of_ten_boots_would_have_been_silent_at_no_stage(boots: list[list[float]]) -> None:
    found = of([(Role.WORKER, [boot]) for boot in boots])
    for place, stage in enumerate(LEFT):
        limit = found.limit(Role.WORKER, stage)
        assert limit is not None
        taken = [seconds for boot in boots if (seconds := way(boot).times[place + 1][1] - way(boot).times[place][1])]
        late = sum(seconds >= limit for seconds in taken if seconds < pace.LONGEST)
        assert late <= len(boots) / 10


@given(BOOT, st.floats(1.5, 4.0))
def test_a_slower_room_has_more_time(boot: list[float], times: float) -> None:
    fast = of([(Role.WORKER, [boot])] * pace.ENOUGH)
    slow = of([(Role.WORKER, [[seconds * times for seconds in boot]])] * pace.ENOUGH)
    for stage in LEFT:
        assert (slow.limit(Role.WORKER, stage) or 0) >= (fast.limit(Role.WORKER, stage) or 0) - 1e-6


def test_figures() -> None:
    usual = [5.0, 10.0, 20.0, 40.0, 100.0, 30.0, 20.0, 10.0]
    found = of([(Role.WORKER, [usual])] * 9 + [(Role.WORKER, [[*usual[:3], 900.0, *usual[4:]]])])
    limits = {str(stage): found.limit(Role.WORKER, stage) for stage in WAY}
    assert limits == {
        "dhcp": 60.0,
        "ipxe": 60.0,
        "kernel": 120.0,
        "rootfs": 160.0,
        "config": 400.0,
        "os": 120.0,
        "enrolled": 300.0,
        "joined": 180.0,
        "ready": None,
    }
    # What workers took says nothing of a control plane, which does other things at the same stages.
    assert found.limit(Role.CONTROL_PLANE, Stage.OS) == pace.TOO_LONG
    assert found.limit(Role.WORKER, Stage.FAILED) is None
    assert found.limit(Role.WORKER, None) is None


def test_a_room_that_is_switched_on_at_once_has_the_time_of_that() -> None:
    alone, together = [5.0] * 8, [200.0] * 8
    found = of([(Role.WORKER, [alone])] * 8 + [(Role.WORKER, [together])] * 2)
    assert found.limit(Role.WORKER, Stage.CONFIG) == 400.0


def test_boots_that_came_to_nothing_say_nothing() -> None:
    stuck = Progress(Stage.KERNEL, 0.0, 0.0, "1", "", ((Stage.IPXE, 0.0), (Stage.KERNEL, 1.0)))
    assert pace.pace([(Role.WORKER, [stuck] * 10)]).limits == {}
    old = [way([1000.0] * 8)] * 5 + [way([1.0] * 8)] * 5
    assert set(pace.pace([(Role.WORKER, old)]).usual.values()) == {1.0}, "only the newest of a machine count"


LAB = """\
name: hall
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: a, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}
  - {name: b, mac: "52:54:00:00:00:02", address: 10.77.0.12}
"""


@pytest.mark.parametrize(("boots", "limit"), [(0, 600.0), (4, 600.0), (5, 60.0)])
def test_the_status_warns_by_it(tmp_path: Path, boots: int, limit: float) -> None:
    """By what is recorded: a machine's earlier boots, and the one in which it hangs."""
    (tmp_path / "lab.yaml").write_text(LAB)
    lab = load(tmp_path / "lab.yaml")
    context = LabContext(lab, tmp_path / "lab.yaml", State(tmp_path / "state").lab("hall"), None)
    machine, at = lab.machines[1], 0.0
    for boot in range(boots + 1):
        for stage in WAY if boot < boots else WAY[:4]:
            at += 10
            with Database(context.state.database, now=functools.partial(float, at)) as database:
                database.record(
                    Kind.STAGE, "", source="x", mac=machine.mac, machine="b", boot_id=str(boot), stage=stage
                )

    def seen(after: float) -> status.Row:
        found = status.of_records(context, Asked(Api.NONE, {}, ""), now=lambda: at + after)
        assert json.loads(json.dumps(status.to_json(found)))["machines"][1]["limit"] == limit
        return found.rows[1]

    assert seen(limit - 1).warning == ""
    assert seen(limit + 1).warning.startswith("at this stage for ")
