"""What an upgrade remembers: read as it was written, damage named, the way back the other way round."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.errors import IntegrityError
from nodisk.state import State
from nodisk.upgrade import journal
from nodisk.upgrade.journal import Journal

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6)


@st.composite
def journals(draw: st.DrawFn) -> Journal:
    names = draw(st.lists(NAMES, unique=True, max_size=12))
    steps, rest = [], names
    while rest:
        size = draw(st.integers(1, len(rest)))
        steps.append(tuple(rest[:size]))
        rest = rest[size:]
    number = draw(st.integers(0, len(steps)))
    done = tuple(name for step in steps[:number] for name in step)
    away = steps[number] if number < len(steps) and draw(st.booleans()) else ()
    before = {name: "0" for name in names if draw(st.booleans())}
    return Journal("1", tuple(steps), before, done, away, dict.fromkeys(away, "a boot"))


@given(journals())
def test_read_as_it_was_written(found: Journal) -> None:
    assert Journal.from_text(found.to_text()) == found
    assert Journal.from_text(found.turned().to_text()) == found.turned()


@given(journals())
def test_the_steps_end_with_everyone_done(found: Journal) -> None:
    now = found
    while now.left:
        now = now.begin(now.left[0], {}).end()
    assert sorted(now.done) == sorted(name for step in now.steps for name in step)
    assert now.away == ()


@given(journals())
def test_the_way_back_is_for_those_that_went_and_the_last_come_first(found: Journal) -> None:
    back = found.turned()
    gone = {*found.done, *found.away}
    whole = [name for step in found.steps for name in step]
    assert {name for step in back.steps for name in step} == {one for one in gone if one in found.before}
    firsts = [whole.index(step[0]) for step in back.steps]
    assert firsts == sorted(firsts, reverse=True)
    assert (back.turned(), back.done, back.away) == (back, (), ())


@given(journals(), st.dictionaries(NAMES, NAMES, max_size=3))
def test_a_step_that_begins_again_keeps_the_boots_from_before(found: Journal, boots: dict[str, str]) -> None:
    again = found.begin(found.away, boots)
    assert {**boots, **found.boots} == again.boots
    other = found.begin(("another",), boots)
    assert other.boots == boots


def test_files(tmp_path: Path) -> None:
    state = State(tmp_path).lab("room")
    assert journal.read(state) is None
    made = journal.write(state, Journal("1", (("cp1",),)))
    assert (journal.read(state), state.upgrade.stat().st_mode & 0o777) == (made, 0o600)
    journal.remove(state)
    assert journal.read(state) is None


@given(st.recursive(st.none() | st.booleans() | NAMES, lambda some: st.lists(some) | st.dictionaries(NAMES, some)))
def test_damage_is_named_whatever_it_is(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    state = State(tmp_path_factory.mktemp("state")).lab("room")
    state.root.mkdir(parents=True)
    whole = json.loads(Journal("1", (("cp1",),)).to_text())
    for key in whole:
        state.upgrade.write_text(json.dumps({**whole, key: value}))
        with contextlib.suppress(IntegrityError):  # no other error
            journal.read(state)
    state.upgrade.write_text(str(value))
    with pytest.raises(IntegrityError, match="not a valid record of an upgrade"):
        journal.read(state)
