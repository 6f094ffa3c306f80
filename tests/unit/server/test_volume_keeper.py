"""What nfs-ganesha says when it doesn't take over an export, and what it says when all is well."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from tests.support.waits import until_async

from nodisk import run
from nodisk.errors import NodiskError
from nodisk.server import volume_keeper
from nodisk.server.supervisor import Supervisor
from nodisk.server.volume_keeper import Keeper
from nodisk.spec.load import parse
from nodisk.state import State
from nodisk.storage import steps, volumes
from nodisk.storage.volumes import Volume

LAB = """
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}
"""
AT = "24/11/2026 00:19:24 : epoch 6b04d80c : vm : nfs-ganesha-2[main]"
FINE = (
    f"{AT} gsh_dbus_pkginit :DBUS :CRIT :dbus_bus_get failed",
    f"{AT} config_errs_to_log :CONFIG :WARN :Config File (g.conf:8): Unknown parameter (Allow_Set_Io_Flusher_Fail)",
    f"{AT} gssd_refresh_krb5_machine_credential :NFS CB :CRIT :ERROR: no usable keytab entry found",
)
LOST = f"{AT} fsal_cfg_commit :CONFIG :CRIT :Could not create export for (/) to (/srv/root)"


def test_an_export_that_is_not_taken_over_ends_the_nfs_server(tmp_path: Path) -> None:
    state = State(tmp_path).lab("room")
    state.run.mkdir(parents=True)
    keeper = Keeper(parse(LAB, file=Path("lab.yaml")), state, Supervisor(tmp_path, lambda _: None), lambda _: None)
    for line in FINE:
        keeper.heed(line)
    asyncio.run(keeper.check_exports())
    keeper.heed(LOST)
    with pytest.raises(NodiskError, match="Could not create export for"):
        asyncio.run(keeper.check_exports())


class _Disks:
    """A disk that is full until somebody makes room; what was called is counted."""

    full = True
    arranged = mended = 0

    def __init__(self, _: object) -> None:
        pass

    def arrange(self, wanted: Sequence[Volume], _: Sequence[Volume]) -> tuple[list[Volume], dict[str, str]]:
        _Disks.arranged += 1
        return [], {volume.name: "no space left" for volume in wanted} if _Disks.full else {}

    def mend(self, failed: Collection[str], wanted: Sequence[Volume]) -> bool:
        assert list(failed) == [volume.name for volume in wanted]
        _Disks.mended += 1
        return not _Disks.full


def test_a_volume_that_failed_is_tried_again_without_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(volume_keeper, "Disks", _Disks)
    monkeypatch.setattr(steps, "SETTLE", 0.01)
    monkeypatch.setattr(steps, "RETRY", 0.05)
    monkeypatch.setattr(run, "find", Path)
    state = State(tmp_path).lab("room")
    state.run.mkdir(parents=True)
    volumes.ensure(state, "algebra", {"ann": "algebra-ann"}, 32 * volumes.MIB)
    said: list[str] = []
    keeper = Keeper(parse(LAB, file=Path("lab.yaml")), state, Supervisor(tmp_path, said.append), said.append)

    def problems() -> dict[str, str] | None:
        found = volumes.report(state)
        return None if found is None else dict(found.problems)

    async def session() -> None:
        task = asyncio.create_task(keeper.run())
        try:
            await until_async(lambda: problems() == {"algebra-ann-1": "no space left"} and _Disks.mended > 2)
            assert _Disks.arranged == 1, "nobody's storage is interrupted in vain"
            _Disks.full = False
            await until_async(lambda: problems() == {})
        finally:
            task.cancel()

    asyncio.run(session())
    assert said.count("students' storage: algebra-ann-1: no space left") == 1
