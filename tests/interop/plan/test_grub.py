"""GRUB's scripts, read by GRUB's own parser (``grub-script-check``)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodisk import run
from nodisk.plan import grub
from nodisk.plan.facts import AssetRef, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.model import Lab, Machine
from nodisk.values import KubeVersion, Mac

pytestmark = pytest.mark.interop

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
ADDRESSES = st.integers(2, 254).map(lambda number: f"10.77.0.{number}")
real = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def lab_of(name: str, machine: str, address: str) -> Lab:
    one = {"name": machine, "mac": "52:54:00:77:00:0b", "address": address, "role": "control-plane"}
    network = {"subnet": "10.77.0.0/24", "server": "10.77.0.1"}
    return Lab.model_validate({"name": name, "network": network, "machines": [one]})


def facts() -> Facts:
    asset = AssetRef("vmlinuz", "a" * 64, 100 << 20)
    image = ImageFacts(asset, asset, asset, "6.12", 300 << 20, "1.7.24")
    return Facts("CA\n", image, ReleaseFacts(KubeVersion(1, 36, 1), "upstream", (), asset))


def check(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """GRUB's word on a script."""
    file = folder / "grub.cfg"
    file.write_text(script)
    return run.run(["grub-script-check", "--verbose", file], check=False)


def machine_script(lab: Lab, machine: Machine) -> str:
    return grub.machine_script(lab, facts(), machine, "A-_z" * 10)


@real
@given(NAMES, NAMES, ADDRESSES)
def test_grub_reads_the_scripts_of_every_lab(tmp_path: Path, name: str, machine: str, address: str) -> None:
    lab = lab_of(name, machine, address)
    for script in (
        grub.entry_script(lab),
        machine_script(lab, lab.machines[0]),
        grub.unknown_script(lab, Mac.parse("020000000001")),
    ):
        done = check(script, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


@real
@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))))
def test_grub_reads_every_quoted_word(tmp_path: Path, text: str) -> None:
    done = check(f"if echo {grub.quoted(text)}; then true; fi\n", tmp_path)
    assert done.returncode == 0, (text, done.stdout + done.stderr)


def test_a_script_that_breaks_off_is_nothing_to_grub(tmp_path: Path) -> None:
    lab = lab_of("room", "cp1", "10.77.0.11")
    script = machine_script(lab, lab.machines[0])
    whole = script.removesuffix("nodisk_boot\n")
    begin, end = whole.index("{") + 1, whole.rindex("}")
    lines = (place for place in range(begin, end) if whole[place - 1] == "\n")
    for cut in (*range(begin, end, 97), *lines):
        assert check(whole[:cut], tmp_path).returncode != 0, whole[:cut]
    assert check(script, tmp_path).returncode == 0
