"""What nfs-ganesha says when it doesn't take over an export, and what it says when all is well."""

import asyncio
from pathlib import Path

import pytest

from nodisk.errors import NodiskError
from nodisk.server.storage import Keeper
from nodisk.server.supervisor import Supervisor
from nodisk.spec.load import parse
from nodisk.state import State

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
        keeper._heed(line)
    asyncio.run(keeper._check_exports())
    keeper._heed(LOST)
    with pytest.raises(NodiskError, match="Could not create export for"):
        asyncio.run(keeper._check_exports())
