"""A volume that failed is tried again alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nodisk import run
from nodisk.errors import CommandFailed
from nodisk.state import State
from nodisk.storage import volumes
from nodisk.storage.disks import Disks


def test_only_what_failed_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(tmp_path).lab("room")
    wanted = list(volumes.ensure(state, "c", {"ann": "c-ann", "bob": "c-bob"}, 16 * volumes.MIB).values())
    disks = Disks(state)
    disks.arrange([], [])
    ran: list[str] = []
    full = True

    def fake(argv: Sequence[str | Path], **_: Any) -> None:
        ran.append(str(argv[0]))
        if full:
            raise CommandFailed([str(argv[0])], 1, "no space left")

    monkeypatch.setattr(run, "run", fake)
    assert not disks.mend(["c-ann-1"], wanted)
    assert ran == ["mkfs.ext4"]
    full = False
    assert disks.mend(["c-ann-1"], wanted)
    assert ran == ["mkfs.ext4", "mkfs.ext4", "mount"]
    assert [path.name for path in disks.root.iterdir()] == [wanted[0].path]
