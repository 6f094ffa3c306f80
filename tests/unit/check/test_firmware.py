"""What `nodisk check` says of the machines' NICs."""

from __future__ import annotations

from pathlib import Path

from tests.unit.spec.labs import TEN_LINES

from nodisk.assets.nic_drivers import Driver
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
