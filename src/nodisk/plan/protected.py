"""The parts of the image that no Butane snippet may change: the units and programs that make the machine a node.

``plan.snippets`` protects what nodisk's own Ignition writes; this module protects what is in the image. A drop-in may
set a unit's environment, limits or ordering, but not what it runs. This protects against mistakes, not malice: a unit
of the snippet's own runs as root anyway, and nobody can check what Ignition fetches at boot
(``ignition.config.merge``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote_to_bytes

from nodisk import node
from nodisk.butane.dataurl import content

PROGRAMS = (
    *("/usr/bin/kubelet", "/usr/bin/kube-proxy", "/usr/bin/kubeadm"),
    *("/usr/bin/containerd", "/usr/bin/containerd-shim-runc-v2", "/usr/sbin/runc", "/usr/bin/runc", "/usr/lib/cni"),
)
"""Units of the release and of Debian without which a machine is no node."""
PACKAGED_UNITS = ("containerd.service", "systemd-networkd.service", "systemd-timesyncd.service", "nftables.service")
"""The same, of Debian's packages."""
_UNIT_FOLDERS = tuple(
    PurePosixPath(folder)
    for folder in (
        *("/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient"),
        *("/run/systemd/generator.early", "/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system"),
        *("/run/systemd/system.attached", "/run/systemd/generator", "/usr/local/lib/systemd/system"),
        *("/usr/lib/systemd/system", "/run/systemd/generator.late"),
    )
)
"""Where systemd looks for units: systemd.unit(5), "Unit File Load Path"."""
_KERNELS_OWN = tuple(map(PurePosixPath, ("/proc", "/sys", "/dev")))
_MERGED = ("/bin", "/sbin", "/lib", "/lib64")
"""Links to their namesakes below ``/usr``."""
_SETTING = re.compile(r"^\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*)$", re.MULTILINE)
_HARMLESS = re.compile(
    "Description|Documentation|After|Before|Wants|RequiresMountsFor|Environment|PassEnvironment|Limit.*|Memory.*|CPU.*"
    "|Allowed(CPUs|MemoryNodes)|StartupCPU.*|IO.*|Tasks.*|Nice|OOM.*|ManagedOOM.*|Slice|Restart.*|StartLimit.*|Timeout.*"
    "|WatchdogSec|Standard(Output|Error)|Log.*|Syslog.*|UMask"
)
"""Drop-in settings that don't change what a unit does."""
_STEERS = re.compile(r"(?:^|[\s\"'])(PATH|LD_[A-Z_]+|KUBELET_FLAGS|GOTRACEBACK)=")
"""Variables that would run another program, or change how this one runs."""


@cache
def units() -> frozenset[str]:
    """The units in the image that nodisk provides or needs."""
    own = (node.IMAGE / "usr/lib/systemd/system").iterdir()
    return frozenset((*(path.name for path in own), *PACKAGED_UNITS))


@cache
def paths() -> frozenset[PurePosixPath]:
    """The files and folders in the image that nodisk provides or needs, except the units'."""
    brought = (path.relative_to(node.IMAGE) for path in node.IMAGE.rglob("*") if path.is_file())
    own = {PurePosixPath("/") / path.as_posix() for path in brought}
    return frozenset({*own, PurePosixPath("/usr/lib/nodisk"), *map(PurePosixPath, PROGRAMS)})


def changed(overlay: Mapping[str, Any]) -> Iterator[str]:
    """Check which protected parts a snippet's Ignition would change; one sentence each."""
    for unit in (overlay.get("systemd") or {}).get("units") or []:
        yield from _unit(unit)
    storage = overlay.get("storage") or {}
    for part, what in (("files", "file"), ("links", "link"), ("directories", "directory")):
        for entry in storage.get(part) or []:
            yield from _entry(what, entry)


def replaces(name: str) -> bool:
    """Whether a unit of that name replaces one of the image's: the same name, or an instance of its template."""
    stem, _, kind = name.rpartition(".")
    template = f"{stem.partition('@')[0]}@.{kind}" if "@" in stem else name
    return name in units() or template in units()


def governs(name: str) -> bool:
    """Whether drop-ins under that name (without ``.d``) apply to one of the image's units.

    systemd.unit(5): those of the unit, of its template, of each prefix that ends with a dash, and of its type.
    """
    stem, _, kind = name.rpartition(".")
    mine = [unit for unit in units() if unit.endswith(f".{kind}")]
    return replaces(name) or (not stem and bool(mine)) or (stem.endswith("-") and any(u.startswith(stem) for u in mine))


def _unit(unit: Mapping[str, Any]) -> Iterator[str]:
    name = str(unit["name"])
    if replaces(name):
        for done, word in ((unit.get("mask"), "masked"), (unit.get("enabled") is False, "disabled")):
            if done:
                yield f"unit {name}: {word}, but without it the machine is no node"
        if unit.get("contents"):
            yield f"unit {name}: replaced, but it is the image's own; use a drop-in, or a unit of another name"
    if governs(name):
        for part in unit.get("dropins") or []:
            yield from _dropin(name, str(part["name"]), str(part.get("contents") or ""))
    if name.endswith((".mount", ".automount")) and unit.get("mask") is not True:
        yield from _covers(f"unit {name}", _mount_point(name), "mounts over")


def _dropin(name: str, part: str, text: str) -> Iterator[str]:
    # A backslash at its end continues a line.
    for setting, value in dict.fromkeys(_SETTING.findall(text.replace("\\\n", " "))):
        steers = _STEERS.search(value) if setting == "Environment" else None
        if not _HARMLESS.fullmatch(setting):
            yield f"unit {name}: its drop-in {part} sets {setting}=, which is the image's own to decide"
        elif steers:
            yield f"unit {name}: its drop-in {part} sets {steers[1]}, which decides what runs"


def _entry(what: str, entry: Mapping[str, Any]) -> Iterator[str]:
    path = normal(str(entry["path"]))
    where = f"{what} {entry['path']}"
    if any(path.is_relative_to(folder) for folder in _KERNELS_OWN):
        yield f"{where}: below {'/'.join(path.parts[:2])[1:]} are no files of the machine's; choose another path"
    if path in paths() or any(parent in paths() for parent in path.parents):
        # A directory that is just named stays as it is.
        if what != "directory" or _alters(entry):
            yield f"{where}: it is the image's own, without which the machine is no node; choose another path"
    elif what == "link" or (what == "directory" and _alters(entry)) or (what == "file" and entry.get("overwrite")):
        yield from _covers(where, path, "replaces")
    for folder in _UNIT_FOLDERS:
        if path != folder and path.is_relative_to(folder):
            yield from _in_unit_folder(what, where, path.relative_to(folder), entry)


def _in_unit_folder(what: str, where: str, path: PurePosixPath, entry: Mapping[str, Any]) -> Iterator[str]:
    """A unit, its drop-in or its links, written as a file rather than under ``systemd.units``."""
    first = path.parts[0]
    if len(path.parts) == 1 and what != "directory" and replaces(first):
        yield f"{where}: replaces the image's own unit {first}; use a drop-in, or a unit of another name"
    elif len(path.parts) == 1 and what == "link" and first.endswith(".d") and governs(first.removesuffix(".d")):
        yield f"{where}: a folder of drop-ins that nodisk can't see; write them under systemd.units"
    elif len(path.parts) > 1 and what != "directory" and first.endswith(".d") and governs(first.removesuffix(".d")):
        name = first.removesuffix(".d")
        try:
            yield from _dropin(name, path.parts[1], _text(entry))
        except ValueError:
            yield f"{where}: a drop-in of {name} whose text nodisk can't see; write it under systemd.units"


def _text(entry: Mapping[str, Any]) -> str:
    """The text of an Ignition file's contents and appended parts; raises ValueError for content outside the config."""
    parts = [entry.get("contents") or {}, *(entry.get("append") or [])]
    if "target" in entry or any(part.get("compression") for part in parts):
        raise ValueError(entry["path"])
    return "\n".join(content(str(part["source"])).decode() for part in parts if part.get("source"))


def _alters(entry: Mapping[str, Any]) -> bool:
    """Whether a directory entry does more than ensure that the directory exists."""
    return any(entry.get(key) not in (None, False, {}) for key in ("mode", "user", "group", "overwrite"))


def _covers(where: str, path: PurePosixPath, how: str) -> Iterator[str]:
    """Report replacing or mounting over a parent of something protected."""
    below = [one for one in (*paths(), PurePosixPath("/usr/lib/systemd/system")) if one.is_relative_to(path)]
    if below:
        yield f"{where}: {how} {path}, which holds {min(below)}, without which the machine is no node"


def normal(path: str) -> PurePosixPath:
    """A path without ``.``, ``..`` and double slashes, and with ``/bin`` and similar links resolved."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    if parts and f"/{parts[0]}" in _MERGED:
        parts.insert(0, "usr")
    return PurePosixPath("/", *parts)


def _mount_point(unit: str) -> PurePosixPath:
    """``var-lib-my\\x2ddata.mount`` → ``/var/lib/my-data``: systemd.unit(5), "String escaping for inclusion"."""
    text = (
        unit.removesuffix(".mount").removesuffix(".automount").replace("%", "%25").replace("-", "/").replace("\\x", "%")
    )
    return normal("/" + unquote_to_bytes(text).decode(errors="replace"))
