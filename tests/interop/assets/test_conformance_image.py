"""An official release's suite: from a registry by digest into the store, out of the image, into the lab's registry.

The image is a stand-in laid out like the official one: an index of platforms, and ``/usr/local/bin/e2e.test``, here a
script that says of itself what the real program says. The registries are Debian's docker-registry.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.interop.assets.publisher import registry, script
from tests.support.waits import LONG

from nodisk import waiting
from nodisk.assets import built, conformance_image, docker_archive, mirrored, prune
from nodisk.assets.container_images import MANIFESTS
from nodisk.assets.docker_archive import Config, Entry
from nodisk.assets.release import facts_to_json
from nodisk.assets.store import Manifest, Store
from nodisk.conformance import official
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, IntegrityError
from nodisk.plan.daemons import Host
from nodisk.plan.daemons import registry as registry_config
from nodisk.server import seed
from nodisk.spec.model import Lab
from nodisk.state import State

pytestmark = pytest.mark.interop

VERSION = "1.36.1"
CONFORMANCE = f"registry.k8s.io/conformance:v{VERSION}"
AGNHOST, PAUSE = "registry.k8s.io/e2e-test-images/agnhost:2.52", "registry.k8s.io/pause:3.10.1"
NOWHERE = "registry.k8s.io/e2e-test-images/nonroot:1.4"
LISTED = (AGNHOST, PAUSE, "gcr.io/k8s-authenticated-test/agnhost:2.6", "invalid.registry.k8s.io/invalid/alpine:3.1")
SPEC = "[sig-node] Pods should get a host IP [NodeConformance] [Conformance]"
INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPT = {"Accept": ", ".join((*MANIFESTS, INDEX))}


@dataclass
class Site:
    folder: Path
    address: str
    context: LabContext
    digests: dict[str, str] = field(default_factory=dict)

    def publish(self, name: str, entries: list[Entry]) -> None:
        """Push an image, as an index of platforms like the official ones."""
        path, tag = name.partition("/")[2].rsplit(":", 1)
        archive = self.folder / f"{hashlib.sha256(name.encode()).hexdigest()}.tar"
        config = Config(("/usr/local/bin/kubeconformance",))
        docker_archive.write(archive, name=name, entries=entries, config=config, work=self.folder)
        copy = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", "--format", "oci"]
        subprocess.run([*copy, f"docker-archive:{archive}", f"docker://{self.address}/{path}:{tag}-amd64"], check=True)
        there = f"http://{self.address}/v2/{path}/manifests/{tag}-amd64"
        raw = httpx2.get(there, headers=ACCEPT, timeout=LONG).content
        self.digests[name] = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        one = {"mediaType": MANIFESTS[0], "digest": self.digests[name], "size": len(raw)}
        one |= {"platform": {"os": "linux", "architecture": "amd64"}}
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [one]})
        url = f"http://{self.address}/v2/{path}/manifests/{tag}"
        httpx2.put(url, content=body, headers={"Content-Type": INDEX}, timeout=LONG).raise_for_status()

    def publish_suite(self, *listed: str) -> None:
        says = {
            "--version": f"v{VERSION}",
            "--list-conformance-tests": json.dumps([{"codename": SPEC}]),
            "--list-images": "\n".join(listed),
        }
        entries = [Entry(conformance_image.PLACE, script(says)), Entry("usr/local/bin/ginkgo", b"#!/bin/sh\n")]
        self.publish(CONFORMANCE, entries)


def room(folder: Path) -> LabContext:
    """A lab for which an official release is built, as far as this looks at it."""
    lab = Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
        }
    )
    state = State(folder / "state")
    store = Store(state)

    def add(kind: str, names: list[str], facts: dict[str, Any]) -> Manifest:
        with store.workspace() as work:
            for name in names:
                (work / name).write_text(kind)
            content = {name: work / name for name in names}
            return store.add(kind, name=kind, version=VERSION, inputs={"kind": kind}, content=content, facts=facts)

    image = {"kernel_version": "6.12.0", "rootfs_unpacked": 9, "containerd": "2.1.0"}
    made = {
        "image": add("image", ["vmlinuz", "initramfs", "root.squashfs"], image),
        "release": add("release", ["kubectl", "kubeadm"], facts_to_json("upstream", [])),
        "ipxe": add("ipxe", ["ipxe.efi"], {}),
        "containers": add("containers", ["echo.tar"], facts_to_json("nodisk", [])),
    }
    built.record(state, lab, made, why="a test's")
    return LabContext(lab, folder / "lab.yaml", state.lab("room"), None)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with registry(tmp_path) as address:
        monkeypatch.setenv("NODISK_UPSTREAM_REGISTRY", f"http://{address}")
        yield Site(tmp_path, address, room(tmp_path))


@pytest.fixture
def own(site: Site) -> Iterator[None]:
    """The lab's own registry, configured as on a server."""
    state = site.context.state
    host = Host("lo", state.conf, state.run, state.root, state.pki, state.root, state.root)
    state.run.mkdir(parents=True, exist_ok=True)
    file = site.folder / "own.yaml"
    file.write_text(registry_config(host))
    with (site.folder / "own.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", file], stdout=log, stderr=log)
    try:
        assert waiting.until((state.run / "registry.sock").exists, waiting.Deadline(LONG), every=0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def served(site: Site, name: str, place: str) -> httpx2.Response:
    transport = httpx2.HTTPTransport(uds=str(site.context.state.run / "registry.sock"))
    with httpx2.Client(base_url="http://registry", transport=transport, timeout=LONG) as http:
        return http.get(f"/v2/{name.partition('/')[2].rpartition(':')[0]}/manifests/{place}", headers=ACCEPT)


def test_it_is_loaded_once_and_by_digest(site: Site, own: None, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish_suite(*LISTED)
    site.publish(AGNHOST, [Entry("agnhost", b"x")])
    site.publish(PAUSE, [Entry("pause", b"x")])
    assert official.applies(site.context)
    with pytest.raises(EnvironmentProblem, match="not loaded yet") as caught:
        official.find(site.context, load=False)
    assert caught.value.hint == "nodisk conformance --load"

    suite = official.find(site.context, load=True)
    assert suite.image == f"{CONFORMANCE}@{site.digests[CONFORMANCE]}"
    assert {name: copy.digest for name, copy in suite.copies.items()} == site.digests
    assert suite.missing == {}
    suite.folder.check()
    assert str(suite.folder.version()) == VERSION
    assert [spec.name for spec in suite.folder.specs()] == [SPEC]

    # The release has brought its own pause image: its tag stays.
    site.context.state.registry.mkdir(exist_ok=True)
    (site.context.state.registry / seed.PUSHED).write_text(json.dumps({"pause:3.10.1": "x/y"}))
    said = list[str]()
    official.push(site.context, suite, said.append)
    assert said == ["into the lab's registry: 3 images of the conformance suite"]
    for name, digest in site.digests.items():
        answer = served(site, name, digest)
        assert f"sha256:{hashlib.sha256(answer.content).hexdigest()}" == digest
    assert served(site, AGNHOST, "2.52").headers["Docker-Content-Digest"] == site.digests[AGNHOST]
    assert served(site, PAUSE, "3.10.1").status_code == 404

    # From here on nothing is asked of the internet.
    monkeypatch.setenv("NODISK_UPSTREAM_REGISTRY", "http://127.0.0.1:1")
    assert official.find(site.context, load=True) == suite
    official.push(site.context, suite, said.append)
    assert len(said) == 1, "all of it is there"


def test_a_test_image_that_nobody_has_is_named(site: Site, own: None) -> None:
    site.publish_suite(AGNHOST, NOWHERE)
    site.publish(AGNHOST, [Entry("agnhost", b"x")])
    suite = official.find(site.context, load=True)
    assert list(suite.missing) == [NOWHERE]
    with pytest.raises(EnvironmentProblem, match=r"nonroot:1\.4"):
        official.ready(site.context.lab, suite)
    site.publish(NOWHERE, [Entry("nonroot", b"x")])
    assert official.find(site.context, load=True).missing == {}


def test_what_was_pruned_is_loaded_again_by_the_same_digest(site: Site, own: None) -> None:
    site.publish_suite()
    before = official.find(site.context, load=True)
    prune.prune(site.context.state.state, dry_run=False)
    with pytest.raises(EnvironmentProblem, match="not loaded yet"):
        official.find(site.context, load=False)
    site.publish_suite(AGNHOST)  # the tag leads elsewhere now
    assert official.find(site.context, load=True).image == before.image
    file = site.context.state.conformance / official.RECORD
    assert list(mirrored.read_file(file, remedy="").images) == [CONFORMANCE]


def test_an_image_without_the_suite_is_refused(site: Site, own: None) -> None:
    site.publish(CONFORMANCE, [Entry("usr/local/bin/ginkgo", b"#!/bin/sh\n")])
    with pytest.raises(IntegrityError, match=r"has no /usr/local/bin/e2e\.test"):
        official.find(site.context, load=True)
