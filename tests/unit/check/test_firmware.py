"""What `nodisk check` says of the machines' NICs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.spec.labs import TEN_LINES

from nodisk.assets import built, nic_drivers
from nodisk.assets.nic_drivers import Driver
from nodisk.assets.store import Store
from nodisk.check import firmware
from nodisk.check.findings import Level
from nodisk.records.database import Database
from nodisk.spec.load import parse
from nodisk.state import State
from nodisk.values import Mac

KNOWN = [
    Driver("e1000", ("pci:8086:100e",), {}),
    Driver("iwlwifi", ("pci:8086:095a",), {}, "a node has no radio"),
    Driver("r8169", ("pci:10ec:8168",), {f"rtl_nic/{n}.fw": "firmware-realtek" for n in "abcd"} | {"x.fw": ""}),
]
PLAIN = parse(TEN_LINES + "kubernetes: {engine: none}\n", file="lab.yaml")


def test_the_package_is_named_once_for_machines_that_are_alike() -> None:
    (finding,) = firmware.judge(dict.fromkeys(["w1", "w2", "w3", "w4"], "pci:10ec:8168"), KNOWN, asked=("intel",))
    assert finding.level is Level.WARNING
    assert finding.message == (
        "w1 … w4 (4): NIC pci:10ec:8168 (r8169) may ask for firmware that the image lacks: "
        "rtl_nic/a.fw, rtl_nic/b.fw and 2 more"
    )
    assert finding.hint == "os: {firmware: [firmware-realtek, intel]} in lab.yaml, then nodisk build"


def test_a_nic_that_needs_nothing() -> None:
    (finding,) = firmware.judge({"w1": "pci:8086:100e"}, KNOWN)
    assert (finding.level, finding.message) == (Level.OK, "w1: NIC pci:8086:100e (e1000): nothing is missing")


def test_a_nic_that_no_driver_lists_is_no_error() -> None:
    (finding,) = firmware.judge({"w1": "pci:1af4:1000"}, KNOWN)
    assert finding.level is Level.OK


def test_a_driver_that_was_left_out_is_an_error() -> None:
    (finding,) = firmware.judge({"w1": "pci:8086:095a"}, KNOWN)
    assert finding.level is Level.ERROR
    assert finding.message.endswith("driven by iwlwifi, which the image lacks: a node has no radio")


def test_without_machines_or_an_image_nothing_is_claimed(tmp_path: Path) -> None:
    lab, state = parse(TEN_LINES, file="lab.yaml"), State(tmp_path).lab("room")
    (finding,) = firmware.firmware(state, lab)
    assert finding.message == "no machine has told yet which NIC it boots from"
    with Database(state.database) as database:
        database.set_nic(Mac.parse("52:54:00:00:00:01"), "pci:8086:100e")
        database.set_nic(Mac.parse("52:54:00:00:00:01"), "pci:10ec:8168")
        assert database.nics() == {Mac.parse("52:54:00:00:00:01"): "pci:10ec:8168"}
    (finding,) = firmware.firmware(state, lab)
    assert finding.message == "nothing is built yet, so it is not known what the machines' NICs need"


def stored(state: State) -> None:
    """A build whose image has the table."""
    made = {}
    with Store(state).workspace() as folder:
        for kind, name, text in (("image", nic_drivers.FILE, nic_drivers.dumps(KNOWN)), ("ipxe", "ipxe.efi", "x")):
            (folder / name).write_text(text)
            content = {name: folder / name}
            made[kind] = Store(state).add(
                kind, name=kind, version="1", inputs={"kind": kind}, content=content, facts={}
            )
    built.record(state, PLAIN, made, why="for a test")


@pytest.mark.parametrize(
    ("mac", "busid", "wanted"),
    [
        ("52:54:00:00:00:01", None, ("pci:10ec:8168", "r8169", None, ["firmware-realtek"])),
        ("02:00:00:00:00:99", "01:80:86:10:0e", ("pci:8086:100e", "e1000", None, [])),
        ("02:00:00:00:00:99", "01:1a:f4:10:00", ("pci:1af4:1000", None, None, [])),
        ("02:00:00:00:00:99", "01:80:86:09:5a", ("pci:8086:095a", "iwlwifi", "the image lacks its driver", [])),
        ("02:00:00:00:00:99", "nonsense", (None, None, None, None)),
    ],
)
def test_a_machine_is_shown_with_what_its_nic_needs(
    mac: str, busid: str | None, wanted: tuple[object, ...], tmp_path: Path
) -> None:
    state = State(tmp_path)
    stored(state)
    with Database(state.lab("room").database) as database:
        database.set_nic(Mac.parse("52:54:00:00:00:01"), "pci:10ec:8168")
    found = firmware.of_machine(state.lab("room"), PLAIN, Mac.parse(mac), busid)
    problem = found.pop("nic_problem")
    assert (found["nic"], found["nic_driver"], found["firmware_packages"]) == (wanted[0], wanted[1], wanted[3])
    assert (problem or "").startswith(str(wanted[2] or ""))
    assert (problem is None) is (wanted[2] is None)
