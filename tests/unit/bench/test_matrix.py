"""``nodisk lab bench --matrix``: which machines it would boot, and what it makes of what they report."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.bench import matrix, room_dhcp
from nodisk.bench.matrix import BASE, Boot, Cell, Matrix
from nodisk.errors import UsageError
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.load import parse
from nodisk.spec.model import DhcpMode, Firmware
from nodisk.values import Mac, Stage
from nodisk.yamltext import dump

LAB = """\
name: room
network: {subnet: SUBNET, server: SERVER}
os: {kernel: cloud, packages: [htop]}
machines: [{name: cp1, mac: "52:54:00:77:00:0b", address: ADDRESS, role: control-plane}]
"""
MAC = Mac.parse("52:54:00:6d:00:01")


def lab(subnet: str, server: str, address: str) -> str:
    return LAB.replace("SUBNET", subnet).replace("SERVER", server).replace("ADDRESS", address)


@pytest.mark.parametrize("dhcp", DhcpMode)
@given(last=st.integers(1, 254))
def test_each_way_is_a_valid_lab_on_the_same_network(dhcp: DhcpMode, last: int) -> None:
    own = parse(lab("10.77.0.0/24", f"10.77.0.{last}", f"10.77.0.{last % 254 + 1}"), file=Path("lab.yaml"))
    firmware = [cell.firmware for cell in matrix.cells() if cell.dhcp is dhcp]
    made = parse(dump(matrix.document(own, dhcp, firmware)), file=Path("lab.yaml"))
    assert [made.firmware(one) for one in made.machines[1:]] == firmware
    assert (made.network.dhcp, made.network.server, made.os) == (dhcp, own.network.server, own.os)
    taken = {one.address for one in made.machines} | {made.network.server}
    room = matrix.room_addresses(made)
    assert not taken & set(room)
    assert len(room) == matrix.POOL + 1


def test_what_no_answer_reaches_is_not_booted() -> None:
    missing = {(dhcp, firmware) for dhcp in DhcpMode for firmware in Firmware} - {
        (cell.dhcp, cell.firmware) for cell in matrix.cells()
    }
    assert missing == {(DhcpMode.PROXY, Firmware.UEFI_HTTP), (DhcpMode.PROXY, Firmware.SECURE_BOOT_HTTP)}


def test_a_subnet_that_is_too_small_is_said() -> None:
    own = parse(lab("10.77.0.0/28", "10.77.0.1", "10.77.0.2"), file=Path("lab.yaml"))
    with pytest.raises(UsageError, match="too small"):
        matrix.document(own, DhcpMode.PROXY, list(Firmware))


def test_the_table_and_the_json() -> None:
    found = Matrix(
        "tcg",
        2,
        (
            Boot(BASE, {"dhcp": 5.0, "os": 50.0}),
            Boot(Cell(DhcpMode.PROXY, Firmware.UEFI), {"dhcp": 9.0, "os": 75.0}),
            Boot(Cell(DhcpMode.NONE, Firmware.UEFI), {"ipxe": 9.0}),
            Boot(Cell(DhcpMode.NONE, Firmware.SECURE_BOOT), {}),
        ),
    )
    rows = {row[0]: row[1:] for row in found.rows()}
    assert len(matrix.headings()) == len(DhcpMode) + 1
    assert rows["bios"] == ["50 s (1.00)", "–", "–"]
    assert rows["uefi"] == ["–", "75 s (1.50)", "no os, after ipxe"]
    assert rows["secure-boot"] == ["–", "–", "nothing came"]
    said = found.to_json()["boots"]
    assert [(one["os_seconds"], one["to_bios_full"]) for one in said] == [
        (50.0, 1.0),
        (75.0, 1.5),
        (None,) * 2,
        (None,) * 2,
    ]


def test_stages_count_from_power_on_and_once(tmp_path: Path) -> None:
    now = [1000.0]
    with Database(tmp_path / "nodisk.db", now=lambda: now[0]) as database:
        for at, stage in (
            (3.0, Stage.DHCP),
            (5.0, Stage.IPXE),
            (6.0, Stage.DHCP),
            (60.0, Stage.OS),
            (70.0, Stage.ENROLLED),
        ):
            now[0] = 1000.0 + at
            database.record(Kind.STAGE, "", source="a test", mac=MAC, stage=stage)
        assert matrix.stages(database, MAC, 1000.0) == {"dhcp": 3.0, "ipxe": 5.0, "os": 60.0}


def test_the_rooms_server_gives_its_pool_and_ends_with_the_snippet(tmp_path: Path) -> None:
    pool = (IPv4Address("10.77.0.20"), IPv4Address("10.77.0.40"))
    text = room_dhcp.configuration(IPv4Interface("10.77.0.19/24"), pool, tmp_path, "dhcp-boot=x\n")
    assert "\ndhcp-range=10.77.0.20,10.77.0.40,255.255.255.0\n" in text
    assert text.endswith("dhcp-boot=x\n\n")
