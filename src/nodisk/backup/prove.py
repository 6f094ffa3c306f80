"""Prove a backup by restoring it: into a scratch etcd and a real API server on loopback, and comparing.

Three comparisons: every file's hash with the manifest's; etcd's keys, values and revisions, by resource, with the
census of the moment of the backup; and the UIDs that are stored with those that a real kube-apiserver then serves.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nodisk import files
from nodisk.assets import built
from nodisk.backup import children, contents, etcd, restore, uids
from nodisk.backup.contents import Manifest
from nodisk.backup.etcd import Count
from nodisk.backup.restic import Repository, Snapshot
from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError, TimedOut
from nodisk.kube.client import Client
from nodisk.kube.kubeconfig import Endpoint
from nodisk.pki.authority import Authority
from nodisk.records import backups
from nodisk.spec.model import Lab
from nodisk.state import LabState, State
from nodisk.waiting import Deadline

_DERIVED = b"kube-aggregator.kubernetes.io/automanaged"
"""The label of those APIServices (k8s.io/kube-aggregator, ``AutoRegisterManagedLabel``)."""
_CLAIMS = b"/registry/leases/kube-system/"
"""Who is there and who leads. A kube-apiserver of 1.26 or later deletes at its start the claims of API servers that
haven't been heard of for an hour (Kubernetes, ``apiserverleasegc``): each time, where the backup is that old."""
SETTLE = 60.0
"""Seconds within which the scratch API server serves all that is stored."""
START = 180.0
"""Seconds within which the scratch API server is ready."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A backup that was restored, and what that showed."""

    snapshot: Snapshot
    manifest: Manifest
    objects: int
    """Objects that a real API server served with their old UIDs."""
    seconds: float
    """From the repository to an API server that serves them."""
    age: float
    """Seconds since the backup's content was true: what a restore at this moment would lose."""


def prove(
    state: State,
    repository: Repository,
    snapshot: Snapshot,
    *,
    record: LabState | None = None,
    program: Path | None = None,
) -> Proof:
    """Restore a backup into scratch and compare; ``record``: the lab in which the success is noted.

    ``program``: the kube-apiserver to start; None: the one of the lab's release.

    Raises IntegrityError for what differs, EnvironmentProblem if this host lacks the release's kube-apiserver.
    Nothing of the scratch is left, and no other lab is touched.
    """
    began = time.monotonic()
    with _scratch(state) as work:
        manifest = restore.load_checked(repository, snapshot, work / "tree")
        lab = restore.lab_of(work / "tree")
        scratch = State(work / "state").lab(manifest.lab)
        scratch.root.parent.mkdir(parents=True)
        (work / "tree" / contents.STATE).rename(scratch.root)
        _database(scratch.database)
        objects = 0
        if scratch.pki.exists():
            Authority(scratch, lab).ensure()  # keys belong to their certificates; expired ones are renewed, here
        if manifest.etcd is not None:
            objects = _cluster(manifest.etcd, lab, scratch, etcd.tools(state, lab), program or apiserver(state, lab))
    seconds = time.monotonic() - began
    if record is not None:
        backups.note_proved(record, manifest.created.timestamp(), snapshot.short)
    age = (datetime.now(UTC) - manifest.created).total_seconds()
    return Proof(snapshot, manifest, objects, seconds, age)


@contextlib.contextmanager
def _scratch(state: State) -> Iterator[Path]:
    """A folder for this proof alone. Those of proofs that were killed are removed: nobody holds their lock."""
    state.restoring.mkdir(mode=0o700, parents=True, exist_ok=True)
    state.restoring.chmod(0o700)
    with files.lock(state.restoring / "verify.lock", "the proof of a backup"):
        for left in state.restoring.glob("verify-*"):
            shutil.rmtree(left, ignore_errors=True)
        work = state.restoring / f"verify-{secrets.token_hex(4)}"
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _database(path: Path) -> None:
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        said = database.execute("PRAGMA integrity_check").fetchone()[0]
    if said != "ok":
        raise IntegrityError(f"the database in the backup is damaged: {said}")


def _cluster(saved: contents.Etcd, lab: Lab, scratch: LabState, with_: etcd.Tools, program: Path) -> int:
    """Restore etcd, serve it, compare; returns how many objects an API server served."""
    work = scratch.state.root.parent
    etcd.restore(work / "tree" / contents.ETCD, work / "etcd", with_, lab=str(lab.name), bump=False)
    with etcd.scratch(work / "etcd", scratch.pki, with_, work / "etcd.log") as member:
        items = list(member.items())
        if wrong := list(differences(saved.resources, etcd.census(iter(items)))):
            raise IntegrityError(f"the restored etcd differs from what was saved: {'; '.join(wrong[:5])}")
        stored = {uid: item.key for item in items if lasts(item) and (uid := uids.uid_of(item.value))}
        with _api(program, lab, scratch, member, work) as client:
            missing, deadline = stored.keys() - set(_served(client)), Deadline(SETTLE)
            while missing and deadline.pause(1):  # custom kinds come a moment after the server says that it is ready
                missing = stored.keys() - set(_served(client))
    if lost := [stored[uid].decode(errors="replace") for uid in sorted(missing)]:
        raise IntegrityError(f"an API server doesn't serve {len(lost)} of the restored objects: {', '.join(lost[:5])}")
    return len(stored)


def lasts(item: etcd.Item) -> bool:
    """Whether an API server that starts leaves an object as it is. Pure.

    Not what expires, nor the APIServices of custom kinds, which it derives from their definitions and replaces by
    itself, nor the claims of programs that ran when the backup was made.
    """
    return not item.lease and _DERIVED not in item.value and not item.key.startswith(_CLAIMS)


def differences(wanted: Mapping[str, Count], found: Mapping[str, Count]) -> Iterator[str]:
    """Where two censuses differ, in words. Pure."""
    for name in sorted(wanted.keys() | found.keys()):
        before, now = wanted.get(name), found.get(name)
        if before == now:
            continue
        if before is None or now is None or before.count != now.count:
            yield f"{name}: {now.count if now else 0} instead of {before.count if before else 0}"
        else:
            yield f"{name}: other content"


def apiserver(state: State, lab: Lab) -> Path:
    """The release's kube-apiserver; raises EnvironmentProblem where it isn't in the store."""
    program = built.release_bin(state, lab) / "kube-apiserver"
    if not program.exists():
        raise EnvironmentProblem(
            "the lab's release has no kube-apiserver in the store, which a proof starts", hint="run: nodisk build"
        )
    return program


@contextlib.contextmanager
def _api(program: Path, lab: Lab, scratch: LabState, member: etcd.Endpoint, work: Path) -> Iterator[Client]:
    """A real API server on a port of loopback, with the lab's own keys."""
    pki, port, log = scratch.pki, etcd.free_port(), work / "kube-apiserver.log"
    argv: list[str | Path] = [
        program,
        f"--etcd-servers={member.url}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-probe.crt'}",
        f"--etcd-keyfile={pki / 'etcd-probe.key'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--advertise-address={lab.network.server}",
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={pki / 'server.crt'}",
        f"--tls-private-key-file={pki / 'server.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-cluster-ip-range={lab.kubernetes.services}",
    ]
    endpoint = Endpoint(
        server=f"https://127.0.0.1:{port}",
        ca_pem=(pki / "server-ca.crt").read_text(),
        cert_pem=(pki / "admin.crt").read_text(),
        key_pem=(pki / "admin.key").read_text(),
    )
    with children.child(argv, log) as process, Client(endpoint, patience=2) as client:
        deadline = Deadline(START)
        while not _ready(client):
            if process.poll() is not None:
                raise NodiskError(f"the API server of the proof ended: {children.tail(log)}")
            if not deadline.pause(0.3):
                raise TimedOut(f"the API server of the proof wasn't ready within {START:g} s: {children.tail(log)}")
        yield client


def _ready(client: Client) -> bool:
    with contextlib.suppress(NodiskError):
        return client.request("GET", "/readyz", accept="*/*").status_code == 200
    return False


def _served(client: Client) -> Iterator[str]:
    """The UIDs of all objects that the API server serves, in every version that it has."""
    for group, versions in sorted(client.discovery.groups().items()):
        for version in versions:
            api_version = f"{group}/{version}" if group else version
            with contextlib.suppress(NodiskError):  # an aggregated API, whose own server isn't here
                for resource in client.discovery.resources(api_version).values():
                    if "list" in resource.verbs:
                        with contextlib.suppress(NodiskError):
                            yield from _listed(client, resource.path())


def _listed(client: Client, path: str) -> Iterator[str]:
    token = ""
    while True:
        params = {"limit": "500"} | ({"continue": token} if token else {})
        answer = client.request("GET", path, params=params).json()
        for item in answer.get("items") or ():
            if uid := item["metadata"].get("uid"):
                yield uid
        token = (answer.get("metadata") or {}).get("continue") or ""
        if not token:
            return
