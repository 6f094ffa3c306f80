"""Builds broken off by Ctrl-C, a kill, a full disk, a mirror that isn't there: nothing half-made stays."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.waits import until

from nodisk.assets import build, release_debian
from nodisk.assets.store import Store
from nodisk.errors import CommandFailed, EnvironmentProblem
from nodisk.spec.model import Lab
from nodisk.state import State

pytestmark = pytest.mark.interop

LAB = """\
name: faults
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
kubernetes: {source: debian}
os: {kernel: cloud}
machines: [{name: c1, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}]
"""


def lab(**os_settings: object) -> Lab:
    return Lab.model_validate(
        {
            "name": "faults",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "kubernetes": {"source": "debian"},
            "os": os_settings,
            "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
        }
    )


def start(folder: Path) -> subprocess.Popen[str]:
    """`nodisk build` from nothing, as a terminal starts it; returns when Debian is being installed."""
    (folder / "lab.yaml").write_text(LAB)
    state = folder / "state"
    child = subprocess.Popen(
        [sys.executable, "-m", "nodisk", "build", "--lab", folder / "lab.yaml", "--state", state],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def installs() -> bool:
        made = (state / "assets/tmp").glob("*/root/*")
        return any(path.name in ("root", "base.tar") or path.is_dir() for path in made)

    until(installs, seconds=300, every=0.1, why="mmdebstrap did not start within five minutes", process=child)
    return child


def traces(state: Path) -> list[str]:
    """Processes whose command line names the state directory, and mounts below it."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(state) in words:
            found.append(words)
    return found + [line for line in Path("/proc/mounts").read_text().splitlines() if str(state) in line]


def gone(state: Path) -> None:
    until(lambda: not traces(state), every=0.1, why=lambda: traces(state))


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_build_that_is_stopped_leaves_no_process_no_mount_no_file(
    tmp_path: Path, sign: signal.Signals, status: int
) -> None:
    child = start(tmp_path)
    assert traces(tmp_path / "state")
    child.send_signal(sign)
    _, told = child.communicate(timeout=120)
    assert child.returncode == status, told
    assert "interrupted" in told
    assert "Traceback" not in told
    gone(tmp_path / "state")
    assert not (tmp_path / "state/assets/tmp").exists()
    assert {path.stem.partition("-")[0] for path in (tmp_path / "state/assets/manifests").glob("*")} <= {
        "ipxe",
        "containers",
    }


def test_a_build_that_is_killed_takes_its_children_along_and_the_next_one_clears_up(tmp_path: Path) -> None:
    child = start(tmp_path)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=120)
    gone(tmp_path / "state")
    with Store(State(tmp_path / "state")).builder():
        assert not (tmp_path / "state/assets/tmp").exists()


def test_a_second_build_at_once_is_refused(tmp_path: Path) -> None:
    child = start(tmp_path)
    try:
        words = [
            sys.executable,
            "-m",
            "nodisk",
            "build",
            "--lab",
            f"{tmp_path}/lab.yaml",
            "--state",
            f"{tmp_path}/state",
        ]
        second = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
        assert second.returncode == 5
        assert f"the asset store is in use by process {child.pid}" in second.stderr
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=120)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24M", "nodisk-test", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_too_little_disk_is_said_before_anything_is_loaded(small_disk: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="GiB free; compiling Kubernetes needs") as caught:
        build.build(lab(), State(small_disk / "state"))
    assert caught.value.hint is not None
    assert "--state" in caught.value.hint


def test_a_disk_that_fills_up_meanwhile_is_named_and_nothing_half_made_is_kept(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_debian, "ROOM", 0)
    state = State(small_disk / "state")
    with pytest.raises(EnvironmentProblem, match="is full"):
        build.build(lab(), state, only=["release"])
    assert Store(state).manifests() == []
    assert not (state.assets / "tmp").exists()


def test_a_mirror_that_is_not_there_is_told_with_mmdebstraps_own_words(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        build.build(lab(mirror="http://127.0.0.1:1/debian"), State(tmp_path / "state"), only=["release"])
    assert "127.0.0.1" in caught.value.message
    assert not (tmp_path / "state/assets/tmp").exists()
