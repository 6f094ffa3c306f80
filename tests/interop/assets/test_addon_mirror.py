"""Add-ons' images: from a registry (a real one, and one with faults) into the store, and into the lab's own registry.

The registries are Debian's docker-registry; the images are of one file each, as an index of platforms and plain.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml
from tests.interop.assets import bad_registry
from tests.interop.assets.bad_registry import BadRegistry
from tests.interop.assets.publisher import image, registry
from tests.support.waits import LONG

from nodisk import waiting
from nodisk.assets import addon_mirror, addon_source, built, mirrored, progress, prune
from nodisk.assets.addon_mirror import Result, Verb
from nodisk.assets.container_images import MANIFESTS
from nodisk.assets.store import Store
from nodisk.assets.work import Work
from nodisk.plan.daemons import Host
from nodisk.plan.daemons import registry as registry_config
from nodisk.server import addon_images, seed
from nodisk.spec.model import Lab
from nodisk.spec.model_addons import Addon
from nodisk.state import LabState, State

pytestmark = pytest.mark.interop

ACCEPT = {"Accept": ", ".join(MANIFESTS)}
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Site:
    folder: Path
    address: str
    bad: BadRegistry
    state: LabState

    def publish(self, name: str, content: str = "", *, index: bool = True) -> tuple[str, str]:
        """Push an image under a name; returns the digest to which its tag leads, and its manifest's."""
        path, tag = name.partition("/")[2].rsplit(":", 1)
        where = self.folder / hashlib.sha256((name + content).encode()).hexdigest()
        where.mkdir(exist_ok=True)
        archive = image(where, f"{name}{content}")
        plain = f"{path}:{tag}{'-amd64' if index else ''}"
        copy = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", "--format", "v2s2"]
        subprocess.run([*copy, f"docker-archive:{archive}", f"docker://{self.address}/{plain}"], check=True)
        raw = self.get(f"/v2/{path}/manifests/{plain.rpartition(':')[2]}")
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if not index:
            return digest, digest
        one = {"mediaType": json.loads(raw)["mediaType"], "digest": digest, "size": len(raw)}
        platform = {"os": "linux", "architecture": "amd64"}
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**one, "platform": platform}]})
        url = f"http://{self.address}/v2/{path}/manifests/{tag}"
        httpx2.put(url, content=body, headers={"Content-Type": INDEX}, timeout=LONG).raise_for_status()
        return f"sha256:{hashlib.sha256(body.encode()).hexdigest()}", digest

    def get(self, path: str) -> bytes:
        return httpx2.get(f"http://{self.address}{path}", headers=ACCEPT, timeout=LONG).content

    def mirror(self, wanted: dict[str, list[str]], *, refresh: bool = False, offline: bool = False) -> list[Result]:
        store = Store(self.state.state)
        with store.builder():
            work = Work(self.state.state, store, progress.Board(None), offline, refresh)
            return asyncio.run(addon_mirror.mirror(work, self.state, wanted, self.bad.url))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with registry(tmp_path) as address, BadRegistry(address) as bad:
        state = State(tmp_path / "state").lab("room")
        state.root.mkdir(parents=True)
        yield Site(tmp_path, address, bad, state)


def verbs(results: list[Result]) -> dict[str, str]:
    return {one.image: one.verb.value for one in results}


def test_images_are_loaded_once_and_by_digest(site: Site) -> None:
    index, plain = "ghcr.io/some/tool:v1", "quay.io/other/tool:v2"
    published, digest = site.publish(index)
    plain_digest, _ = site.publish(plain, index=False)
    by_digest = f"ghcr.io/some/tool@{published}"
    wanted = {"web": [index, plain], "ops": [index, by_digest]}
    assert set(verbs(site.mirror(wanted)).values()) == {"loaded"}
    record = mirrored.read(site.state)
    assert record.images[index].digest == record.images[by_digest].digest == digest
    assert (record.images[index].published, record.images[plain].digest) == (published, plain_digest)
    assert record.images[index].addons == ("ops", "web")
    assert record.images[index].asset == record.images[by_digest].asset, "kept once"
    asked = len(site.bad.asked)
    assert set(verbs(site.mirror(wanted, offline=True)).values()) == {"mirrored"}
    assert len(site.bad.asked) == asked, "not asked for again"
    [made] = {copy.asset for name, copy in record.images.items() if name == plain}
    kept = Store(site.state.state).read(made)
    assert kept is not None
    assert Store(site.state.state).damage(kept) == []


def test_a_tag_that_moved_changes_nothing_until_asked(site: Site) -> None:
    name = "ghcr.io/some/tool:v1"
    before, digest = site.publish(name)
    site.mirror({"web": [name]})
    after, new = site.publish(name, content="new")
    assert before != after
    assert digest != new
    assert verbs(site.mirror({"web": [name]})) == {name: "mirrored"}
    assert mirrored.read(site.state).images[name].digest == digest
    [moved] = site.mirror({"web": [name]}, refresh=True)
    assert (moved.verb, moved.digest, moved.text) == (Verb.MOVED, new, f"it was {before}, and is {after}")
    assert verbs(site.mirror({"web": [name]}, refresh=True)) == {name: "mirrored"}


def test_what_an_add_on_no_longer_names_is_forgotten(site: Site) -> None:
    one, two = "ghcr.io/a/one:1", "ghcr.io/a/two:1"
    for name in (one, two):
        site.publish(name)
    site.mirror({"web": [one, two], "ops": [two]})
    site.mirror({"web": [one]})
    assert {name: copy.addons for name, copy in mirrored.read(site.state).images.items()} == {
        one: ("web",),
        two: ("ops",),
    }
    used = built.used(site.state.state)
    assert len(used) == 2
    assert addon_images.forget(site.state, ["ops"]) == [two]
    prune.prune(site.state.state, dry_run=False)
    assert [one.id for one in Store(site.state.state).manifests()] == [mirrored.read(site.state).images[one].asset]


FAULTS = {
    "a manifest that is another one": ("/manifests/sha256:", bad_registry.lie_in_words, "does not match"),
    "a layer that is another one": ("/blobs/", bad_registry.lie, ""),
    "a login that nobody has": ("/v2/", bad_registry.answer(401), "unauthorized|authentication required"),
    "a registry that is always busy": ("/manifests/", bad_registry.answer(429), "toomanyrequests|429|Too Many"),
    "a login page": ("/manifests/", lambda *_: (200, b"<html>Please log in</html>"), ""),
    "layers that always break off": ("/blobs/", bad_registry.cut, ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_registry_with_a_fault_is_named_and_stops_no_other_image(site: Site, fault: str) -> None:
    bad, good = "ghcr.io/bad/one:1", "ghcr.io/good/one:1"
    for name in (bad, good):
        site.publish(name)
    path, how, words = FAULTS[fault]
    part = path if path == "/v2/" else f"/v2/bad/one{path}"
    site.bad.spoil(part, how)
    if path == "/v2/":
        site.bad.spoils = {"/v2/bad": (1 << 30, how)}
    found = {one.image: one for one in site.mirror({"web": [bad, good]})}
    assert (found[good].verb, found[bad].verb) == (Verb.LOADED, Verb.FAILED), found
    assert bad in found[bad].text
    assert "Traceback" not in found[bad].text
    if words:
        assert any(word in found[bad].text for word in words.split("|")), found[bad].text
    assert set(mirrored.read(site.state).images) == {good}
    assert not list(Store(site.state.state).root.glob("tmp/*"))
    site.bad.spoils.clear()
    assert verbs(site.mirror({"web": [bad, good]})) == {bad: "loaded", good: "mirrored"}


def test_a_registry_that_is_busy_once_is_waited_for(site: Site) -> None:
    name = "ghcr.io/busy/one:1"
    site.publish(name)
    site.bad.spoil("/v2/busy/one/manifests/", bad_registry.answer(429), times=1)
    layer = json.loads(site.get("/v2/busy/one/manifests/1-amd64"))["layers"][0]["digest"]
    site.bad.spoil(f"/v2/busy/one/blobs/{layer}", bad_registry.cut, times=1)
    site.bad.spoil("/v2/busy/one/blobs/", bad_registry.cut, times=1)
    [found] = site.mirror({"web": [name]})
    assert found.verb is Verb.LOADED, found.text


def test_a_name_that_is_none_and_an_image_that_is_not_there(site: Site) -> None:
    results = site.mirror({"web": ["Not An Image", "ghcr.io/no/such:1"]})
    assert [one.verb for one in results] == [Verb.FAILED, Verb.FAILED]
    assert "add-on web: 'Not An Image' is not the name of a container image" in results[0].text
    [offline] = site.mirror({"web": ["ghcr.io/no/such:1"]}, offline=True)
    assert "--offline" in offline.text


@pytest.fixture
def lab() -> Lab:
    return Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
            "addons": [{"name": "web", "path": "/nonexistent", "images": ["ghcr.io/a/hidden:1"]}],
        }
    )


@pytest.fixture
def own(site: Site) -> Iterator[Path]:
    """The lab's own registry, configured as on a server; yields its configuration."""
    state = site.state
    host = Host("lo", state.conf, state.run, state.root, state.pki, state.root, state.root)
    site.state.run.mkdir()
    file = site.folder / "own.yaml"
    file.write_text(registry_config(host))
    with (site.folder / "own.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", file], stdout=log, stderr=log)
    try:
        assert waiting.until((state.run / "registry.sock").exists, waiting.Deadline(LONG), every=0.05)
        yield file
    finally:
        process.terminate()
        process.wait()


def served(state: LabState, path: str, place: str) -> httpx2.Response:
    transport = httpx2.HTTPTransport(uds=str(state.run / "registry.sock"))
    with httpx2.Client(base_url="http://registry", transport=transport, timeout=LONG) as http:
        return http.get(f"/v2/{path}/manifests/{place}", headers=ACCEPT)


def test_the_labs_registry_serves_them_by_the_same_digest(site: Site, lab: Lab, own: Path) -> None:
    name, hidden = "ghcr.io/a/tool:1", "ghcr.io/a/hidden:1"
    _, digest = site.publish(name)
    _, hidden_digest = site.publish(hidden, index=False)
    assert addon_images.push(lab, site.state) == (0, [])
    site.mirror({"web": [name, hidden]})
    assert addon_images.push(lab, site.state) == (2, [])
    assert addon_images.push(lab, site.state) == (0, []), "they are there"
    answer = served(site.state, "a/tool", digest)
    assert f"sha256:{hashlib.sha256(answer.content).hexdigest()}" == digest
    assert served(site.state, "a/tool", "1").status_code == 404, "a tag is another's to give"
    assert served(site.state, "a/hidden", "1").headers["Docker-Content-Digest"] == hidden_digest

    # A server's next start collects garbage while the registry is down: what is mirrored stays.
    collect = ["docker-registry", "garbage-collect", str(own)]
    subprocess.run(collect, check=True, capture_output=True)
    assert served(site.state, "a/tool", digest).status_code == 200
    blobs = list(site.state.registry.rglob("data"))
    assert addon_images.forget(site.state, ["other"]) == []
    assert addon_images.forget(site.state, ["web"]) == [hidden, name]
    assert served(site.state, "a/tool", digest).status_code == 404
    assert served(site.state, "a/hidden", "1").status_code == 404
    subprocess.run(collect, check=True, capture_output=True)
    assert len(blobs) == 6
    assert list(site.state.registry.rglob("data")) == []
    assert prune.prune(site.state.state, dry_run=False).size > 0
    assert Store(site.state.state).manifests() == []


def test_a_release_keeps_its_own_tag(site: Site, lab: Lab, own: Path) -> None:
    hidden = "ghcr.io/a/hidden:1"
    _, digest = site.publish(hidden)
    (site.state.registry).mkdir(exist_ok=True)
    (site.state.registry / seed.PUSHED).write_text(json.dumps({"a/hidden:1": "x/y"}))
    site.mirror({"web": [hidden]})
    assert addon_images.push(lab, site.state) == (1, [])
    assert served(site.state, "a/hidden", digest).status_code == 200
    assert served(site.state, "a/hidden", "1").status_code == 404


def test_what_the_store_has_lost_is_named(site: Site, lab: Lab, own: Path) -> None:
    name = "ghcr.io/a/tool:1"
    site.publish(name)
    site.mirror({"web": [name]})
    store, record = Store(site.state.state), mirrored.read(site.state)
    made = store.read(record.images[name].asset)
    assert made is not None
    store.path(made.file("manifest.json")).unlink()
    [row] = addon_mirror.states(store, record, [name])
    assert row.verb is Verb.LOST
    assert addon_images.push(lab, site.state) == (
        0,
        [f"{name} could not be put there: the store has lost it: nodisk addons mirror"],
    )
    assert verbs(site.mirror({"web": [name]})) == {name: "loaded"}
    assert addon_images.push(lab, site.state) == (1, [])


def test_a_registry_that_does_not_run_is_no_traceback(site: Site, lab: Lab) -> None:
    name = "ghcr.io/a/tool:1"
    site.publish(name)
    site.mirror({"web": [name]})
    with pytest.raises(addon_images.Away, match="doesn't run"):
        addon_images.push(lab, site.state)
    assert addon_images.forget(site.state, ["web"]) == [name]


def test_objects_name_what_is_mirrored(site: Site, tmp_path: Path) -> None:
    name = "ghcr.io/a/tool:1"
    _, digest = site.publish(name)
    file = tmp_path / "web.yaml"
    pod = {"containers": [{"name": "a", "image": name}, {"name": "b", "image": "ghcr.io/a/other:1"}]}
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod}))
    addon = Addon.model_validate({"name": "web", "path": file})
    sources = addon_source.Sources(site.state)
    assert sources.read(addon) == sources.plain(addon)
    site.mirror({"web": [name]})
    [read] = sources.read(addon)
    assert [one["image"] for one in read["spec"]["containers"]] == [f"{name}@{digest}", "ghcr.io/a/other:1"]
