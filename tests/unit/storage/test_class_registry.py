"""What ``class_registry.size`` asks of the disk: arithmetic, and when nothing is touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk import run
from nodisk.check import class_registry as check
from nodisk.check.findings import Level
from nodisk.errors import CommandFailed, EnvironmentProblem
from nodisk.spec.model import Lab
from nodisk.spec.model_class_registry import ClassRegistry
from nodisk.state import LabState, State
from nodisk.storage import class_registry, filesystem
from nodisk.storage.class_registry import SPARE, Room
from nodisk.values import Size

MIB, GIB = 1 << 20, 1 << 30


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    found = State(tmp_path).lab("room")
    found.root.mkdir(parents=True)
    return found


def lab(size: int | None) -> Lab:
    limits = None if size is None else ClassRegistry(size=Size(size), per_namespace=Size(MIB))
    machine = {"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}
    found = Lab.model_validate(
        {"name": "room", "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"}, "machines": [machine]}
    )
    return found.model_copy(update={"class_registry": limits})


@given(st.integers(0, 1 << 24))
def test_capacity_is_the_reverse_of_the_file_s_size(mib: int) -> None:
    assert filesystem.capacity(filesystem.file_size(mib * MIB)) == mib * MIB


def room(size: int, there: int, free: int, *, taken: int | None = None) -> Room:
    file = filesystem.file_size(there) if there else 0
    return Room(Size(size), file, file if taken is None else taken, free)


def test_what_is_asked_of_the_disk() -> None:
    enough = filesystem.file_size(20 * GIB) + SPARE
    assert not room(20 * GIB, 0, enough).problem
    made = room(20 * GIB, 0, enough - 1)
    assert made.short
    assert made.problem == "20Gi takes 20.5 GiB of the server's disk, which has 23.5 and must keep 3"
    assert not room(20 * GIB, 20 * GIB, 0).problem, "it has its blocks, however full the disk is"
    grown = room(20 * GIB, 10 * GIB, SPARE)
    assert (grown.short, grown.outcome) == (True, Size(10 * GIB))
    assert grown.problem.endswith(": it stays at 10Gi")
    smaller = room(10 * GIB, 20 * GIB, 100 * GIB)
    assert smaller.problem == "it has 20Gi and can't shrink to 10Gi: it stays as it is"
    assert (smaller.outcome, smaller.wanted) == (Size(20 * GIB), smaller.there)
    assert room(GIB, GIB, SPARE, taken=0).short, "a copy with holes"


def test_a_disk_without_room_is_left_alone(state: LabState, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(run, "run", lambda argv, **_: ran.append(argv[0]))
    usage = shutil.disk_usage(state.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=SPARE))
    with pytest.raises(EnvironmentProblem, match="must keep 3"):
        class_registry.mount(state, Size(16 * MIB))
    assert (ran, list(state.root.iterdir())) == ([], [])


def test_all_blocks_are_the_file_s_from_the_start(state: LabState, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Sequence[str | Path]] = []
    monkeypatch.setattr(run, "run", lambda argv, **_: ran.append(argv))
    class_registry.mount(state, Size(16 * MIB))
    file = class_registry.file_system(state).file
    assert file.stat().st_blocks * 512 >= file.stat().st_size == filesystem.file_size(16 * MIB)
    assert [words[0] for words in ran] == ["mkfs.ext4", "mount"]
    assert "nodiscard" in ran[0]
    options = ",".join(map(str, ran[1])).split(",")
    assert "discard" not in options
    assert "noinit_itable" in options, "which would make holes, some seconds later"
    os.truncate(file, 0)
    os.truncate(file, filesystem.file_size(16 * MIB))
    class_registry.mount(state, Size(16 * MIB))
    assert file.stat().st_blocks * 512 >= file.stat().st_size, "what was given back is taken again"
    class_registry.mount(state, Size(32 * MIB))
    assert file.stat().st_blocks * 512 >= file.stat().st_size == filesystem.file_size(32 * MIB)
    assert [words[0] for words in ran] == ["mkfs.ext4", "mount", "mount", "e2fsck", "resize2fs", "mount"]
    assert class_registry.mount(state, Size(16 * MIB)).smaller
    assert file.stat().st_size == filesystem.file_size(32 * MIB)
    assert not list(state.root.glob("*.growing"))


def test_what_could_not_be_made_keeps_no_blocks(state: LabState, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(argv: Sequence[str | Path], **_: Any) -> None:
        raise CommandFailed([str(argv[0])], 1, "no")

    monkeypatch.setattr(run, "run", fails)
    with pytest.raises(CommandFailed):
        class_registry.mount(state, Size(16 * MIB))
    assert list(state.root.iterdir()) == []


def test_what_check_says(state: LabState) -> None:
    assert check.registry(lab(None), state) == []
    (found,) = check.registry(lab(16 * MIB), state)
    assert (found.level, found.message) == (
        Level.OK,
        "16Mi of the server's disk are reserved for students' images once the server is reloaded or started",
    )
    (found,) = check.registry(lab(1 << 50), state)
    assert (found.level, "1024Ti takes" in found.message) == (Level.WARNING, True)
    file = class_registry.file_system(state).file
    with file.open("wb") as there:
        os.posix_fallocate(there.fileno(), 0, filesystem.file_size(32 * MIB))
    (found,) = check.registry(lab(16 * MIB), state)
    assert found.message == "students' images: it has 32Mi and can't shrink to 16Mi: it stays as it is"
    assert (found.level, found.hint.startswith("size: 32Mi; ")) == (Level.WARNING, True)
    (found,) = check.registry(lab(32 * MIB), state)
    assert (found.level, found.message.endswith("students' images")) == (Level.OK, True)
    (found,) = check.registry(lab(None), state)
    assert (found.level, str(file) in found.hint) == (Level.WARNING, True)
