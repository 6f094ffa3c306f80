"""What `nodisk check` says of loaders and Secure Boot."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets import signature
from nodisk.check import loaders
from nodisk.check.findings import Level
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.model import Lab
from nodisk.state import LabState, State
from nodisk.values import Stage

# Debian's own shim, GRUB and kernel are looked at by tests/interop/assets/test_shim.py.
MACHINES = [
    {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"},
    {"name": "w1", "mac": "52:54:00:77:00:15", "address": "10.77.0.21"},
]


def lab(dhcp: str = "full", **more: object) -> Lab:
    network = {"subnet": "10.77.0.0/24", "server": "10.77.0.1", "dhcp": dhcp}
    return Lab.model_validate({"name": "room", "network": network, "machines": MACHINES, **more})


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    return State(tmp_path).lab("room")


def found(lab: Lab, state: LabState, *, virtual: bool = False) -> list[tuple[Level, str]]:
    return [(one.level, one.message) for one in loaders.loaders(lab, state, virtual=virtual)]


def test_what_lab_yaml_says(state: LabState) -> None:
    one = [MACHINES[0], {**MACHINES[1], "secure_boot": True}]
    for this, level, message in (
        (lab(), Level.OK, "UEFI machines get iPXE, which firmware with Secure Boot on refuses"),
        (lab(secure_boot=True), Level.OK, "for every machine that boots by UEFI"),
        (lab(machines=one), Level.OK, "for every machine but cp1 that boots by UEFI"),
        (lab("none", secure_boot=True), Level.WARNING, "the room's own server must give UEFI machines shimx64.efi"),
    ):
        ((seen, text),) = found(this, state)
        assert (seen, message in text) == (level, True), text


def test_a_virtual_lab_whose_firmware_would_refuse_what_it_gets(state: LabState) -> None:
    firmware = {"firmware": "secure-boot"}
    assert found(lab(virtual=firmware), state, virtual=True) == [
        (Level.ERROR, "the virtual firmware is secure-boot, which refuses iPXE, and cp1, w1 would get it")
    ]
    assert found(lab(virtual=firmware, secure_boot=True), state, virtual=True)[0][0] is Level.OK
    one = [MACHINES[0], {**MACHINES[1], **firmware}]
    assert found(lab(machines=one), state, virtual=True) == [
        (Level.ERROR, "the virtual firmware is secure-boot, which refuses iPXE, and w1 would get it")
    ]
    both = [{**MACHINES[0], "firmware": "secure-boot-http"}, {**MACHINES[1], **firmware}]
    said = "the virtual firmware is secure-boot or secure-boot-http, which refuses iPXE, and cp1, w1 would get it"
    assert found(lab(machines=both), state, virtual=True) == [(Level.ERROR, said)]


def test_firmware_that_boots_by_http_beside_a_rooms_server(state: LabState) -> None:
    one = [MACHINES[0], {**MACHINES[1], "firmware": "uefi-http"}]
    said = "with `dhcp: proxy` UEFI must boot by PXE: firmware set to HTTP boot alone gets no answer"
    assert found(lab("proxy"), state)[1] == (Level.OK, said)
    assert found(lab("proxy", machines=one), state)[1] == (Level.OK, said), "a real room ignores `firmware`"
    assert found(lab("proxy", machines=one), state, virtual=True)[1] == (
        Level.ERROR,
        "with `dhcp: proxy` firmware that boots by HTTP (uefi-http) gets no answer: w1",
    )
    assert len(found(lab("none", machines=one), state, virtual=True)) == 1
    signed = [MACHINES[0], {**MACHINES[1], "firmware": "secure-boot-http", "secure_boot": True}]
    assert found(lab("proxy", machines=signed), state, virtual=True)[1] == (
        Level.ERROR,
        "with `dhcp: proxy` firmware that boots by HTTP (secure-boot-http) gets no answer: w1",
    )


def test_a_firmware_that_came_no_further(state: LabState) -> None:
    state.database.parent.mkdir(parents=True)
    with Database(state.database, now=lambda: 1000.0) as database:
        for machine, stages in zip(lab().machines, ((Stage.DHCP,), (Stage.DHCP, Stage.IPXE)), strict=True):
            for stage in stages:
                database.record(Kind.STAGE, "", source="test", mac=machine.mac, machine=str(machine.name), stage=stage)
    assert [one.message.partition(":")[0] for one in loaders.stuck(lab(), state, 1130.0)] == ["cp1"]
    assert loaders.stuck(lab(), state, 1100.0) == [], "it may still be loading"


def test_a_kernel_that_nobody_signed(tmp_path: Path) -> None:
    unsigned = tmp_path / "vmlinuz"
    head = bytearray(512)
    head[:2], head[0x3C:0x40], head[64:68] = b"MZ", (64).to_bytes(4, "little"), b"PE\0\0"
    head[88:90] = (0x20B).to_bytes(2, "little")
    unsigned.write_bytes(head)
    assert signature.signers(unsigned) == ()
    finding = loaders.kernel_finding(unsigned)
    assert finding.level is Level.ERROR
    assert "signed by nobody" in finding.message
    shutil.copyfile("/bin/true", unsigned)
    assert "it is no 64-bit UEFI program" in loaders.kernel_finding(unsigned).message


@given(st.binary(max_size=300), st.binary(max_size=80))
def test_no_file_does_more_than_be_refused(tmp_path_factory: pytest.TempPathFactory, head: bytes, rest: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "program"
    start = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(20) + (0x20B).to_bytes(2, "little")
    for data in (head, start + head, start + bytes(142) + (242).to_bytes(4, "little") + b"\x50\0\0\0" + rest):
        file.write_bytes(data)
        with contextlib.suppress(ValueError):
            assert signature.signers(file) == ()
