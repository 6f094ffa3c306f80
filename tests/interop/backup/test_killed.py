"""A restore over a lab that is there, killed at each step: the lab is always the old one or the new one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.interop.backup.rooms import Room

pytestmark = pytest.mark.interop

KILL = """\
import os, signal, sys

left = int(os.environ["NODISK_TEST_KILL"])


def hook(event, arguments):
    global left
    if event != "os.rename" or not os.environ["NODISK_TEST_BELOW"] in os.fsdecode(arguments[1]):
        return
    if "/restoring/" in os.fsdecode(arguments[1]):
        return
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(hook)
"""
"""Python imports it at its start: it is killed before its so-many-th rename of what is in place."""


def test_killed_at_each_step(room: Room, tmp_path: Path) -> None:
    """Half a minute: each step is a restore."""
    room.call("create", "--to", "backups")
    saved = (room.lab.classes / "k8s.json").read_bytes()
    (room.lab.classes / "k8s.json").write_bytes(b"changed since")
    key = (room.lab.pki / "ca.key").read_bytes()
    (room.folder / "lab.yaml").unlink()
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(KILL)
    password = room.folder / "password"
    password.write_bytes(room.password.read_bytes())
    words = ["restore", "latest", "--from", "backups", "--password-file", str(password), "--replace"]
    killed = 0
    for step in range(1, 20):
        env = os.environ | {"NODISK_TEST_KILL": str(step), "NODISK_TEST_BELOW": str(room.folder)}
        env["PYTHONPATH"] = f"{hook}:{env.get('PYTHONPATH', '')}"
        done = subprocess.run(room.argv(*words), cwd=room.folder, env=env, text=True, capture_output=True, check=False)
        assert (room.lab.pki / "ca.key").read_bytes() == key, "the lab is there at every moment"
        assert (room.lab.classes / "k8s.json").read_bytes() == b"changed since" or done.returncode == 0
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        killed += 1
    assert killed >= 2
    assert (room.lab.classes / "k8s.json").read_bytes() == saved
    old = [path / "classes/k8s.json" for path in room.state.set_aside.iterdir()]
    assert [path.read_bytes() for path in old if path.read_bytes() != saved] == [b"changed since"]
    room.call("create", "--to", "backups", "--password-file", str(password))
    assert not list(room.state.restoring.glob("*/"))
