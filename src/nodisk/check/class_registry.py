"""Whether the server's disk can hold what ``class_registry.size`` promises, and whether it can be put into effect."""

from __future__ import annotations

from nodisk.check.findings import Finding, ok, warning
from nodisk.spec.model import Lab
from nodisk.state import LabState
from nodisk.storage import class_registry

_NAME = "registry"


def registry(lab: Lab, state: LabState) -> list[Finding]:
    """Nothing where there is no registry for students' images, and never was."""
    limits = lab.class_registry if lab.has_cluster else None
    file = class_registry.file_system(state).file
    if limits is None:
        if not file.exists():
            return []
        taken = f"{file.stat().st_blocks * 512 / 2**30:.1f} GiB"
        text = f"lab.yaml has no class_registry any more, and {file} still takes {taken}"
        return [warning(_NAME, text, f"if its images are not to come back: reload the server, then rm {file}")]
    room = class_registry.look(state, limits.size)
    if room.smaller:
        hint = f"size: {room.has}; or give up all images: stop the server, rm {file}, start it"
        return [warning(_NAME, f"students' images: {room.problem}", hint)]
    if room.short:
        return [warning(_NAME, f"students' images: {room.problem}", "free some space, or choose a smaller size")]
    when = "" if room.there >= room.wanted else " once the server is reloaded or started"
    return [ok(_NAME, f"{limits.size} of the server's disk are reserved for students' images{when}")]
