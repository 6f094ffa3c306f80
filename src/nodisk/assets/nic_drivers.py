"""Which driver drives a NIC, and which Debian package has the firmware that this driver may ask for. Pure.

A NIC is known by its bus and ids, as iPXE and Linux tell them: ``pci:10ec:8168``, ``usb:0bda:8153``. The answers come
from ``modules.alias`` (depmod(8)), modinfo(8)'s ``firmware`` fields, and the index ``Contents`` of Debian's archive.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from nodisk.assets import kernel_modules
from nodisk.spec import syntax

# alias pci:v000010ECd00008168sv*sd*bc*sc*i* r8169 — usb:v0BDAp8153d*dc*dsc*dp*icFFiscFFip00in* r8152
_ALIAS = re.compile(r"alias (?:pci:v0000([0-9A-F]{4})d0000([0-9A-F]{4})sv|usb:v([0-9A-F]{4})p([0-9A-F]{4})d)\S* (\S+)")
FILE = "nic-drivers.json"
"""The image's own table, among its files in the store."""
_BUSES = {"01": "pci", "0a": "usb"}
_BUSID = re.compile(r"(01|0a)[:-]" + "[:-]".join(["([0-9a-f]{2})"] * 4))
_FOLDERS = ("usr/lib/firmware/", "lib/firmware/")
# As depmod and the kernel's loader know it: a file may lie there compressed.
_PACKED = (".xz", ".zst")


@dataclass(frozen=True, slots=True)
class Driver:
    """One network driver of Debian's kernel."""

    name: str
    ids: tuple[str, ...]
    """The NICs that it drives."""
    lacks: Mapping[str, str]
    """Firmware file that it may ask for and the image has not → the Debian package that has it; '' if none is known."""
    left_out: str = ""
    """Why the image has not the driver itself; '': it has."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages with the firmware that it lacks."""
        return tuple(sorted({package for package in self.lacks.values() if package}))


def dumps(drivers: Iterable[Driver]) -> str:
    """The table as the text of ``FILE``: a line a driver."""
    lines = [
        json.dumps({"name": one.name, "ids": one.ids, "lacks": dict(one.lacks), "left_out": one.left_out})
        for one in drivers
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def loads(text: str) -> list[Driver]:
    """The reverse of ``dumps``."""
    return [Driver(one["name"], tuple(one["ids"]), one["lacks"], one["left_out"]) for one in json.loads(text)]


def ids(modules_alias: str) -> dict[str, tuple[str, ...]]:
    """Module → the NICs (and other devices) of PCI and USB that it names by vendor and device, from modules.alias."""
    found: dict[str, set[str]] = {}
    for match in map(_ALIAS.match, modules_alias.splitlines()):
        if match is not None:
            vendor, device, maker, product, module = match.groups()
            one = f"pci:{vendor}:{device}" if vendor else f"usb:{maker}:{product}"
            found.setdefault(module.replace("-", "_"), set()).add(one.lower())
    return {module: tuple(sorted(names)) for module, names in found.items()}


def firmware(modinfo: str) -> dict[str, tuple[str, ...]]:
    """Module → the firmware files that it may ask for, from what modinfo says of several modules."""
    found: dict[str, list[str]] = {}
    files: list[str] = []
    for line in modinfo.splitlines():
        field, _, value = line.partition(":")
        if field == "filename":
            files = found.setdefault(kernel_modules.name(value.strip()), [])
        elif field == "firmware":
            files.append(value.strip())
    return {module: tuple(sorted(set(names))) for module, names in found.items() if names}


def packages(contents: str) -> dict[str, str]:
    """Firmware file → the package that has it, from a ``Contents`` index of Debian's archive.

    The index came over plain HTTP perhaps: a name that is no package's is left out. It is advice for people; what they
    then install apt verifies.
    """
    found = {}
    for line in contents.splitlines():
        path, _, places = line.rpartition(" ")
        file = _file(path.strip())
        package = places.split(",")[0].rpartition("/")[2]
        if file and syntax.is_package(package):
            found[file] = package
    return found


def _file(path: str) -> str:
    """The path that a driver asks for; '' if it is no firmware."""
    for folder in _FOLDERS:
        if path.startswith(folder):
            path = path.removeprefix(folder)
            return next((path.removesuffix(end) for end in _PACKED if path.endswith(end)), path)
    return ""


def table(
    *,
    needs: kernel_modules.Needs,
    there: Set[str],
    devices: Mapping[str, tuple[str, ...]],
    wanted: Mapping[str, tuple[str, ...]],
    present: Iterable[str],
    sources: Mapping[str, str],
) -> list[Driver]:
    """Every network driver that names its NICs by vendor and device.

    ``needs``: modules.dep of Debian's kernel; ``there``: what of it the image has; ``devices``, ``wanted``, ``sources``
    as ``ids``, ``firmware`` and ``packages`` return them; ``present``: paths of the image's own files of firmware.
    """
    have = {_file(path) for path in present}
    without = kernel_modules.missing_network_drivers(needs, there)
    found = []
    for module in sorted(module for module in needs if module.startswith("kernel/drivers/net/")):
        name = kernel_modules.name(module)
        if devices.get(name):
            lacks = {file: _source(file, sources) for file in wanted.get(name, ()) if not _any(file, have)}
            found.append(Driver(name, devices[name], lacks, without.get(name, "")))
    return found


def _any(file: str, have: Set[str]) -> bool:
    """Whether a file is there; modinfo also has patterns."""
    return file in have or ("*" in file and any(fnmatch.fnmatchcase(one, file) for one in have))


def _source(file: str, sources: Mapping[str, str]) -> str:
    if file in sources or "*" not in file:
        return sources.get(file, "")
    return next((package for one, package in sorted(sources.items()) if fnmatch.fnmatchcase(one, file)), "")


def of_busid(busid: str) -> str | None:
    """The NIC of iPXE's ``busid`` (ipxe.org/cfg/busid): kind of bus, vendor, device; None for what is no such text.

    ``01:10:ec:81:68`` → ``pci:10ec:8168``. A NIC behind firmware's own driver may be all zeros.
    """
    match = _BUSID.fullmatch(busid.lower())
    if match is None or not int("".join(match.groups()[1:]), 16):
        return None
    bus, *four = match.groups()
    return f"{_BUSES[bus]}:{four[0]}{four[1]}:{four[2]}{four[3]}"


def drivers_of(nic: str, known: Iterable[Driver]) -> Iterator[Driver]:
    """The drivers that drive a NIC; none for one behind a bus of its own (virtio, Hyper-V)."""
    return (driver for driver in known if nic in driver.ids)
