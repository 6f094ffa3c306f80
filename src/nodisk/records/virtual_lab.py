"""Whether a lab's last server was a virtual lab's or a real room's, and whether QEMU emulates its machines.

The record of a virtual lab that runs is ``nodisk.virtual_record``.
"""

from __future__ import annotations

from nodisk import files
from nodisk.records import host
from nodisk.state import LabState

BRIDGE = "lab0"
"""The bridge of a virtual lab, which holds its server's address."""


def note_emulated(state: LabState, *, yes: bool) -> None:
    """Record whether QEMU translates the machines' instructions, before the server of a virtual lab starts."""
    if yes:
        files.write(state.emulated, "")
    else:
        state.emulated.unlink(missing_ok=True)


def emulated(state: LabState) -> bool:
    """Whether QEMU translates the machines' instructions; False in a real room."""
    return state.emulated.exists()


def room_interface(state: LabState) -> str | None:
    """The interface on which a real room's server last used this state; None for a virtual lab or new state.

    A state that was restored from a backup is new: no server of this host has used it.
    """
    # A server writes what it finds of the host, then etcd makes its own folder.
    if not state.host.exists() or not (state.etcd / "member").exists():
        return None
    found = host.read(state.host)
    interface = "unknown" if found is None else found.interface
    return None if interface == BRIDGE else interface
