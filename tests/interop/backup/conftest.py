"""Labs to back up, and disks that are soon full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.interop.backup.rooms import Room, tiny_disk


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    made.fill()
    return made


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    with ExitStack() as stack:
        yield lambda size: stack.enter_context(tiny_disk(tmp_path / "tiny", size))
