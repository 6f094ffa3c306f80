"""What goes into the node image: every script parses, every request is what the server signs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nodisk import node
from nodisk.pki import profiles
from nodisk.plan import ignition
from nodisk.spec.model import Lab, Machine

SCRIPTS = [
    *(path for path in sorted((node.IMAGE / "usr/lib/nodisk").rglob("*")) if path.is_file()),
    node.DRACUT / "init",
]
UNITS = sorted((node.IMAGE / "usr/lib/systemd/system").glob("*.service"))
LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [
            {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"},
            {"name": "w1", "mac": "52:54:00:77:00:15", "address": "10.77.0.21"},
        ],
    }
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    first = script.read_text(encoding="utf-8").splitlines()[0]
    assert first in ("#!/bin/sh", "#!/bin/busybox sh")
    subprocess.run(["dash", "-n", script], check=True)


def test_units_start_what_the_image_has() -> None:
    outside = {"/usr/bin/kubelet", "/usr/bin/kube-proxy", "/usr/bin/ssh-keygen"}
    for unit in UNITS:
        for line in unit.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.startswith("Exec"):
                program = value.split()[0]
                assert program in outside or (node.IMAGE / program.lstrip("/")).is_file(), unit.name


def test_packages_have_reasons() -> None:
    lines = (node.HERE / "packages.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    assert all(len(parts) == 2 for parts in found)
    assert node.packages() == tuple(parts[0] for parts in found)
    assert len(set(node.packages())) == len(node.packages())


@pytest.mark.parametrize("machine", LAB.machines, ids=lambda machine: machine.name.value)
def test_the_requests_are_signed(machine: Machine, tmp_path: Path) -> None:
    """The very openssl call of the script ``enrol``, with the file that the plan writes, checked by the server."""
    script = (node.IMAGE / "usr/lib/nodisk/enrol").read_text(encoding="utf-8")
    start = script.index("cat >req.cnf")
    end = script.index("wait\n", start) + len("wait\n")
    (tmp_path / "profiles").write_text(ignition.requests(LAB, machine), encoding="utf-8")
    body = script[start:end].replace("/etc/nodisk/profiles", str(tmp_path / "profiles"))
    subprocess.run(["dash", "-eu", "-c", body], cwd=tmp_path, check=True)
    wanted = profiles.allowed(machine.role)
    assert {path.stem for path in tmp_path.glob("*.csr")} == {profile.name for profile in wanted}
    for profile in wanted:
        profiles.check(profile, LAB, machine, (tmp_path / f"{profile.name}.csr").read_text(encoding="ascii"))
