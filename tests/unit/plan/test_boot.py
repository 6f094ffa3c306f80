"""Boot scripts and the kernel's command line."""

from __future__ import annotations

import re

import pytest

from nodisk.errors import NodiskError
from nodisk.plan import boot
from nodisk.plan.facts import AssetRef, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.model import Lab
from nodisk.values import KubeVersion, Mac

LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}],
    }
)
CP = LAB.machines[0]
NONCE = "n" * 43


def facts(name: str = "root.squashfs") -> Facts:
    asset = AssetRef(name, "a" * 64, 100 << 20)
    return Facts(
        "CA\n",
        ImageFacts(asset, asset, asset, "6.12", 300 << 20, "1.7.24"),
        ReleaseFacts(KubeVersion(1, 36, 1), "upstream", (), asset),
    )


def test_nonce_only_while_armed() -> None:
    armed = boot.machine_script(LAB, facts(), CP, NONCE)
    unarmed = boot.machine_script(LAB, facts(), CP, None)
    assert f"nodisk.nonce={NONCE}" in armed
    assert "not armed" not in armed
    assert "nodisk.nonce" not in unarmed
    assert "not armed" in unarmed


def test_scripts_jump_only_to_labels_they_have() -> None:
    scripts = [
        boot.entry_script(LAB),
        boot.machine_script(LAB, facts(), CP, NONCE),
        boot.unknown_script(LAB, Mac.parse("020000000001")),
        boot.disk_script(LAB, CP),
        boot.address_script(LAB, CP),
        boot.address_in_use_script(LAB, CP, Mac.parse("020000000001")),
        boot.twin_script(CP),
    ]
    for script in scripts:
        assert script.startswith("#!ipxe\n")
        labels = set(re.findall(r"^:(\w+)$", script, re.MULTILINE))
        items = set(re.findall(r"^item (\w+)", script, re.MULTILINE))
        assert set(re.findall(r"goto (\w+)", script)) | items <= labels


def test_a_machine_with_a_pools_address_takes_its_own_before_it_asks_again() -> None:
    lines = boot.address_script(LAB, CP).splitlines()
    taken = lines.index("set ${nic}/ip 10.77.0.11")
    asked = next(number for number, line in enumerate(lines) if "?pool=${pool}" in line)
    assert lines.index("set pool ${${nic}/ip}") < taken < asked < lines.index("clear ${nic}/ip")
    assert not any("gateway" in line for line in lines), "this lab has none"
    assert "kernel " not in "\n".join(lines)


def test_a_machine_whose_address_is_taken_boots_nothing() -> None:
    script = boot.address_in_use_script(LAB, CP, Mac.parse("020000000001"))
    assert "10.77.0.11, the address of cp1, is in use by 02:00:00:00:00:01" in script
    assert "set net" not in script
    assert "kernel " not in script


def test_unknown_machine_boots_nothing_of_the_lab() -> None:
    script = boot.unknown_script(LAB, Mac.parse("02-00-00-00-00-01"))
    assert "kernel " not in script
    assert "/assets/" not in script
    assert "02:00:00:00:00:01" in script


def test_a_second_machine_with_a_mac_gives_its_address_up_and_boots_nothing() -> None:
    lines = boot.twin_script(CP).splitlines()
    assert "ifclose" in lines[1]
    assert "running as cp1" in lines[2]
    assert not any(line.startswith(("kernel", "chain")) for line in lines)


def test_command_line_is_one_line_and_as_short_as_the_kernel_wants() -> None:
    line = boot.command_line(LAB, facts(), CP, NONCE)
    assert "\n" not in line
    assert len(line) < 1024
    with pytest.raises(NodiskError, match="2047"):
        boot.command_line(LAB, facts("x" * 2000), CP, NONCE)
