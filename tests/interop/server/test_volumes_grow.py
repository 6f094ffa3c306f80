"""A volume's growth that a power cut, or a kill, has interrupted is done by the next start of the server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.power_cut import Disk, disk

from nodisk import run
from nodisk.state import State
from nodisk.storage import volumes
from nodisk.storage.disks import Disks
from nodisk.storage.volumes import MIB, Volume

pytestmark = pytest.mark.interop

SMALL, LARGE = 16 * MIB, 48 * MIB


class Cut(Exception):
    """The power is gone; the program that was running never came to its end."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path, mib=128) as made:
        yield made


def capacity(disks: Disks, volume: Volume) -> int:
    found = os.statvfs(disks.place(volume))
    return found.f_blocks * found.f_frsize


@pytest.mark.parametrize("step", ["e2fsck", "resize2fs"])
def test_growth_is_taken_up_again(place: Disk, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(place.mount).lab("room")
    disks = Disks(state)

    def want(size: int) -> tuple[list[Volume], dict[str, str]]:
        return disks.arrange(list(volumes.ensure(state, "k8s", {"ann": "k8s-ann"}, size).values()), [])

    (volume,), problems = want(SMALL)
    assert not problems
    (disks.place(volume) / "work").write_text("a student's")
    disks.close()
    genuine = run.run

    def until_cut(argv: Any, **how: Any) -> Any:
        if argv[0] == step:
            genuine(["sync", "--file-system", place.mount])  # Linux writes by itself, too: the worst moment for it
            place.cut()
            raise Cut
        return genuine(argv, **how)

    monkeypatch.setattr(run, "run", until_cut)
    with pytest.raises(Cut):
        want(LARGE)
    monkeypatch.setattr(run, "run", genuine)
    place.pull_out()
    assert place.check() == ""
    place.plug_in()
    try:
        (volume,), problems = want(LARGE)
        assert not problems
        assert capacity(disks, volume) >= LARGE
        assert (disks.place(volume) / "work").read_text() == "a student's"
        assert not list(disks.folder.glob("*.growing"))
    finally:
        disks.close()
