"""Backups against a real etcd, API server and restic: what is restored is the same cluster."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane
from tests.support import commands
from tests.support.restic_keys import open_at_once

from nodisk.backup import create, etcd, prove, restore
from nodisk.backup.restic import Repository, Snapshot
from nodisk.kube.client import Client
from nodisk.records import backups
from nodisk.spec import target
from nodisk.storage import volumes
from nodisk.storage.disks import Disks

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lessons.example.org"},
    "spec": {
        "group": "example.org",
        "names": {"kind": "Lesson", "plural": "lessons"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
OBJECTS = (
    ("v1", "Namespace", "k8s-anna", None),
    ("v1", "ConfigMap", "notes", "k8s-anna"),
    ("v1", "ServiceAccount", "anna-1", "k8s-anna"),
    ("example.org/v1", "Lesson", "first", "k8s-anna"),
)


@dataclass
class Room:
    """A lab that had a cluster, stopped, and one backup of it."""

    plane: ControlPlane
    repository: Repository
    snapshot: Snapshot
    uids: dict[str, str]
    token: str
    image: bytes


def uids(client: Client) -> dict[str, str]:
    return {
        f"{kind} {name}": client.get(version, kind, name, namespace=namespace)["metadata"]["uid"]
        for version, kind, name, namespace in OBJECTS
    }


def nodisk(plane: ControlPlane, *words: str, lab: bool = True, status: int = 0) -> subprocess.CompletedProcess[str]:
    where: list[str | Path] = ["--state", plane.state.root, *(("--lab", plane.lab_file) if lab else ())]
    done = commands.call(["backup", *words, *where], cwd=plane.folder)
    assert "Traceback" not in done.stderr
    assert done.returncode == status, done.stderr
    return done


def plane_in(folder: Path, release_bin: Path) -> ControlPlane:
    return ControlPlane(folder, release_bin, etcd_data=folder / "state/labs/room/etcd")


def fill(plane: ControlPlane) -> tuple[dict[str, str], str]:
    with plane.client(patience=60) as client:
        client.apply(CRD)
        for version, kind, name, namespace in OBJECTS:
            metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
            found = {"apiVersion": version, "kind": kind, "metadata": metadata}
            if kind == "Lesson":
                client.until("the kind", lambda: client.supports("example.org/v1", "Lesson") or None)
            client.apply(found)
        token, _ = client.token("k8s-anna", "anna-1", seconds=7200)
        return uids(client), token


@pytest.fixture(scope="module")
def room(release_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    plane = plane_in(tmp_path_factory.mktemp("room"), release_bin)
    try:
        plane.start()
        found, token = fill(plane)
        state = plane.lab_state
        volume = volumes.ensure(state, "k8s", {"anna": "k8s-anna"}, volumes.SMALLEST)["anna"]
        disks = Disks(state)
        assert disks.arrange([volume], []) == ([volume], {})
        try:
            (disks.place(volume) / "homework").write_bytes(os.urandom(300_000))
            repository = Repository(
                target.parse(str(plane.folder / "backups")), state.backup / "password", plane.folder / "cache"
            )
            source = etcd.Endpoint(etcd.tools(plane.state, plane.lab), f"http://127.0.0.1:{plane.etcd_port}", state.pki)
            made = create.create(plane.context, repository, source=source)
            open_at_once(plane.folder / "backups", repository.password)
            (disks.place(volume) / "later").write_text("a frozen volume goes on\n")
        finally:
            disks.close()
        tree = plane.folder / "tree"
        snapshot = repository.find(made.id)
        restore.load_checked(repository, snapshot, tree)
        image = (tree / "state/storage" / volumes.image(state, volume).name).read_bytes()
        plane.stop()
        yield Room(plane, repository, snapshot, found, token, image)
    finally:
        plane.stop()


def test_the_same_cluster_on_another_host(room: Room, release_bin: Path, tmp_path: Path) -> None:
    there = plane_in(tmp_path, release_bin)
    there.lab_file.unlink()
    place = str(room.repository.target.text)
    words = ["restore", "--from", place, "--password-file", str(room.repository.password), "-o", "json"]
    said = json.loads(nodisk(there, *words, room.snapshot.short, lab=False).stdout)
    assert said["rto_seconds"] > 0
    assert said["rpo_seconds"] > 0
    assert there.lab_file.read_text() == room.plane.lab_file.read_text()
    for key in ("ca.key", "sa.key", "etcd-ca.crt"):
        assert (there.lab_state.pki / key).read_bytes() == (room.plane.lab_state.pki / key).read_bytes()
    (volume,) = volumes.load_all(there.lab_state)
    assert volumes.image(there.lab_state, volume).read_bytes() == room.image
    assert backups.read(there.lab_state).id == room.snapshot.short
    try:
        there.start()
        with there.client(patience=60) as client:
            assert uids(client) == room.uids
            student = client.with_token(room.token)
            assert student.json("GET", "/version")
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": room.token}}
            said = client.json("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body=review, idempotent=True)
            assert said["status"]["user"]["username"] == "system:serviceaccount:k8s-anna:anna-1"
    finally:
        there.stop()


def test_a_backup_of_a_stopped_lab_is_proved(room: Room, release_bin: Path) -> None:
    made = json.loads(nodisk(room.plane, "create", "--to", room.repository.target.text, "-o", "json").stdout)
    assert made["objects"] > 50
    found = room.repository.find(made["id"])
    proof = prove.prove(
        room.plane.state, room.repository, found, record=room.plane.lab_state, program=release_bin / "kube-apiserver"
    )
    assert proof.objects > 50
    assert backups.read(room.plane.lab_state).proved_id == found.short
    assert not list(room.plane.state.restoring.glob("verify-*"))
    listed = json.loads(nodisk(room.plane, "list", "--to", room.repository.target.text, "-o", "json").stdout)
    assert [one["proved"] for one in listed["backups"] if one["id"] == found.id] == [True]
