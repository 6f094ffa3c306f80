"""Machines that pull container images by the real containerd, and ones that give layers, honest or not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from tests.interop.server import faulty_giver
from tests.interop.server.rooms import Room
from tests.support import assets
from tests.support.waits import LONG

from nodisk import ports, run
from nodisk.plan import containers
from nodisk.plan.facts import AssetRef, Facts, ImageFacts, ReleaseFacts
from nodisk.values import KubeVersion
from nodisk.waiting import Deadline, until

OCI = "application/vnd.oci.image.manifest.v1+json"
PATIENCE = "20s"
"""Without a byte, instead of two minutes."""


@dataclass(frozen=True)
class Image:
    """One in the server's registry, of one layer that no packing makes smaller."""

    name: str
    layer: str
    """The layer's digest, hexadecimal."""
    size: int
    """Of the layer, packed."""


def push(room: Room, name: str, size: int) -> Image:
    """Make an image with a file of ``size`` random bytes and give it to the registry."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = size
        archive.addfile(entry, io.BytesIO(os.urandom(size)))
    packed = gzip.compress(tar.getvalue(), compresslevel=1)
    layer, diff = hashlib.sha256(packed).hexdigest(), hashlib.sha256(tar.getvalue()).hexdigest()
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{diff}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    transport = httpx2.HTTPTransport(uds=str(room.state.run / "registry.sock"))
    with httpx2.Client(base_url="http://registry", transport=transport, timeout=60) as client:
        parts = []
        for kind, content in (("image.config.v1+json", config), ("image.layer.v1.tar+gzip", packed)):
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            begun = client.post(f"/v2/{name}/blobs/uploads/").headers["Location"]
            where = httpx2.URL("http://registry").join(begun).copy_merge_params({"digest": digest})
            assert client.put(where, content=content).status_code == 201
            parts.append({"mediaType": f"application/vnd.oci.{kind}", "size": len(content), "digest": digest})
        manifest = {"schemaVersion": 2, "mediaType": OCI, "config": parts[0], "layers": parts[1:]}
        answer = client.put(f"/v2/{name}/manifests/1", content=json.dumps(manifest), headers={"Content-Type": OCI})
        assert answer.status_code == 201
    return Image(f"registry.k8s.io/{name}:1", layer, len(packed))


@dataclass
class Puller:
    """containerd on one machine, with the configuration that the machine would get."""

    folder: Path
    socket: Path

    def pull(self, image: Image) -> str:
        """As kubelet asks for it: CRI's PullImage, by gRPC. Returns the reason of a failure, or nothing."""
        name = image.name.encode()
        words = bytes((0x0A, len(name) + 2, 0x0A, len(name))) + name
        url = "http://containerd/runtime.v1.ImageService/PullImage"
        curl = ["curl", "-sS", "--max-time", "100", "--http2-prior-knowledge", "--unix-socket", str(self.socket), url]
        curl += ["-H", "Content-Type: application/grpc", "-H", "TE: trailers", "--data-binary", "@-", "-D", "-"]
        body = b"\0" + len(words).to_bytes(4, "big") + words
        found = subprocess.run(curl, input=body, capture_output=True, check=False, timeout=120)
        answer = (found.stdout + found.stderr).decode(errors="replace")
        return "" if "grpc-status: 0" in answer and "sha256:" in answer else answer

    def pulled(self, image: Image, *, tries: int = 3) -> int:
        """Pull it as kubelet does, again after a pause; returns how often it took."""
        said = []
        for number in range(1, tries + 1):
            said.append(self.pull(image))
            if not said[-1]:
                assert self.has(image)
                return number
            print(f"try {number}: {said[-1]}")
            time.sleep(2)  # kubelet's own pause is longer
        raise AssertionError("\n".join(said))

    @property
    def blobs(self) -> Path:
        return self.folder / "root" / containers.BLOBS.removeprefix("/var/lib/containerd/")

    def has(self, image: Image) -> bool:
        """Whether it keeps the layer, packed and right."""
        file = self.blobs / image.layer
        return file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == image.layer


def find_containerd(folder: Path) -> Path:
    """This host's, or the image's own, unpacked into ``folder``."""
    if (found := shutil.which("containerd")) is not None:
        return Path(found)
    store, manifest = assets.image()
    packed = store.path(manifest.file("root.squashfs"))
    words = ["unsquashfs", "-quiet", "-no-progress", "-dest", str(folder / "root"), str(packed), "usr/bin/containerd"]
    subprocess.run(words, check=True, capture_output=True)
    return folder / "root/usr/bin/containerd"


@contextmanager
def containerd(program: Path, room: Room, machine: str, *, peers: bool = True) -> Iterator[Puller]:
    """containerd in the machine's namespace; ``peers``: with what lab.yaml's ``peers`` changes."""
    folder = Path(tempfile.mkdtemp(dir=room.folder, prefix=f"containerd-{machine}-"))
    asset = AssetRef("none", "0" * 64, 1)
    release = ReleaseFacts(KubeVersion(1, 36, 1), "upstream", (), asset)
    facts = Facts("", ImageFacts(asset, asset, asset, "6.12", 1, "1.7.24"), release)
    config = containers.containerd_config(facts, gives_layers=peers)
    for there, here in (
        ("/etc/containerd/certs.d", str(folder / "certs.d")),
        ("  disable = false\n", "  disable = true\n"),  # NRI, whose socket has one place on a host
        (f'"{containers.PULL_PATIENCE}s"', f'"{PATIENCE}"'),
        # Here there may be a file system below which overlays can't sit.
        ("discard_unpacked_layers = true\n", 'discard_unpacked_layers = true\n  snapshotter = "native"\n'),
    ):
        config = config.replace(there, here)
    if peers:
        config += '[plugins."io.containerd.grpc.v1.cri".containerd]\n  snapshotter = "native"\n'
    config += f'[plugins."io.containerd.internal.v1.opt"]\n  path = "{folder}/opt"\n'
    hosts = folder / "certs.d/_default/hosts.toml"
    hosts.parent.mkdir(parents=True)
    ca = str(room.state.pki / "server-ca.crt")
    hosts.write_text(containers.registry_hosts(room.lab, gives_layers=peers).replace("/etc/nodisk/ca.crt", ca))
    students = folder / f"certs.d/{room.lab.network.server}:{ports.CLASS_REGISTRY}/hosts.toml"
    students.parent.mkdir()
    students.write_text(containers.class_registry_hosts(room.lab).replace("/etc/nodisk/ca.crt", ca))
    (folder / "config.toml").write_text(config)
    made = Puller(folder, folder / "socket")
    words = [program, "--config", folder / "config.toml", "--root", folder / "root", "--state", folder / "state"]
    process = run.start(
        [str(word) for word in (*words, "--address", made.socket)],
        log_file=folder / "log",
        netns=f"{room.name}-{machine}",
    )
    try:
        assert until(made.socket.exists, Deadline(LONG), every=0.05), (folder / "log").read_text()
        made.blobs.mkdir(parents=True, exist_ok=True)  # as the unit does
        yield made
    finally:
        process.terminate()
        process.wait(LONG)


@contextmanager
def giving(program: Path, room: Room, machine: str, blobs: Path, rate: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """The real nodisk-peers on a machine, with the layers that its containerd has."""
    address = str(room.machine(machine).address)
    words = [str(program), "layers", str(blobs), f"{address}:{ports.LAYERS}", str(rate)]
    process = run.start(words, log_file=room.folder / f"layers-{machine}.log", netns=f"{room.name}-{machine}")
    try:
        assert until(lambda: listens(room, machine), Deadline(LONG), every=0.05)
        yield process
    finally:
        process.kill()
        process.wait(LONG)


def listens(room: Room, machine: str) -> bool:
    words = ["ss", "-Hlnt", f"sport = :{ports.LAYERS}"]
    return bool(run.run(words, netns=f"{room.name}-{machine}").stdout.strip())


@contextmanager
def faulty(room: Room, machine: str, fault: str, image: Image) -> Iterator[None]:
    """A machine that the server believes to have the layer: it says so, and then alters it, hangs, breaks off, dies."""
    ca = str(room.state.pki / "server-ca.crt")
    path = image.name.removeprefix("registry.k8s.io/").removesuffix(":1")
    url = f"https://{room.lab.network.server}:{ports.REGISTRY}/peers/v2/{path}/blobs/sha256:{image.layer}"
    asked = room.curl(f"{room.name}-{machine}", "--cacert", ca, "-o", "/dev/null", "-w", "%{http_code}", url)
    assert asked == "404", "it is the first one that asks"
    address = str(room.machine(machine).address)
    blob = room.state.registry / f"docker/registry/v2/blobs/sha256/{image.layer[:2]}/{image.layer}/data"
    words = [sys.executable, faulty_giver.__file__, address, str(ports.LAYERS), fault, str(blob)]
    log = room.folder / f"faulty-{fault}.log"
    process = run.start(words, log_file=log, netns=f"{room.name}-{machine}")
    try:
        assert until(lambda: listens(room, machine), Deadline(LONG), every=0.05), log.read_text()
        yield
    finally:
        process.kill()
        process.wait(LONG)


def sent(room: Room) -> int:
    """Bytes that the server has sent to all machines, with everything around them."""
    return int(run.run(["cat", "/sys/class/net/lan/statistics/tx_bytes"], netns=room.name).stdout)
