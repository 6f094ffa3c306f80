"""Labs to back up, and disks that are soon full."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.interop.backup.rooms import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    made.fill()
    return made


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    made: list[Path] = []

    def mount(size: str) -> Path:
        place = tmp_path / "tiny"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
        made.append(place)
        return place

    yield mount
    for place in made:
        subprocess.run(["umount", place], check=True)
