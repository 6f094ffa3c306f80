"""The way that real users go: the official release from its default addresses, over TLS, to a cluster that is proved.

The publishers' names lead to servers of the test, and what they publish is the 1.20.2 that the project builds, packed
as the publishers pack theirs. Two parts can't be had where only a Debian mirror is reached, and are stand-ins: etcd's
release is Debian's etcd, and CoreDNS answers its probes and no question.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.interop.assets.internet import Internet
from tests.interop.assets.publisher import add, registry
from tests.vm.driver import BOOT_WITHIN, Driver

from nodisk import run
from nodisk.assets import built, docker_archive, mirror, release, release_debian
from nodisk.assets.docker_archive import Config, Entry
from nodisk.assets.hashes import key_of
from nodisk.assets.store import Manifest, Store
from nodisk.state import DEFAULT_STATE, State

pytestmark = [pytest.mark.vm, pytest.mark.apart]

VERSION = str(release_debian.VERSION)
COREDNS, ETCD = "k8s.gcr.io/coredns:1.7.0", "v3.4.13"
LAB = """\
name: vmtest-up
network: {{subnet: 10.82.0.0/24, server: 10.82.0.1}}
os: {{kernel: cloud}}
kubernetes:
  source: upstream
  version: {version}
  policies_manifest: {{path: policies.yaml, sha256: {sha256}}}
machines:
  - {{name: cp1, mac: "52:54:00:82:00:0b", address: 10.82.0.11, role: control-plane, memory: 2GiB}}
  - {{name: w1, mac: "52:54:00:82:00:15", address: 10.82.0.21, memory: 1GiB}}
"""
# Nothing that enforces policies runs on a 1.20: the manifest only shows that one of the user's own gets there.
POLICIES = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: policies-of-ones-own, namespace: kube-system}\n"
_STAND_IN = b"#!/bin/sh\nbusybox httpd -p 8080 -h /www && exec busybox httpd -f -p 8181 -h /www\n"


@pytest.fixture(scope="module")
def debian() -> Manifest:
    """The release that the project builds from Debian's source."""
    store = Store(State(DEFAULT_STATE))
    found = store.find("release", key_of(release_debian.inputs()))
    assert found is not None, "run `nodisk build --lab examples/virtual.yaml` first, as `make lab` does"
    return found


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory, debian: Manifest) -> Iterator[tuple[Driver, Internet]]:
    folder = tmp_path_factory.mktemp("vmtest-up")
    (folder / "policies.yaml").write_text(POLICIES)
    file = folder / "lab.yaml"
    file.write_text(LAB.format(version=VERSION, sha256=hashlib.sha256(POLICIES.encode()).hexdigest()))
    driver = Driver(file)
    driver("lab", "down", "--purge")
    store = Store(State(DEFAULT_STATE))
    before = {manifest.id for manifest in store.manifests()}
    with registry(folder) as address:
        for archive in (archive_of(store, debian, "pause"), stand_in(store, folder)):
            (name,) = docker_archive.read(archive).names
            push(archive, f"{address}/{name.partition('/')[2]}")
        with Internet(folder, f"nd-up-{os.getpid()}", address) as net:
            publish(net, store, debian)
            debian_mirror(net)
            try:
                yield driver, net
            finally:
                driver("lab", "down", "--purge")
                for manifest in store.manifests():  # an official release 1.20.2 must not be found by others
                    if manifest.id not in before and manifest.kind in ("release", "image", "addons"):
                        store.forget(manifest)


def archive_of(store: Store, manifest: Manifest, program: str) -> Path:
    """The stored archive of one of a release's images."""
    item = next(item for item in release.images_of(manifest) if item.image.ref.program == program)
    return store.path(manifest.file(item.file))


def push(archive: Path, target: str) -> None:
    words = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"docker-archive:{archive}", f"docker://{target}"]
    subprocess.run(words, check=True)


def stand_in(store: Store, folder: Path) -> Path:
    """An image in CoreDNS' place, made of the busybox of nodisk's own image."""
    own = next(manifest for manifest in reversed(store.manifests()) if manifest.kind == "containers")
    with tarfile.open(store.path(own.file("echo.tar"))) as archive:
        layer = next(member for member in archive if member.name.endswith("layer.tar"))
        with tarfile.open(fileobj=archive.extractfile(layer)) as tree:
            program = tree.extractfile("bin/busybox")
            assert program is not None
            busybox = program.read()
    target = folder / "coredns.tar"
    entries = [
        Entry("bin/busybox", busybox),
        Entry("bin/sh", link="busybox"),
        Entry("coredns", _STAND_IN),
        Entry("www/health", b"OK", mode=0o644),
        Entry("www/ready", b"OK", mode=0o644),
    ]
    config = Config(("/coredns",), {"PATH": "/bin"})
    docker_archive.write(target, name=COREDNS, entries=entries, config=config, work=folder)
    return target


def publish(net: Internet, store: Store, made: Manifest) -> None:
    """The tarballs as their publishers pack them, with their hashes."""
    tarball = server_tarball(store, made)
    path = f"v{VERSION}/kubernetes-server-linux-amd64.tar.gz"
    for host in ("dl.k8s.io", "cdn.dl.k8s.io"):
        net.publish(host, path, tarball)
    net.publish("dl.k8s.io", path + ".sha512", hashlib.sha512(tarball).hexdigest())
    etcd = etcd_tarball()
    name, folder = f"etcd-{ETCD}-linux-amd64.tar.gz", f"etcd-io/etcd/releases/download/{ETCD}"
    for host in ("github.com", "objects.githubusercontent.com"):
        net.publish(host, f"{folder}/{name}", etcd)
    net.publish("github.com", f"{folder}/SHA256SUMS", f"{hashlib.sha256(etcd).hexdigest()}  {name}\n")


def server_tarball(store: Store, made: Manifest) -> bytes:
    told = io.BytesIO()
    with tarfile.open(fileobj=told, mode="w:gz", compresslevel=1) as tar:
        for name in release.programs_of(made):
            add(tar, f"kubernetes/server/bin/{name}", store.path(made.file(name)).read_bytes())
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
            image = with_architecture(archive_of(store, made, name).read_bytes())
            add(tar, f"kubernetes/server/bin/{name}.tar", image)
            add(tar, f"kubernetes/server/bin/{name}.docker_tag", f"v{VERSION}".encode())
    return told.getvalue()


def with_architecture(archive: bytes) -> bytes:
    """The image archive under the name that the official tarball gives it: ``…/kube-scheduler-amd64:v1.20.2``."""
    told = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=told, mode="w") as new:
        for member in old:
            source = old.extractfile(member)
            assert source is not None
            data = source.read()
            if member.name == "manifest.json":
                data = data.replace(f":v{VERSION}".encode(), f"-amd64:v{VERSION}".encode())
            add(new, member.name, data)
    return told.getvalue()


def etcd_tarball() -> bytes:
    told = io.BytesIO()
    with tarfile.open(fileobj=told, mode="w:gz", compresslevel=1) as tar:
        for name in ("etcd", "etcdctl"):
            add(tar, f"etcd-{ETCD}-linux-amd64/{name}", run.find(name).read_bytes())
    return told.getvalue()


def debian_mirror(net: Internet) -> None:
    """Debian's packages come by the host's own mirror, as far as no earlier build has left them in the cache."""
    own = mirror.find(None)
    for number, host in enumerate(sorted({urlsplit(url).netloc for url in (own.main, own.security or own.main)})):
        port = urlsplit(own.main).port or (443 if own.main.startswith("https:") else 80)
        inside = f"127.0.1.{number + 1}"
        name = host.partition(":")[0]
        net.relay(host if ":" in host else f"{host}:{port}", port, inside)
        net.hosts[name] = inside


def test_from_the_default_addresses_to_ready_and_proved(upstream: tuple[Driver, Internet]) -> None:
    driver, net = upstream
    done = net.nodisk("build", "--lab", driver.file, "--output", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["why"] == f"Kubernetes {VERSION}, the official release: lab.yaml says so"
    assert {one["kind"] for one in answer["assets"]} == {*built.KINDS, "addons"}
    asked = net.asked()
    assert {line.partition(" ")[0] for line in asked} >= {"dl.k8s.io", "github.com", "k8s.gcr.io", "packages.example"}

    driver("lab", "up", "--within", str(BOOT_WITHIN), timeout=BOOT_WITHIN + 600)
    assert net.asked() == []  # what was built is enough
    driver.await_ready("cp1", "w1")
    assert driver.kubectl("-n", "kube-system", "get", "configmap", "policies-of-ones-own")["metadata"]["name"]
    versions = {node["status"]["nodeInfo"]["kubeletVersion"] for node in driver.kubectl("get", "nodes")["items"]}
    assert versions == {f"v{VERSION}"}

    proof = driver("verify", "--output", "json", check=False, timeout=1800)
    outcomes = {one["name"]: one["outcome"] for one in json.loads(proof.stdout)["checks"]}
    # The stand-in of CoreDNS answers no question, nothing here enforces policies: both are found, and nothing else.
    found = {name: outcome for name, outcome in outcomes.items() if outcome not in ("ok", "skipped")}
    assert found == {"dns": "failed", "isolation": "warning"}
