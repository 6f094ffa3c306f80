"""etcd: a consistent snapshot by its own API, a scratch member that serves one, and a census of what is in it.

Programs: the release's own where it has them (etcd 3.5 and later restore by ``etcdutl``), otherwise Debian's.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from nodisk import ports, run
from nodisk.assets import built
from nodisk.backup import children
from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError, TimedOut
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.waiting import Deadline

PAGE = 2000
"""Keys that are read at once."""
BUMP = 1_000_000_000
"""How far a restored etcd's revision is moved, where its etcdutl can: beyond what any client may have seen."""
START = 60.0
"""Seconds within which a scratch etcd answers."""

_SCRATCH_PORTS = range(20000, 30000)
"""Below the range that Linux hands out by itself, and below Kubernetes' NodePorts."""


class Count(BaseModel):
    """How many objects of one resource there are, and a digest of all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    count: int
    sha256: str


class Item(NamedTuple):
    """A key of etcd."""

    key: bytes
    value: bytes
    revision: int
    """At which it was last written: the object's ``resourceVersion``."""
    lease: int
    """0: it stays until it is deleted."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs of one version of etcd."""

    etcd: str
    etcdctl: str
    restorer: str
    """etcdutl, or an etcdctl before 3.6."""


def tools(state: State, lab: Lab) -> Tools:
    """The programs to use for this lab."""
    folder = Path("/nonexistent")
    with contextlib.suppress(NodiskError, OSError):
        folder = built.release_bin(state, lab)

    def one(name: str) -> str:
        return str(folder / name) if (folder / name).exists() else name

    ctl, own = one("etcdctl"), one("etcdutl")
    if "/" not in own and ("/" in ctl or shutil.which(own, path=run.SEARCH_PATH) is None):
        own = ctl
    return Tools(one("etcd"), ctl, own)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running etcd and what opens it."""

    tools: Tools
    url: str
    pki: Path
    """A folder with etcd-ca.crt, etcd-probe.crt and its key."""
    netns: str | None = None

    def save(self, file: Path) -> None:
        """Write a snapshot (etcd's Maintenance API) to a file that appears whole or not at all."""
        self.ctl("snapshot", "save", str(file), timeout=600)
        file.chmod(0o600)

    def items(self, revision: int = 0) -> Iterator[Item]:
        """All keys as of a revision (0: now), in order."""
        last = b""
        while True:
            words = ["get", last.decode(errors="surrogateescape"), "--from-key", f"--limit={PAGE}", "-w", "json"]
            answer = json.loads(self.ctl(*words, *([f"--rev={revision}"] if revision else []), timeout=120))
            revision = revision or int(answer["header"]["revision"])
            found = [
                Item(
                    base64.b64decode(one["key"]),
                    base64.b64decode(one.get("value", "")),
                    int(one["mod_revision"]),
                    int(one.get("lease", 0)),
                )
                for one in answer.get("kvs") or ()
            ]
            yield from (one for one in found if one.key != last)
            if not answer.get("more") or not found:
                return
            last = found[-1].key

    def answers(self) -> bool:
        """Whether it is there."""
        with contextlib.suppress(NodiskError):
            self.ctl("endpoint", "health", timeout=5)
            return True
        return False

    def ctl(self, *words: str, timeout: float) -> str:
        """What etcdctl prints for these words; raises CommandFailed, or TimedOut after so many seconds."""
        tls = ["--cacert", "etcd-ca.crt", "--cert", "etcd-probe.crt", "--key", "etcd-probe.key"]
        tls = [word if word.startswith("--") else str(self.pki / word) for word in tls]
        argv = [self.tools.etcdctl, "--endpoints", self.url, *tls, *words]
        return run.run(argv, env={"ETCDCTL_API": "3"}, netns=self.netns, timeout=timeout).stdout


def server(state: State, lab: Lab, netns: str | None) -> Endpoint:
    """The lab's own etcd, on its server."""
    where = f"https://{lab.network.server}:{ports.ETCD}"
    return Endpoint(tools(state, lab), where, state.lab(str(lab.name)).pki, netns)


def revision_of(file: Path, with_: Tools) -> int:
    """The revision of a snapshot; raises IntegrityError if it is damaged."""
    try:
        said = run.run([with_.restorer, "snapshot", "status", file, "-w", "json"], env={"ETCDCTL_API": "3"}).stdout
        return int(json.loads(said)["revision"])
    except (NodiskError, ValueError, KeyError) as error:
        raise IntegrityError(f"{file.name} is no whole snapshot of etcd: {error}") from error


def restore(file: Path, data: Path, with_: Tools, *, lab: str, bump: bool) -> bool:
    """Make etcd's data folder from a snapshot; returns whether its revision was moved on.

    With ``bump``, and an etcdutl that can (3.6, 3.5.19), watches of before end with an error at once, and their clients
    list again. Otherwise a client that outlived the restore could wait for revisions that come again.
    """
    peers = f"https://127.0.0.1:{ports.ETCD_PEER}"
    words = [
        "--name=nodisk",
        f"--initial-cluster=nodisk={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster-token=nodisk-{lab}",
    ]
    env = {"ETCDCTL_API": "3"}
    usage = run.run([with_.restorer, "snapshot", "restore", "--help"], env=env, check=False)
    able = bump and "--bump-revision" in usage.stdout + usage.stderr
    if able:
        words += [f"--bump-revision={BUMP}", "--mark-compacted"]
    run.run([with_.restorer, "snapshot", "restore", file, f"--data-dir={data}", *words], env=env, timeout=600)
    data.chmod(0o700)
    return able


@contextlib.contextmanager
def scratch(data: Path, pki: Path, with_: Tools, log: Path) -> Iterator[Endpoint]:
    """Serve a data folder on a port of loopback, with the lab's own TLS; ended with the block, and with nodisk."""
    clients, peers = (f"https://127.0.0.1:{free_port()}" for _ in range(2))
    argv = [
        with_.etcd,
        "--name=nodisk",
        f"--data-dir={data}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--cert-file={pki / 'etcd-server.crt'}",
        f"--key-file={pki / 'etcd-server.key'}",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--client-cert-auth",
        f"--peer-cert-file={pki / 'etcd-server.crt'}",
        f"--peer-key-file={pki / 'etcd-server.key'}",
        f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--force-new-cluster",
        "--logger=zap",
    ]
    with children.child(argv, log) as process:
        found, deadline = Endpoint(with_, clients, pki), Deadline(START)
        while not found.answers():
            if process.poll() is not None:
                raise NodiskError(f"a scratch etcd ended: {children.tail(log)}")
            if not deadline.pause(0.2):
                raise TimedOut(f"a scratch etcd gave no answer within {START:g} s: {children.tail(log)}")
        yield found


def census(items: Iterator[Item]) -> dict[str, Count]:
    """Resource → count and digest of keys, values and revisions; without keys that expire by themselves. Pure."""
    digests: dict[str, tuple[int, hashlib._Hash]] = {}
    for item in items:
        if item.lease:
            continue
        name = resource(item.key)
        count, digest = digests.get(name) or (0, hashlib.sha256())
        for part in (item.key, str(item.revision).encode(), item.value):
            digest.update(len(part).to_bytes(8, "big") + part)
        digests[name] = (count + 1, digest)
    return {name: Count(count=count, sha256=digest.hexdigest()) for name, (count, digest) in sorted(digests.items())}


def resource(key: bytes) -> str:
    """Which resource a key of Kubernetes' is of: ``pods``, ``services/specs``, ``GROUP/RESOURCE``. Pure."""
    parts = key.decode(errors="replace").split("/")
    if len(parts) < 4 or parts[:2] != ["", "registry"]:
        return "other"
    if "." in parts[2] or parts[2] == "services":
        return f"{parts[2]}/{parts[3]}" if len(parts) > 4 else parts[2]
    return parts[2]


def free_port() -> int:
    """A port of loopback on which nobody listens, for a program that takes a moment to do so.

    Not one that the kernel hands out (port 0): it may be anybody's by then. Raises ``EnvironmentProblem``.
    """
    for port in random.sample(_SCRATCH_PORTS, k=100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise EnvironmentProblem("a hundred ports of loopback were tried, and all are in use")
