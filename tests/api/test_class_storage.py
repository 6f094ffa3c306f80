"""Storage of classes on a real API server: volumes bound to one student's claim each, kept or removed by choice.

That the volumes can be mounted, and hold no more than they may, is tests/interop/server/test_storage.py.
"""

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane
from tests.support import commands
from tests.support.waits import until

from nodisk.classes import actions, drift, homes, manifests, plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.errors import UsageError
from nodisk.kube import kubeconfig
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Forbidden
from nodisk.storage import volumes

pytestmark = pytest.mark.usefixtures("no_class_is_left")


def make(
    plane: ControlPlane, client: Client, folder: Path, size: str, existing: record.Class | None = None
) -> record.Class:
    planned = plan.merge(
        existing,
        [Person("jan"), Person("ewa")],
        name="files",
        now=record.now(),
        size=sizes.find("small"),
        role="edit",
        storage=size,
    )
    made = actions.create(plane.context, client, planned.record, folder=folder)
    actions.raise_first(made.failed)
    assert [finding.tried for finding in made.findings if finding.verdict == "hole"] == []
    return made.record


def claim(client: Client, name: str) -> Object:
    """A student's claim, when it is bound."""

    def found() -> Object:
        return client.get("v1", "PersistentVolumeClaim", manifests.CLAIM, namespace=f"files-{name}")

    until(lambda: found()["status"].get("phase") == "Bound", every=0.1, why=found)
    return found()


def pv_of(client: Client, found: Object) -> Object:
    return client.get("v1", "PersistentVolume", found["spec"]["volumeName"])


def test_each_student_has_a_volume_of_their_own(plane: ControlPlane, client: Client, tmp_path: Path) -> None:
    found = make(plane, client, tmp_path / "out", "64Mi")
    held = homes.held(plane.lab_state, found)
    paths = set()
    for student in found.students:
        pv = pv_of(client, claim(client, student.label))
        assert pv["spec"]["claimRef"]["namespace"] == found.namespace(student)
        assert pv["spec"]["nfs"] == {"server": "10.77.0.1", "path": f"/{held[student.key].path}"}
        assert pv["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        assert pv["spec"]["mountOptions"] == list(manifests.MOUNT_OPTIONS)
        paths.add(pv["spec"]["nfs"]["path"])
    assert len(paths) == 2
    # A student can't read where anybody's is, nor ask for more, nor take the other's.
    jan = client.with_token(kubeconfig.load(tmp_path / "out" / "jan.kubeconfig").token or "", patience=3)
    with pytest.raises(Forbidden):
        jan.list("v1", "PersistentVolume")
    theirs = pv_of(client, claim(client, "ewa"))["metadata"]["name"]
    grab: Object = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "grab", "namespace": "files-jan"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": manifests.STORAGE_CLASS,
            "volumeName": theirs,
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    with pytest.raises(Forbidden, match="exceeded quota"):
        jan.create(grab)
    client.delete("v1", "ResourceQuota", "nodisk", namespace="files-jan")

    def created() -> bool:
        with contextlib.suppress(Forbidden):  # the API server hears of the quota's end a moment later
            client.create(grab)
            return True
        return False

    until(created)  # as the administrator and without a quota: still not bound
    time.sleep(3)  # no event tells that the controller left it as it is
    assert client.get("v1", "PersistentVolumeClaim", "grab", namespace="files-jan")["status"]["phase"] == "Pending"
    client.delete("v1", "PersistentVolumeClaim", "grab", namespace="files-jan")
    text = (tmp_path / "out" / "jan.en.html").read_text()
    assert "claimName: home" in text
    assert not any(path in text for path in paths)


def test_it_grows_and_never_shrinks_and_a_deleted_claim_comes_back(
    plane: ControlPlane, client: Client, tmp_path: Path
) -> None:
    found = make(plane, client, tmp_path / "out", "64Mi")
    before = {name: claim(client, name)["metadata"]["uid"] for name in ("jan", "ewa")}
    assert drift.find(client, found, plane.lab, homes.held(plane.lab_state, found)) == []
    client.delete("storage.k8s.io/v1", "StorageClass", manifests.STORAGE_CLASS)
    gone = drift.find(client, found, plane.lab, homes.held(plane.lab_state, found))
    assert [(d.object, d.what) for d in gone] == [("StorageClass nodisk", "is gone")]
    client.delete("v1", "PersistentVolumeClaim", manifests.CLAIM, namespace="files-ewa")
    found = make(plane, client, tmp_path / "out", "128Mi", found)
    for name in ("jan", "ewa"):
        there = claim(client, name)
        assert there["status"]["capacity"]["storage"] == "128Mi"
        assert (there["metadata"]["uid"] == before[name]) == (name == "jan")
        assert pv_of(client, there)["spec"]["capacity"]["storage"] == "128Mi"
    held = homes.held(plane.lab_state, found)
    assert {volume.size for volume in held.values()} == {128 * volumes.MIB}
    assert drift.find(client, found, plane.lab, held) == []
    with pytest.raises(UsageError, match="a volume can't shrink"):
        make(plane, client, tmp_path / "out", "64Mi", found)
    actions.reset(plane.context, client, found, [found.student("jan")])
    assert claim(client, "jan")["metadata"]["uid"] != before["jan"]
    assert homes.held(plane.lab_state, found) == held


def nodisk(plane: ControlPlane, cwd: Path, *words: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    where = ("--lab", plane.lab_file, "--state", plane.state.root)
    return commands.call([*words, *where], cwd=cwd, answer=answer, env={**os.environ, "COLUMNS": "200"})


def test_kept_or_removed_by_choice(plane: ControlPlane, client: Client, tmp_path: Path) -> None:
    words = ("class", "create", "files", "--students", "jan,ewa,ola", "--overcommit")
    tiny = nodisk(plane, tmp_path, *words, "--storage", "1Mi")
    assert (tiny.returncode, "use at least 16Mi" in tiny.stderr) == (2, True)
    made = nodisk(plane, tmp_path, *words, "--storage", "64Mi")
    assert made.returncode == 0, made.stderr
    assert "storage: 3 × 64 MiB" in made.stderr
    huge = nodisk(plane, tmp_path, *words[:-1], "--storage", "900Ti", "--dry-run")
    assert huge.returncode == 2
    shown = nodisk(plane, tmp_path, "class", "show", "files")
    assert "64 MiB, 0 MiB on disk" in shown.stdout
    assert "storage 64Mi" in shown.stderr
    numbers = {volume.key: volume.name for volume in volumes.load_all(plane.lab_state)}
    assert set(numbers.values()) == {"files-jan-1", "files-ewa-2", "files-ola-3"}

    removed = nodisk(plane, tmp_path, "class", "remove", "files", "ola", "--storage-policy", "remove", "--yes")
    assert removed.returncode == 0, removed.stderr
    pvs = client.list("v1", "PersistentVolume", labels="nodisk.dev/class=files")
    assert {pv["metadata"]["name"] for pv in pvs} == {"nodisk-files-jan-1", "nodisk-files-ewa-2"}
    asked = nodisk(plane, tmp_path, "class", "delete", "files", answer="y\nn\n")
    assert asked.returncode == 0, asked.stderr
    assert "Also delete their 2 volumes" in asked.stderr
    assert "kept 2 volumes with their files" in asked.stderr
    assert client.list("v1", "PersistentVolume") == []
    assert client.list("storage.k8s.io/v1", "StorageClass") == []
    rows = json.loads(nodisk(plane, tmp_path, "class", "storage", "--output", "json").stdout)
    states = {row["volume"]: row["state"] for row in rows}
    assert states == {"files-jan-1": "kept", "files-ewa-2": "kept", "files-ola-3": "removed"}

    # The same class again: the same volume. No server runs here; one that does deletes what is removed.
    again = nodisk(plane, tmp_path, *words, "--storage", "64Mi")
    assert again.returncode == 0, again.stderr
    states = {volume.name: volume.state for volume in volumes.load_all(plane.lab_state)}
    assert states["files-jan-1"] == "exported"
    assert states["files-ola-4"] == "exported"
    used = nodisk(plane, tmp_path, "class", "storage", "--remove", "files-jan-1", "--yes")
    assert (used.returncode, "a student uses it" in used.stderr) == (2, True)
    gone = nodisk(plane, tmp_path, "class", "delete", "files", "--yes", "--storage-policy", "remove")
    assert gone.returncode == 0, gone.stderr
    assert {volume.state for volume in volumes.load_all(plane.lab_state)} == {"removed"}
