"""A console for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.console.consoles import Room, room_in
from tests.unit.console.test_classes import class_

from nodisk.classes import record
from nodisk.classes.record import Class


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with room_in(tmp_path) as made:
        yield made


@pytest.fixture
def physics(room: Room, tmp_path: Path) -> Class:
    """A teacher's class, beside another teacher's."""
    class_(room, "history", "Jan Lis")
    made = class_(room, "physics", "Anna Nowak").model_copy(update={"out": str(tmp_path / "handouts")})
    record.save(room.console.context.state, made)
    return made
