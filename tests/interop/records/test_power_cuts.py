"""The tool that cuts a server's disk's power while the real programs write: short runs, and what its judges find."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from tests.support import power_etcd, power_volumes
from tests.support.power_judge import judge
from tests.support.power_said import Said
from tests.support.power_writers import MACS, prepare

from nodisk.storage import volumes

pytestmark = pytest.mark.interop

TOOL = Path(__file__).parents[3] / "tools" / "power_cuts.py"


def cuts(*words: str) -> list[str]:
    """The tool's lines, one for each cut; nothing may be lost."""
    done = subprocess.run([sys.executable, str(TOOL), *words], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line for line in done.stdout.splitlines() if line.startswith("seed")]
    assert all("nothing is lost" in line for line in found), found
    return found


@pytest.mark.apart
def test_three_cuts_lose_nothing() -> None:
    """A minute and a half: half of it are backups, which are to be under way."""
    found = cuts("--count", "3", "--seed", "1", "--part", "files")
    assert len(found) == 3
    assert all(" 0 records" not in line and " 0 images" not in line for line in found), "something was written"


@pytest.mark.apart
def test_the_server_itself_and_students_volumes_lose_nothing() -> None:
    found = cuts("--count", "2", "--seed", "1", "--part", "volumes", "--part", "served")
    assert len(found) == 2
    assert all(f" 0 {name}" not in line for line in found for name in ("volumes", "etcd", "enrolments")), found


def test_what_is_lost_is_found(tmp_path: Path) -> None:
    prepare(tmp_path)
    said: dict[str, Said] = {
        "records": [["event", "1"], ["nonce", str(MACS[0].value), "never minted"]],
        "classes": [["class", "k8s", "edit"]],
        "images": [["blob", f"sha256:{'0' * 64}"], ["image", "v1", "0" * 64]],
        "backups": [["backup", "01234567"]],
    }
    found = judge(tmp_path, said)
    assert found[0] == "event 1 was followed by a nonce's use, and the last one is 0"
    assert found[1] == "class k8s was saved as edit, and is absent"
    assert found[2].startswith("the registry answers 404 for blob sha256:000")
    assert found[3].startswith("the registry answers 404 for image v1")
    assert found[4].startswith("the backups can't be read")
    assert len(found) == 5


def test_volumes_that_are_lost_are_found(tmp_path: Path) -> None:
    power_volumes.prepare(tmp_path)
    state = power_volumes.state_of(tmp_path)
    volumes.ensure(state, "k8s", power_volumes.OWNERS, power_volumes.FIRST)
    said: Said = [
        ["volume", "k8s-jan-1", str(power_volumes.FIRST)],
        ["begun", "k8s-jan-1", "f1", "0" * 64],
        ["file", "k8s-jan-1", "f1", "0" * 64],
        ["begun", "k8s-jan-1", "f2", "0" * 64],
        ["volume", "k8s-guest-3", str(power_volumes.FIRST)],
        ["leaving", "k8s-guest-3"],
        ["removed", "k8s-guest-3"],
        ["coming", "guest"],
        ["volume", "k8s-guest-3", str(power_volumes.FIRST)],
    ]
    assert list(power_volumes.judge(tmp_path, said)) == [
        "volume k8s-guest-3 was made, and is gone",
        "volume k8s-jan-1: f1 isn't what was synced (absent)",
    ]


class Canned(power_etcd.Etcd):
    """An etcd at revision 5 with one key."""

    def ask(self, *words: str) -> dict[str, Any]:
        def item(key: str, value: str) -> dict[str, Any]:
            return {"key": b64encode(key.encode()).decode(), "value": b64encode(value.encode()).decode()}

        there = [item("/cut/1", "9")] if "--prefix" in words else []
        return {"header": {"revision": 5}, "kvs": there}


def test_puts_that_are_lost_are_found() -> None:
    etcd = Canned("", Path())
    assert list(power_etcd.judge(etcd, [["begun", "/cut/1", "1"], ["put", "/cut/1", "1", "6"]])) == [
        "etcd is at revision 5, and had acknowledged 6"
    ]
    said = [
        ["begun", "/cut/1", "1"],
        ["put", "/cut/1", "1", "4"],
        ["begun", "/cut/2", "2"],
        ["put", "/cut/2", "2", "5"],
    ]
    assert list(power_etcd.judge(etcd, said)) == [
        "etcd has None for /cut/2, and had acknowledged 2",
        "etcd has 9 for /cut/1, which nobody put",
        "etcd has more than the one put that was under way",
        "etcd's revision 4 isn't the put of 1 to /cut/1 that it was acknowledged for",
        "etcd's revision 5 isn't the put of 2 to /cut/2 that it was acknowledged for",
    ]
