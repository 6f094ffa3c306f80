"""Ctrl-C, kill and a closed terminal in ``lab up`` and ``lab bench`` while the server starts: real daemons, no machine.

The command runs as a process of its own. The build is stood in for by the small store of the server's tests, and no
machine is switched on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.server.rooms import LAB
from tests.support.waits import LONG, until

from nodisk import run
from nodisk.machines import processes

pytestmark = pytest.mark.interop
ROOT = Path(__file__).parents[3]
NAME = f"test-{os.getpid()}"
COMMAND = """
from nodisk import cli
from nodisk.assets import build
from nodisk.errors import NodiskError
from nodisk.machines.power import Power
from tests.interop.server.rooms import make_store

def on(*_):
    raise NodiskError("this is where a machine would be switched on")

build.build = lambda lab, state, **_: make_store(state, lab)
Power.on = on
cli.main()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nodisk-test-") as name:
        Path(name).chmod(0o755)  # nginx' unprivileged user has to get at it
        (Path(name) / "lab.yaml").write_text(LAB.format(dhcp="full").replace("name: test\n", f"name: {NAME}\n"))
        yield Path(name)
        lab(folder=Path(name), words=["down", "--purge"]).communicate(timeout=LONG)


def lab(folder: Path, words: list[str]) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", COMMAND, "lab", *words, "--lab", str(folder / "lab.yaml"), "--state", str(folder)]
    return subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
    )


def stop(child: subprocess.Popen[str], netns: str, number: int) -> str:
    """Send the signal when the first daemon of the lab's server is there; the command's last words."""

    def etcd() -> bool:
        return any("etcd" in processes.command_line(pid)[:1] for pid in processes.in_namespace(netns))

    until(etcd, every=0.01, why="no etcd was started", process=child)
    os.killpg(child.pid, number)
    out, err = child.communicate(timeout=LONG)
    assert "Traceback" not in out + err, err
    assert err.endswith("\ninterrupted\n"), err
    return err


def namespaces() -> set[str]:
    listed = run.run(["ip", "-j", "netns", "list"]).stdout.strip()
    return {entry["name"] for entry in json.loads(listed or "[]")}


def of_the_lab(folder: Path) -> list[str]:
    """Processes whose command line names the test's folder."""
    lines = [processes.command_line(int(path.name)) for path in Path("/proc").glob("[0-9]*")]
    return [" ".join(line) for line in lines if any(str(folder) in word for word in line)]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_lab_bench_leaves_nothing(folder: Path, number: int, status: int) -> None:
    child = lab(folder, ["bench"])
    stop(child, f"nodisk-{NAME}-floor", number)
    assert child.returncode == status
    assert not [name for name in namespaces() if NAME in name]
    until(lambda: not of_the_lab(folder), why=lambda: of_the_lab(folder))  # the kernel takes its time
    assert list((folder / "cache").iterdir()) == []
    assert [path.name for path in (folder / "labs").iterdir() if NAME + "-" in path.name] == []


def test_lab_up_can_be_gone_on_with_or_removed(folder: Path) -> None:
    child = lab(folder, ["up"])
    stop(child, f"nodisk-{NAME}", signal.SIGINT)
    assert child.returncode == 130
    again = lab(folder, ["up"])  # it finds the server that the first one started, and goes on
    out, err = again.communicate(timeout=2 * LONG)
    assert again.returncode == 1, out + err
    assert "this is where a machine would be switched on" in err
    assert "server in it" not in err
    down = lab(folder, ["down", "--purge"])
    out, err = down.communicate(timeout=LONG)
    assert down.returncode == 0, out + err
    assert f"nodisk-{NAME}" not in namespaces()
    until(lambda: not of_the_lab(folder), why=lambda: of_the_lab(folder))  # the kernel takes its time
    assert not (folder / "labs" / NAME).exists()
