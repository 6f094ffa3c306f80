"""The configuration of nfs-ganesha: students' storage, NFS version 4 only. Pure.

Its root is a folder that can be traversed but not listed: to find an export, one must know its random path. It
answers only the lab's machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodisk import ports
from nodisk.spec.model import Lab


@dataclass(frozen=True, slots=True)
class Export:
    """One volume."""

    number: int
    """Unique, and not 0, which is the root's."""
    folder: Path
    path: str
    """The path that clients ask for, without the slash."""


def clients(lab: Lab) -> str:
    """Whom it answers: the lab's machines."""
    return ", ".join(str(machine.address) for machine in lab.machines)


def ganesha(lab: Lab, exports: Sequence[Export], *, root: Path, recovery: Path) -> str:
    """The configuration file; ``root``: a folder with a subfolder for each export's path.

    After a restart, existing clients have half a minute to reclaim their locks (Grace_Period); writing continues when
    that is over, or all clients have done so. Users are numeric: machines and server share no names.
    """
    machines = clients(lab)
    lines = [
        "NFS_CORE_PARAM {",
        f"    NFS_Port = {ports.NFS};",
        # Release 4.3 takes it for an IPv6 address, and then listens on all; the lists of clients hold all the same.
        f"    Bind_addr = {lab.network.server};",
        "    Protocols = 4;",
        "    Enable_NLM = false;",
        "    Enable_RQUOTA = false;",
        "    Enable_UDP = false;",
        # Release 6 otherwise ends where root lacks CAP_SYS_RESOURCE, as in a container; 4.3 doesn't know it, and warns.
        "    Allow_Set_Io_Flusher_Fail = true;",
        "}",
        "NFSV4 {",
        "    RecoveryBackend = fs;",
        f'    RecoveryRoot = "{recovery}";',
        "    Only_Numeric_Owners = true;",
        "    Lease_Lifetime = 20;",
        "    Grace_Period = 30;",
        "}",
        "NFS_KRB5 { Active_krb5 = false; }",
        "LOG { Default_Log_Level = WARN; }",
        *_export(0, root, "", squash="All", access="MDONLY_RO", machines=machines),
    ]
    for export in exports:
        lines += _export(
            export.number, export.folder, export.path, squash="No_Root_Squash", access="RW", machines=machines
        )
    return "\n".join((*lines, ""))


def _export(number: int, folder: Path, path: str, *, squash: str, access: str, machines: str) -> list[str]:
    return [
        "EXPORT {",
        f"    Export_Id = {number};",
        f'    Path = "{folder}";',
        f'    Pseudo = "/{path}";',
        "    Access_Type = None;",
        f"    Squash = {squash};",
        "    Protocols = 4;",
        "    Transports = TCP;",
        "    SecType = sys;",
        "    FSAL { Name = VFS; }",
        f"    CLIENT {{ Clients = {machines}; Access_Type = {access}; Protocols = 4; }}",
        "}",
    ]
