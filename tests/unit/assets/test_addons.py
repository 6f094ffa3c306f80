"""Which manifests a lab's network needs, what is in them, and that only the pinned bytes count."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from nodisk.assets import addons, pull
from nodisk.assets.addons import PINNED, POLICIES
from nodisk.assets.official import REGISTRY
from nodisk.errors import IntegrityError, SpecError
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import NetworkManifest, Source
from nodisk.values import ImageRef


def lab(**kubernetes: Any) -> Lab:
    return Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "kubernetes": kubernetes,
            "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
        }
    )


OWN = {"path": "/srv/mine.yaml", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("kubernetes", "source", "names"),
    [
        ({}, Source.DEBIAN, []),
        ({}, Source.PATH, []),
        ({}, Source.UPSTREAM, []),
        ({"policies": "controller"}, Source.UPSTREAM, [POLICIES]),
        ({"policies": "controller"}, Source.DEBIAN, []),
        ({"network": "flannel"}, Source.UPSTREAM, ["flannel", POLICIES]),
        ({"network": "flannel"}, Source.PATH, ["flannel"]),
        ({"network": "calico"}, Source.UPSTREAM, ["calico"]),
        ({"network": "calico", "network_manifest": OWN}, Source.UPSTREAM, ["calico"]),
        ({"network": "cilium", "network_manifest": OWN}, Source.UPSTREAM, ["cilium"]),
        ({"policies_manifest": OWN}, Source.UPSTREAM, [POLICIES]),
        ({"policies_manifest": OWN}, Source.PATH, [POLICIES]),
        ({"policies_manifest": OWN}, Source.DEBIAN, []),
        ({"network": "flannel", "policies_manifest": OWN}, Source.UPSTREAM, ["flannel", POLICIES]),
    ],
)
def test_what_a_lab_gets(kubernetes: dict[str, Any], source: Source, names: list[str]) -> None:
    what = addons.wanted(lab(**kubernetes), source)
    assert [one.name for one in what] == names
    own = {one.name for one in what if isinstance(one, addons.Own)}
    assert bool(own) is any(key.endswith("_manifest") for key in kubernetes) or source is Source.DEBIAN
    assert (POLICIES in own) is ("policies_manifest" in kubernetes and source is not Source.DEBIAN)


def test_another_hash_is_another_asset() -> None:
    pinned, mine = (addons.wanted(lab(network="calico", **own), Source.PATH) for own in ({}, {"network_manifest": OWN}))
    assert addons.inputs(pinned) != addons.inputs(mine)
    assert addons.inputs(mine)["manifests"] == {"calico": "0" * 64}


def test_every_pinned_manifest_is_at_a_tag_and_has_a_hash() -> None:
    for name, one in PINNED.items():
        assert one.name == name
        assert one.version.startswith("v")
        assert one.place.count("/") >= 3
        assert len(bytes.fromhex(one.sha256)) == 32


def test_images_are_those_of_pods(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(
        "kind: DaemonSet\nspec: {template: {spec: {initContainers: [{image: a.example/cni:v1}],"
        " containers: [{image: a.example/node:v1}, {image: a.example/cni:v1}]}}}\n---\n---\n"
        "kind: Deployment\nspec: {template: {spec: {containers: [{image: 'b.example/x:v1@sha256:ab'}, {image: no}]}}}\n"
        "---\nkind: CustomResourceDefinition\nspec: {properties: {image: {type: string}, containers: {type: array}}}\n"
    )
    assert [str(image) for image in addons.images(file)] == ["a.example/cni:v1", "a.example/node:v1"]
    file.write_text("a: [")
    with pytest.raises(IntegrityError, match="not YAML"):
        addons.images(file)


def test_a_file_of_ones_own_is_the_one_that_was_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    with pytest.raises(SpecError, match="No such file"):
        addons.read_own(NetworkManifest(path=file, sha256="0" * 64))
    file.write_text("a: b\n")
    right = hashlib.sha256(b"a: b\n").hexdigest()
    assert addons.read_own(NetworkManifest(path=file, sha256=right)) == b"a: b\n"
    with pytest.raises(SpecError, match=f"has the hash {right}"):
        addons.read_own(NetworkManifest(path=file, sha256="0" * 64))


@pytest.mark.parametrize(
    ("name", "registry", "found"),
    [
        ("registry.k8s.io/coredns/coredns:v1.12", REGISTRY, ("registry.k8s.io/coredns/coredns", [])),
        ("quay.io/calico/node:v3", REGISTRY, ("quay.io/calico/node", [])),
        ("flannel/flannel:v1", REGISTRY, ("docker.io/flannel/flannel", [])),
        ("busybox:1", REGISTRY, ("docker.io/library/busybox", [])),
        ("localhost:5000/x:1", REGISTRY, ("localhost:5000/x", [])),
        ("quay.io/calico/node:v3", "https://m.example/all", ("m.example/all/calico/node", [])),
        ("quay.io/calico/node:v3", "http://m:5000", ("m:5000/calico/node", ["--tls-verify=false"])),
    ],
)
def test_where_an_image_is_loaded_from(name: str, registry: str, found: tuple[str, list[str]]) -> None:
    assert pull.source_of(ImageRef.parse(name), registry) == found


@pytest.mark.parametrize(
    ("said", "reason", "hint"),
    [
        (
            (
                'level=warning msg="Failed, retrying"\n'
                r'level=fatal msg="Error: Get \"https://a.example/v2/\": x509: certificate signed by unknown authority"'
            ),
            'Error: Get "https://a.example/v2/": x509: certificate signed by unknown authority',
            "update-ca-certificates",
        ),
        ('level=fatal msg="http: server gave HTTP response to HTTPS client"', "http: server gave", "http://"),
        (
            'level=fatal msg="reading manifest v1 in m/x: manifest unknown"',
            "reading manifest v1",
            "NODISK_UPSTREAM_REG",
        ),
        ("level=fatal msg=\"invalid character '<' looking for beginning of value\"", "invalid character", "portal"),
        ("Get https://me:secret@proxy/", "Get https://proxy/", "NODISK_UPSTREAM_REGISTRY"),
        ("", "it said nothing", "NODISK_UPSTREAM_REGISTRY"),
    ],
)
def test_what_skopeo_says_becomes_one_line_and_what_to_do(said: str, reason: str, hint: str) -> None:
    found = pull.explain(said)
    assert found[0].startswith(reason)
    assert hint in found[1]
    assert "secret" not in "".join(found)
