"""Backups while the server runs: its etcd over mutual TLS, and a student's volume that is exported by NFS."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from tests.interop.server.rooms import Room
from tests.support import commands
from tests.support.restic_keys import open_at_once

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
    open_at_once(Path(target), room.state.backup / "password")
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


def on_an_empty_host(room: Room, target: Path, password: Path) -> dict[str, object]:
    """Restore the latest backup where there is neither a state directory nor a lab.yaml."""
    shutil.rmtree(room.state.state.root)
    room.lab_file.unlink()
    options: list[str | Path] = ["--from", target, "--password-file", password, "--state", room.state.state.root]
    words = ["backup", "restore", *options, "--lab-file", room.lab_file, "-o", "json"]
    said: dict[str, object] = json.loads(commands.call(words, netns=room.name, timeout=120, check=True).stdout)
    return said


def test_a_backup_with_assets_needs_no_build(empty_room: Room) -> None:
    room = empty_room
    target, password = room.folder / "backups", room.folder / "password"
    password.write_text("a test's\n")
    options = ["--to", str(target), "--password-file", str(password)]
    room.nodisk("backup", "create", *options, "--with-assets")
    open_at_once(target, password)
    before = {path: path.read_bytes() for path in (room.state.state.assets / "objects").rglob("*") if path.is_file()}
    said = on_an_empty_host(room, target, password)
    assert said["assets_missing"] == []
    assert {path: path.read_bytes() for path in before} == before
    room.start()
    digest = next(path.parent.name for path in before if path.name == "root.squashfs")
    got = room.folder / "got"
    place = f"http://{room.lab.network.server}/assets/{digest}/root.squashfs"
    run.run(["curl", "-sS", "--fail", "-o", got, place], netns=room.name, timeout=60)
    assert hashlib.sha256(got.read_bytes()).hexdigest() == digest
    assert room.stop() == 0
    # Without them, the backup says which ones the lab was built of.
    room.nodisk("backup", "create", *options)
    said = on_an_empty_host(room, target, password)
    assert said["assets_missing"] == ["containers", "image", "ipxe", "release"]
    refused = room.nodisk("serve", check=False)
    assert refused.returncode == 4
    assert "built assets are missing from the store: containers, image, ipxe, release" in refused.stderr
    assert "nodisk build" in refused.stderr
    # A damaged file in the store is replaced by the backup's.
    first = json.loads(room.nodisk("backup", "list", *options, "-o", "json").stdout)["backups"][0]
    assert first["assets"]
    damaged = next(path for path in before if path.name == "root.squashfs")
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"something else")
    words = ["backup", "restore", first["id"][:8], "--replace", "--from", str(target)]
    more: list[str | Path] = [
        "--password-file",
        password,
        "--state",
        room.state.state.root,
        "--lab-file",
        room.lab_file,
    ]
    commands.call([*words, *more], netns=room.name, timeout=120, check=True)
    assert damaged.read_bytes() == before[damaged]
