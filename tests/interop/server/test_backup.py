"""Backups while the server runs: its etcd over mutual TLS, and a student's volume that is exported by NFS."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from tests.interop.server.rooms import Room

from nodisk import run
from nodisk.backup import etcd
from nodisk.backup.volumes import seen_by
from nodisk.records import running
from nodisk.storage import volumes
from nodisk.storage.disks import Disks

pytestmark = pytest.mark.interop

KEY, VALUE = "/registry/configmaps/default/a", "kept"


def etcdctl(room: Room, *words: str) -> str:
    return etcd.server(room.state.state, room.lab, room.name).ctl(*words, timeout=60)


def exported(room: Room, volume: volumes.Volume) -> Path:
    """Where the server has the volume mounted; nobody else sees that."""
    place = seen_by(running.process(room.state), Disks(room.state).place(volume))
    assert place.is_mount()
    return place


def test_a_running_server_is_backed_up_and_brought_back(empty_room: Room) -> None:
    room = empty_room
    room.start()
    etcdctl(room, "put", KEY, VALUE)
    volume = volumes.ensure(room.state, "k8s", {"id:1": "k8s-jan"}, volumes.SMALLEST)["id:1"]
    volumes.wait(room.state, [volume], seconds=60)
    place = exported(room, volume)
    content = os.urandom(1_000_000)
    (place / "homework").write_bytes(content)
    target = str(room.folder / "backups")
    made = json.loads(room.nodisk("backup", "create", "--to", target, "-o", "json").stdout)
    assert made["objects"] == 1
    (place / "homework").unlink()  # it was thawed
    etcdctl(room, "del", KEY)
    words = [str(word) for word in room.words("backup", "restore", made["id"][:8], "--from", target)]
    at = words.index("--lab")
    words = [*words[:at], "--lab-file", *words[at + 1 :], "--replace"]
    said = run.run(words, netns=room.name, check=False, timeout=120)
    assert said.returncode == 2
    assert "is running" in said.stderr
    assert room.stop() == 0
    run.run(words, netns=room.name, timeout=120)
    room.start()
    assert etcdctl(room, "get", KEY, "--print-value-only").strip() == VALUE
    volumes.wait(room.state, [volume], seconds=60)
    place = exported(room, volume)
    assert hashlib.sha256((place / "homework").read_bytes()).digest() == hashlib.sha256(content).digest()
