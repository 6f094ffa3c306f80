"""The drill: a lab with a class and a volume is backed up and deleted, restored under another name, and boots again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver, lab_of_its_own

from nodisk.backup.volumes import seen_by
from nodisk.records import running
from nodisk.state import LabState
from nodisk.storage import volumes
from nodisk.storage.disks import Disks

pytestmark = [pytest.mark.vm, pytest.mark.apart]

LAB = """\
name: vmtest-drill
network: {subnet: 10.95.0.0/24, server: 10.95.0.1}
os: {kernel: cloud}
machines:
  - {name: cp1, mac: "52:54:00:95:00:0b", address: 10.95.0.11, role: control-plane, memory: 2GiB}
  - {name: w1, mac: "52:54:00:95:00:15", address: 10.95.0.21, memory: 1GiB}
"""
AGAIN = "vmtest-drilled"


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Driver]:
    with lab_of_its_own(tmp_path, LAB) as driver:
        driver("lab", "up", "--within", str(BOOT_WITHIN), timeout=BOOT_WITHIN + 1500)
        yield driver


def volume_of(state: LabState) -> Path:
    """The student's folder, as the server has it mounted."""
    (volume,) = volumes.load_all(state)
    volumes.wait(state, [volume], seconds=600)
    return seen_by(running.process(state), Disks(state).place(volume))


def uids(vm: Driver) -> dict[str, str]:
    """Namespaces that stay; the proof's own may be on its way out still."""
    spaces = vm.kubectl("get", "namespaces")["items"]
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in spaces if one["status"]["phase"] == "Active"}


def test_the_room_boots_from_a_backup(drill: Driver, tmp_path: Path) -> None:
    words = ("--students", "Jan Kowalski", "--storage", "64Mi", "--days", "2", "--overcommit")
    drill("class", "create", "k8s", *words, "--out", str(tmp_path / "sheets"))
    state = drill.context().state
    homework = os.urandom(1_000_000)
    (volume_of(state) / "homework").write_bytes(homework)
    before = uids(drill)
    target, password = tmp_path / "backups", tmp_path / "password"
    password.write_text("a test's\n")
    options = ("--to", str(target), "--password-file", str(password))
    drill("backup", "create", *options)
    drill("backup", "verify", "latest", *options, timeout=900)
    drill("lab", "down")
    shutil.rmtree(state.root)
    began = time.monotonic()
    (tmp_path / "again").mkdir()
    with lab_of_its_own(tmp_path / "again", LAB.replace("vmtest-drill", AGAIN)) as again:
        where = ("--from", str(target), "--password-file", str(password), "--lab-file", str(again.file))
        said = json.loads(again("backup", "restore", "latest", *where, "--as", AGAIN, "-o", "json").stdout)
        assert said["assets_missing"] == []
        again("lab", "up", "--within", str(BOOT_WITHIN), timeout=BOOT_WITHIN + 1500)
        print(f"RPO {said['rpo_seconds']:.0f} s; RTO {time.monotonic() - began:.0f} s, to machines that are Ready")
        assert uids(again).items() >= before.items()
        found = (volume_of(again.context().state) / "homework").read_bytes()
        assert hashlib.sha256(found).digest() == hashlib.sha256(homework).digest()
