"""The order of an upgrade: everyone once, control planes alone and first, never more workers away than the wave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.upgrade.plan import One, Plan, Runs, Wave, plan
from nodisk.values import Role

WAVES = st.one_of(
    st.integers(1, 120).map(lambda number: Wave.parse(str(number))),
    st.integers(1, 100).map(lambda number: Wave.parse(f"{number}%")),
)
ROOMS = st.lists(st.tuples(st.sampled_from(Role), st.sampled_from(Runs)), max_size=80).map(
    lambda found: [One(f"m{number}", role, runs) for number, (role, runs) in enumerate(found)]
)


@given(ROOMS, WAVES)
def test_everyone_once_and_never_too_many(room: list[One], wave: Wave) -> None:
    found = plan(room, wave)
    by_name = {one.name: one for one in room}
    stepped = [name for step in found.steps for name in step]
    assert sorted([*stepped, *found.done, *found.absent]) == sorted(by_name)
    assert {by_name[name].runs for name in stepped} <= {Runs.OLD}
    workers = sum(one.role is Role.WORKER for one in room)
    for step in found.steps:
        assert step
        roles = {by_name[name].role for name in step}
        assert len(step) <= (1 if roles != {Role.WORKER} else wave.size(workers))
    roles_in_order = [by_name[name].role for name in stepped]
    assert roles_in_order == sorted(roles_in_order, key=lambda role: role is Role.WORKER)


@given(ROOMS, WAVES, st.integers(0, 80))
def test_what_is_left_after_some_steps_is_the_rest_of_the_plan(room: list[One], wave: Wave, count: int) -> None:
    """So whoever runs the command again after any number of steps goes on where it stood."""
    whole = plan(room, wave)
    gone = {name for step in whole.steps[:count] for name in step}
    later = [One(one.name, one.role, Runs.NEW if one.name in gone else one.runs) for one in room]
    assert plan(later, wave).steps == whole.steps[count:]


@given(st.integers(1, 100), st.integers(0, 1000))
def test_a_share_is_never_exceeded_but_by_the_one_that_must_go(percent: int, workers: int) -> None:
    size = Wave.parse(f"{percent}%").size(workers)
    assert size == 1 or size * 100 <= percent * workers


def test_a_room_of_ten() -> None:
    room = [One(f"cp{n}", Role.CONTROL_PLANE, Runs.OLD) for n in (1, 2)]
    room += [One(f"w{n}", Role.WORKER, Runs.OLD) for n in range(1, 9)]
    room += [One("w9", Role.WORKER, Runs.NEW), One("w10", Role.WORKER, Runs.NOTHING)]
    assert plan(room, Wave.parse("30%")) == Plan(
        steps=(("cp1",), ("cp2",), ("w1", "w2", "w3"), ("w4", "w5", "w6"), ("w7", "w8")), done=("w9",), absent=("w10",)
    )


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-1", "20 %", "1.5", "٣", "99999", "%", "20%%", "all"])
def test_what_is_no_wave(text: str) -> None:
    with pytest.raises(ValueError, match="is not a wave"):
        Wave.parse(text)


@given(st.text(max_size=8))
def test_any_text_is_a_wave_or_refused(text: str) -> None:
    try:
        wave = Wave.parse(text)
    except ValueError:
        return
    assert 1 <= wave.size(30) <= 9999
