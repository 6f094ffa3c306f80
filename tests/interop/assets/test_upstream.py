"""The official release from servers laid out like the real ones: HTTP for the tarballs, a real registry for images.

The programs in the tarball are scripts that print what the real ones print: they are input, not what is tested.
"""

import functools
import hashlib
import http.server
import io
import json
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pytest
from tests.interop.assets.publisher import (
    ADDON_IMAGES,
    COREDNS,
    ETCD,
    LISTED,
    PAUSE,
    VERSION,
    add,
    etcd_tarball,
    image,
    registry,
    server_tarball,
)

from nodisk.assets import addons, build, built, docker_archive, release
from nodisk.assets.official import Upstream, variable
from nodisk.assets.recipe import Recipe
from nodisk.assets.release_upstream import newest
from nodisk.assets.store import Manifest
from nodisk.assets.work import Work
from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import NetworkManifest
from nodisk.state import State
from nodisk.values import KubeVersion

pytestmark = pytest.mark.interop


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        self.server.asked.append(self.path)  # type: ignore[attr-defined]


@dataclass
class Site:
    """The upstream, here."""

    root: Path
    upstream: Upstream
    asked: list[str] = field(default_factory=list)

    @property
    def tarball(self) -> Path:
        return self.root / f"k8s/v{VERSION}/kubernetes-server-linux-amd64.tar.gz"

    def publish(self, path: str, data: bytes | str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        root = tmp_path / "site"
        root.mkdir()
        server.RequestHandlerClass = functools.partial(Quiet, directory=str(root))
        with registry(tmp_path) as address:
            base = f"http://127.0.0.1:{server.server_port}"
            upstream = Upstream(f"{base}/k8s", f"{base}/etcd", f"http://{address}", f"{base}/manifests")
            place = Site(root, upstream)
            server.asked = place.asked  # type: ignore[attr-defined]
            for field_ in fields(upstream):
                monkeypatch.setenv(variable(field_.name), getattr(upstream, field_.name))
            fill(place, tmp_path, address)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            yield place
            server.shutdown()
            thread.join()


def fill(site: Site, folder: Path, registry_address: str) -> None:
    tarball = server_tarball(folder)
    path = f"k8s/v{VERSION}/kubernetes-server-linux-amd64.tar.gz"
    site.publish(path, tarball)
    site.publish(path + ".sha512", hashlib.sha512(tarball).hexdigest())
    site.publish("k8s/release/stable.txt", "v1.99.0")
    site.publish("k8s/release/stable-1.36.txt", f"v{VERSION}\n")
    site.publish("k8s/release/stable-1.37.txt", "v1.37.0\n")
    etcd = etcd_tarball()
    name = f"etcd-{ETCD}-linux-amd64.tar.gz"
    site.publish(f"etcd/{ETCD}/{name}", etcd)
    site.publish(f"etcd/{ETCD}/SHA256SUMS", f"{'0' * 64}  other.tar.gz\n{hashlib.sha256(etcd).hexdigest()}  {name}\n")
    for wanted in (PAUSE, COREDNS, *ADDON_IMAGES):
        source = f"docker-archive:{image(folder, wanted)}"
        target = f"docker://{registry_address}/{wanted.partition('/')[2]}"
        subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, target], check=True)


def lab(source: str = "upstream", version: str | None = None, network: str = "routed", **more: str) -> Lab:
    kubernetes = {"source": source, "network": network, **more} | ({"version": version} if version else {})
    return Lab.model_validate(
        {
            "name": "test",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "kubernetes": kubernetes,
            "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
        }
    )


def get(state: State, version: str | None = "1.36") -> build.Result:
    return build.build(lab(version=version), state, only=["release"])


def test_the_release_gets_into_the_store_whole(site: Site, tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    made = get(state).assets["release"]
    facts = release.facts_of(made)
    assert (str(facts.version), facts.source, facts.has_dns) == (VERSION, "upstream", True)
    assert {image.name for image in facts.images} == {
        name for name in LISTED if "proxy" not in name and "etcd" not in name
    }
    assert set(release.programs_of(made)) == {
        "kubeadm",
        "kubelet",
        "kubectl",
        "kube-proxy",
        "kube-apiserver",
        "etcd",
        "etcdctl",
    }
    assert made.facts["sha512"] == hashlib.sha512(site.tarball.read_bytes()).hexdigest()
    assert set(made.facts["digests"]) == {PAUSE, COREDNS}
    assert all(digest.startswith("sha256:") for digest in made.facts["digests"].values())
    for item in release.images_of(made):
        (name,) = docker_archive.read(state.assets / "objects" / made.file(item.file).sha256 / item.file).names
        assert name.replace("-amd64:", ":") == item.image.name
    site.asked.clear()
    assert get(state, VERSION).assets["release"] == made
    assert not [path for path in site.asked if path.endswith(".gz")]


def test_an_altered_tarball_is_refused(site: Site, tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    data = bytearray(site.tarball.read_bytes())
    data[len(data) // 2] ^= 1
    site.tarball.write_bytes(data)
    with pytest.raises(IntegrityError, match="sha512 differs"):
        get(state)
    assert not list(state.assets.glob("manifests/*"))
    assert not list((state.cache / "downloads").glob("*"))


def test_an_image_archive_with_two_names_is_taken_and_one_with_two_images_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher has tagged one image twice before; two in one archive can't be told apart."""
    apiserver = f"registry.k8s.io/kube-apiserver-amd64:v{VERSION}"

    def again(images: list[dict[str, object]]) -> list[dict[str, object]]:
        if images[0]["RepoTags"] == [apiserver]:
            images[0]["RepoTags"] = [f"k8s.gcr.io/kube-apiserver-amd64:v{VERSION}", apiserver]
        return images

    publish(site, tmp_path, again)
    made = get(State(tmp_path / "state")).assets["release"]
    assert f"registry.k8s.io/kube-apiserver:v{VERSION}" in {item.image.name for item in release.images_of(made)}
    publish(site, tmp_path, lambda images: images * 2)
    with pytest.raises(IntegrityError, match=r"kube-apiserver\.tar in the official tarball holds 2 images"):
        get(State(tmp_path / "other"))


def publish(site: Site, folder: Path, change: Callable[[list[dict[str, object]]], list[dict[str, object]]]) -> None:
    """The tarball anew, with other words in its image archives' manifests."""
    told = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(server_tarball(folder))) as old,
        tarfile.open(fileobj=told, mode="w:gz") as new,
    ):
        for member in old:
            source = old.extractfile(member)
            assert source is not None
            data = source.read()
            add(new, member.name, changed(data, change) if member.name.endswith(".tar") else data)
    site.tarball.write_bytes(told.getvalue())
    digest = hashlib.sha512(told.getvalue()).hexdigest()
    site.tarball.with_name(site.tarball.name + ".sha512").write_text(digest)


def changed(archive: bytes, change: Callable[[list[dict[str, object]]], list[dict[str, object]]]) -> bytes:
    told = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=told, mode="w") as new:
        for member in old:
            source = old.extractfile(member)
            assert source is not None
            data = source.read()
            add(
                new,
                member.name,
                json.dumps(change(json.loads(data))).encode() if member.name == "manifest.json" else data,
            )
    return told.getvalue()


def test_etcd_with_another_hash_is_refused(site: Site, tmp_path: Path) -> None:
    name = f"etcd-{ETCD}-linux-amd64.tar.gz"
    site.publish(f"etcd/{ETCD}/SHA256SUMS", f"{'0' * 64}  {name}\n")
    with pytest.raises(IntegrityError, match="sha256 differs"):
        get(State(tmp_path / "state"))


def test_a_missing_image_in_the_registry_is_named(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODISK_UPSTREAM_REGISTRY", site.upstream.registry + "/elsewhere")
    with pytest.raises(NodiskError, match=r"coredns:v1\.12\.4 can't be loaded") as caught:
        get(State(tmp_path / "state"))
    assert len(caught.value.message.splitlines()) == 1
    assert "NODISK_UPSTREAM_REGISTRY" in str(caught.value.hint)


def test_a_version_that_does_not_exist_is_said(site: Site, tmp_path: Path) -> None:
    with pytest.raises(NodiskError, match=r"has no Kubernetes 1\.36\.99: .* 404") as caught:
        get(State(tmp_path / "state"), "1.36.99")
    assert "kubernetes.version" in str(caught.value.hint)
    with pytest.raises(NodiskError, match=r"the mirror http://.* has no Kubernetes 1\.35: "):
        get(State(tmp_path / "state"), "1.35")


@pytest.mark.parametrize(
    ("wanted", "expected"), [(None, VERSION), ("1.36", VERSION), (VERSION, VERSION), ("1.37", "1.37.0")]
)
def test_the_version_is_the_newest_of_the_newest_proved_line_or_as_asked(
    site: Site, wanted: str | None, expected: str
) -> None:
    import asyncio

    version = asyncio.run(newest(site.upstream, KubeVersion.parse(wanted) if wanted else None))
    assert str(version) == expected


def test_out_of_reach_it_says_so_in_one_line_within_seconds_and_names_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("NODISK_UPSTREAM_KUBERNETES", f"http://127.0.0.1:{closed.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(EnvironmentProblem) as caught:
            get(State(tmp_path / "state"))
    assert time.monotonic() - started < 60
    assert "can't be reached" in caught.value.message
    assert len(caught.value.message.splitlines()) == 1
    assert caught.value.hint is not None
    assert "debian" in caught.value.hint
    assert "path" in caught.value.hint


def test_a_server_that_never_answers_costs_seconds_not_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("NODISK_UPSTREAM_KUBERNETES", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        why, plan = build.dry_run(lab("auto"), State(tmp_path / "state"))
    assert time.monotonic() - started < 60
    assert why.startswith("Kubernetes 1.20.2 from Debian's source (old: for tests, never for a real class): ")
    assert "can't be reached" in why
    assert [item.present for item in plan] == [False] * 5


def test_auto_takes_the_upstream_where_it_is(site: Site, tmp_path: Path) -> None:
    why, _ = build.dry_run(lab("auto", "1.36"), State(tmp_path / "state"))
    assert why == f"Kubernetes {VERSION}, the official release: the official releases can be reached"


def test_auto_never_swaps_a_version_that_debian_has_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODISK_UPSTREAM_KUBERNETES", "http://127.0.0.1:1")
    with pytest.raises(EnvironmentProblem, match="can't be reached"):
        build.dry_run(lab("auto", "1.36"), State(tmp_path / "state"))


def test_a_portal_that_answers_with_its_login_page_is_recognised(site: Site, tmp_path: Path) -> None:
    site.publish("k8s/release/stable-1.36.txt", "<html>please log in</html>")
    with pytest.raises(IntegrityError, match="not a version"):
        get(State(tmp_path / "state"))
    site.publish(f"k8s/v{VERSION}/kubernetes-server-linux-amd64.tar.gz.sha512", "<html>please log in</html>")
    with pytest.raises(IntegrityError, match="not a sha512") as caught:
        get(State(tmp_path / "state"), VERSION)
    assert "portal" in str(caught.value.hint)


def test_offline_nothing_is_asked(site: Site, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="--offline"):
        build.build(lab(version="1.36"), State(tmp_path / "state"), offline=True, only=["release"])
    assert site.asked == []
    assert not built.used(State(tmp_path / "state"))


def publish_manifests(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests of the shape of the real ones, pinned by their hashes."""
    for name, image_name in zip(("flannel", addons.POLICIES), ADDON_IMAGES, strict=True):
        pod = {"containers": [{"name": name, "image": image_name}]}
        data = json.dumps({"kind": "DaemonSet", "spec": {"template": {"spec": pod}}})
        pinned = addons.PINNED[name]
        site.publish(f"manifests/{pinned.place}", data)
        monkeypatch.setitem(addons.PINNED, name, replace(pinned, sha256=hashlib.sha256(data.encode()).hexdigest()))


def test_a_networks_manifests_come_with_their_images(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_manifests(site, monkeypatch)
    state, room = State(tmp_path / "state"), lab(version="1.36", network="flannel")
    made = build.build(room, state, only=["addons"]).assets["addons"]
    assert {ref.name for ref in made.files} >= {"flannel.yaml", "kube-network-policies.yaml"}
    assert {item.image.name for item in release.images_of(made)} == set(ADDON_IMAGES)
    assert set(made.facts["digests"]) == set(ADDON_IMAGES)
    assert [one["version"] for one in made.facts["manifests"]] == [
        addons.PINNED[name].version for name in ("flannel", addons.POLICIES)
    ]
    _, plan = build.dry_run(room, state)
    assert {item.kind: item.present for item in plan}["addons"] is True
    site.asked.clear()
    assert build.build(room, state, only=["addons"]).assets["addons"] == made
    assert not [path for path in site.asked if "manifests" in path]


def test_a_manifest_that_is_not_the_pinned_one_is_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_manifests(site, monkeypatch)
    site.publish(f"manifests/{addons.PINNED['flannel'].place}", "kind: Other\n")
    state = State(tmp_path / "state")
    with pytest.raises(IntegrityError, match=r"kube-flannel\.yml: the downloaded file's sha256"):
        build.build(lab(version="1.36", network="flannel"), state, only=["addons"])
    assert not list(state.assets.glob("manifests/*"))


def test_a_manifest_that_is_not_there_is_told_with_the_ways_round(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_manifests(site, monkeypatch)
    (site.root / f"manifests/{addons.PINNED[addons.POLICIES].place}").unlink()
    with pytest.raises(NodiskError, match="404") as caught:
        build.build(lab(version="1.36", policies="controller"), State(tmp_path / "state"), only=["addons"])
    assert "NODISK_UPSTREAM_MANIFESTS" in str(caught.value.hint)
    assert "kubernetes.policies_manifest" in str(caught.value.hint)
    monkeypatch.setenv("NODISK_UPSTREAM_MANIFESTS", "http://127.0.0.1:1")
    started = time.monotonic()
    with pytest.raises(EnvironmentProblem, match="can't be loaded") as caught:
        build.build(lab(version="1.36", policies="controller"), State(tmp_path / "state"), only=["addons"])
    assert time.monotonic() - started < 60
    assert "kubernetes.policies_manifest" in str(caught.value.hint)
    assert "continues" not in str(caught.value.hint)


def test_a_manifest_of_ones_own_for_the_policies_takes_the_place_of_the_pinned_one(site: Site, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(json.dumps({"kind": "DaemonSet", "spec": {"containers": [{"image": ADDON_IMAGES[1]}]}}))
    own = NetworkManifest(path=mine, sha256=hashlib.sha256(mine.read_bytes()).hexdigest())
    room = lab(version="1.36")
    room = room.model_copy(update={"kubernetes": room.kubernetes.model_copy(update={"policies_manifest": own})})
    made = build.build(room, State(tmp_path / "state"), only=["addons"]).assets["addons"]
    assert [one["name"] for one in made.facts["manifests"]] == [addons.POLICIES]
    assert set(made.facts["digests"]) == {ADDON_IMAGES[1]}


def test_images_that_were_loaded_before_another_failed_are_not_loaded_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_manifests(site, monkeypatch)
    state, room = State(tmp_path / "state"), lab(version="1.36", network="flannel")
    missing = site.root / f"manifests/{addons.PINNED[addons.POLICIES].place}"
    data = missing.read_bytes()
    missing.unlink()
    with pytest.raises(NodiskError, match="404"):
        build.build(room, state, only=["addons"])
    assert " copy " in said(state, "flannel")
    missing.write_bytes(data)
    made = build.build(room, state, only=["addons"]).assets["addons"]
    assert {item.image.name for item in release.images_of(made)} == set(ADDON_IMAGES)
    assert " copy " not in said(state, "flannel")
    assert " copy " in said(state, "policies")
    assert not list((state.cache / "downloads").glob("sha256-*"))


def said(state: State, image: str) -> str:
    """The last command that loaded this image."""
    (log,) = (state.cache / "log").glob(f"pull-*{image}*.log")
    return log.read_text().splitlines()[0]


def test_only_every_kind_records_nothing(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record without the add-ons would boot a lab without isolation."""
    publish_manifests(site, monkeypatch)
    state = State(tmp_path / "state")
    asked: list[str] = []

    async def stand_in(recipe: Recipe, work: Work) -> Manifest:
        if recipe.kind in ("release", "addons"):
            return await make(recipe, work)
        asked.append(recipe.kind)
        with work.store.workspace() as folder:
            (folder / "x").write_text("x")
            return work.store.add("x", name="x", version="1", inputs={}, content={"x": folder / "x"}, facts={})

    make = Recipe.make
    monkeypatch.setattr(Recipe, "make", stand_in)
    room = lab(version="1.36", policies="controller")
    build.build(room, state, only=built.KINDS)
    assert sorted(asked) == ["containers", "image", "ipxe"]
    assert not built.used(state)
    build.build(room, state)
    assert {asset.partition("-")[0] for asset in built.used(state)} >= {"release", "addons"}
