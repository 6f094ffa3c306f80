"""Which firmware the machines' NICs may need: the NICs that they booted from, against what the image has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nodisk.assets import built, nic_drivers
from nodisk.assets.nic_drivers import Driver
from nodisk.assets.store import Store
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.errors import NodiskError
from nodisk.records.database import Database
from nodisk.spec.model import Lab
from nodisk.state import LabState
from nodisk.values import Mac

_NAME = "firmware"


def firmware(state: LabState, lab: Lab) -> list[Finding]:
    """One finding per kind of NIC, or why nothing is known."""
    with Database(state.database, reading=True) as database:
        seen = database.nics()
    if not seen:
        return [ok(_NAME, "no machine has told yet which NIC it boots from")]
    known = _known(state, lab)
    if isinstance(known, str):
        return [ok(_NAME, known)]
    names = {str(machine.name): seen[machine.mac] for machine in lab.machines if machine.mac in seen}
    return judge(names, known, asked=lab.os.firmware)


def of_machine(state: LabState, lab: Lab, mac: Mac, busid: str | None) -> dict[str, Any]:
    """What is known of one machine's NIC, for ``nodisk machines show``; None for what is not.

    ``busid``: what the machine told of its NIC in iPXE's words, for one that lab.yaml doesn't have.
    """
    with Database(state.database, reading=True) as database:
        nic = database.nics().get(mac) or nic_drivers.of_busid(busid or "")
    known = _known(state, lab) if nic else ""
    found: dict[str, Any] = {"nic": nic, "nic_driver": None, "nic_problem": None, "firmware_packages": None}
    if nic is None or isinstance(known, str):
        return found
    drivers = list(nic_drivers.drivers_of(nic, known))
    there = [driver for driver in drivers if not driver.left_out]
    if drivers and not there:
        found["nic_problem"] = f"the image lacks its driver: {drivers[0].left_out}"
    packages = sorted({package for driver in there for package in driver.packages})
    return found | {"nic_driver": drivers[0].name if drivers else None, "firmware_packages": packages}


def _known(state: LabState, lab: Lab) -> list[Driver] | str:
    """The drivers of the lab's image, or why they are not known."""
    try:
        image = built.manifests(state.state, lab)["image"]
    except NodiskError:
        return "nothing is built yet, so it is not known what the machines' NICs need"
    return nic_drivers.loads(Store(state.state).path(image.file(nic_drivers.FILE)).read_text(encoding="utf-8"))


def judge(nics: Mapping[str, str], known: Iterable[Driver], *, asked: tuple[str, ...] = ()) -> list[Finding]:
    """What machines' NICs need (name → NIC), machines with the same NIC in one finding.

    ``asked``: the packages that lab.yaml names already. A NIC that no driver names may still be driven: virtio's
    driver, for one, hangs on a bus of its own.
    """
    known, findings, alike = list(known), [], dict[str, list[str]]()
    for name, nic in nics.items():
        alike.setdefault(nic, []).append(name)
    for nic, names in sorted(alike.items()):
        who = f"{', '.join(names) if len(names) <= 3 else f'{names[0]} … {names[-1]} ({len(names)})'}: NIC {nic}"
        drivers = list(nic_drivers.drivers_of(nic, known))
        there = [driver for driver in drivers if not driver.left_out]
        if drivers and not there:
            text = f"{who} is driven by {drivers[0].name}, which the image lacks: {drivers[0].left_out}"
            findings.append(error(_NAME, text, "boot this machine from another NIC"))
            continue
        packages = sorted({package for driver in there for package in driver.packages})
        if packages:
            files = sorted(file for driver in there for file, package in driver.lacks.items() if package)
            text = f"{who} ({there[0].name}) may ask for firmware that the image lacks: {_some(files)}"
            wanted = ", ".join(sorted({*asked, *packages}))
            findings.append(warning(_NAME, text, f"os: {{firmware: [{wanted}]}} in lab.yaml, then nodisk build"))
        else:
            findings.append(ok(_NAME, f"{who} ({there[0].name if there else 'driver not listed'}): nothing is missing"))
    return findings


def _some(files: list[str]) -> str:
    return ", ".join(files) if len(files) <= 3 else f"{files[0]}, {files[1]} and {len(files) - 2} more"
