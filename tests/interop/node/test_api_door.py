"""A control plane beside others takes no connection from outside before its API server is ready."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.node.wires import Wire
from tests.support.waits import LONG, until

from nodisk import node, ports, run

pytestmark = pytest.mark.interop
ADDRESS = "10.77.0.21"


class Plane:
    """The script ``control-plane`` on the machine of a wire, with kubeadm and curl that only answer."""

    def __init__(self, wire: Wire, folder: Path, *, alone: bool) -> None:
        self.wire, self.folder = wire, folder
        for name in ("bin", "nodisk", "kubernetes/manifests"):
            (folder / name).mkdir(parents=True)
        words = "180 150 5" if alone else ""
        (folder / "nodisk/node.env").write_text(
            f'NAME=cp1\nAPI=https://{ADDRESS}:{ports.API}\nPHASES="mark-control-plane"\nELECTION_ALONE="{words}"\n'
        )
        for part in ("apiserver", "controller-manager", "scheduler"):
            (folder / f"kubernetes/manifests/kube-{part}.yaml").write_text("periodSeconds: 1\n")
        answers = {"kubeadm": ":", "controllers": ":", "sleep": "exec /bin/sleep 0.1"}
        answers["curl"] = f"[ -e {folder}/ready ] || {{ : >{folder}/asked; exit 22; }}"
        for name, text in answers.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)

    def start(self, phase: str) -> subprocess.Popen[bytes]:
        script = (node.IMAGE / "usr/lib/nodisk/control-plane").read_text(encoding="utf-8")
        for real, here in (("/etc/nodisk", "nodisk"), ("/etc/kubernetes", "kubernetes"), ("/usr/lib/nodisk", "bin")):
            script = script.replace(real, str(self.folder / here))
        path = f"PATH={self.folder}/bin:/usr/sbin:/usr/bin:/bin"
        return run.start(
            ["env", path, "dash", "-c", script, "control-plane", phase],
            log_file=self.folder / phase,
            netns=self.wire.name("machine"),
        )

    def opens(self, who: str) -> bool:
        """Whether the API's port takes a connection; raises if it neither does nor refuses."""
        code = f"import socket; socket.create_connection(('{ADDRESS}', {ports.API}), 30).close()"
        done = run.run([sys.executable, "-c", code], netns=self.wire.name(who), check=False)
        assert done.returncode == 0 or "ConnectionRefusedError" in done.stderr, done.stderr
        return done.returncode == 0


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path)
    try:
        made.make()
        made.listen("machine", ADDRESS, ports.API)
        yield made
    finally:
        made.remove()


def test_the_door_opens_when_the_api_server_is_ready(wire: Wire, tmp_path: Path) -> None:
    plane = Plane(wire, tmp_path / "plane", alone=False)
    assert plane.start("manifests").wait(LONG) == 0
    assert not plane.opens("server")
    assert plane.opens("machine")  # kubelet's probes, and the API server itself
    finishing = plane.start("finish")
    until((plane.folder / "asked").exists, why="nobody asked the API server", process=finishing)
    assert not plane.opens("server")
    (plane.folder / "ready").touch()
    assert finishing.wait(LONG) == 0
    assert plane.opens("server")
    assert plane.opens("pod")
    assert "not" not in (plane.folder / "manifests").read_text() + (plane.folder / "finish").read_text()


def test_one_that_is_alone_has_no_door(wire: Wire, tmp_path: Path) -> None:
    plane = Plane(wire, tmp_path / "plane", alone=True)
    assert plane.start("manifests").wait(LONG) == 0
    assert plane.opens("server")
