"""What the publishers publish, in small: programs that print what the real ones print, images, a registry for them."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import tarfile
from pathlib import Path

from tests.support.free_ports import free_port
from tests.support.waits import until

from nodisk.assets import docker_archive
from nodisk.assets.docker_archive import Config, Entry

VERSION = "1.36.1"
ETCD = "v3.6.5"
PAUSE = "registry.k8s.io/pause:3.10.1"
COREDNS = "registry.k8s.io/coredns/coredns:v1.12.4"
ADDON_IMAGES = ("ghcr.io/flannel-io/flannel:v1", "registry.k8s.io/networking/kube-network-policies:v1")
LISTED = (
    f"registry.k8s.io/kube-apiserver:v{VERSION}",
    f"registry.k8s.io/kube-controller-manager:v{VERSION}",
    f"registry.k8s.io/kube-scheduler:v{VERSION}",
    f"registry.k8s.io/kube-proxy:v{VERSION}",
    COREDNS,
    PAUSE,
    f"registry.k8s.io/etcd:{ETCD[1:]}-0",
)


def script(answers: dict[str, str]) -> bytes:
    cases = "".join(f"'{words}') cat <<'END'\n{text}\nEND\n;;\n" for words, text in answers.items())
    return f'#!/bin/sh\ncase "$*" in\n{cases}*) exit 1;;\nesac\n'.encode()


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    tar.addfile(info, io.BytesIO(data))


def image(folder: Path, name: str) -> Path:
    target = folder / (name.rpartition("/")[2].replace(":", "_") + ".tar")
    entries = [Entry("bin/x", name.encode())]
    docker_archive.write(target, name=name, entries=entries, config=Config(("/bin/x",)), work=folder)
    return target


def server_tarball(folder: Path) -> bytes:
    told = io.BytesIO()
    with tarfile.open(fileobj=told, mode="w:gz") as tar:
        add(tar, "kubernetes/LICENSES", b"text")
        prefix = "kubernetes/server/bin/"
        add(
            tar,
            prefix + "kubeadm",
            script({f"config images list --kubernetes-version v{VERSION}": "\n".join(LISTED)}),
        )
        for name in ("kubelet", "kubectl", "kube-proxy", "kube-apiserver", "mounter"):
            add(tar, prefix + name, script({"--version": f"Kubernetes v{VERSION}"}))
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
            path = image(folder, f"registry.k8s.io/{name}-amd64:v{VERSION}")
            add(tar, f"{prefix}{name}.tar", path.read_bytes())
            add(tar, f"{prefix}{name}.docker_tag", f"v{VERSION}".encode())
    return told.getvalue()


def etcd_tarball() -> bytes:
    told = io.BytesIO()
    with tarfile.open(fileobj=told, mode="w:gz") as tar:
        for name in ("etcd", "etcdctl", "README.md", "Documentation/etcd"):
            add(tar, f"etcd-{ETCD}-linux-amd64/{name}", b"#!/bin/sh\necho etcd\n")
    return told.getvalue()


class registry:  # noqa: N801 - used as a context manager only
    """A docker-registry on loopback; yields its address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> str:
        address = f"127.0.0.1:{free_port()}"
        config = self.folder / "registry.yml"
        storage = {"filesystem": {"rootdirectory": str(self.folder / "registry")}}
        config.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": address}}))
        log = (self.folder / "registry.log").open("wb")
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
        log.close()

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0

        until(listens, every=0.1, why=(self.folder / "registry.log").read_text, process=self.process)
        return address

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
