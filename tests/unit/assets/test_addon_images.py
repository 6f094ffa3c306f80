"""What ``nodisk assets list`` says of an add-on: the manifest's version, and its image's where that is another."""

from __future__ import annotations

import pytest

from nodisk.assets.addons import version_shown
from nodisk.assets.release import ReleaseImage
from nodisk.plan.facts import ContainerImage


@pytest.mark.parametrize(
    ("images", "shown"),
    [
        (["registry.k8s.io/networking/kube-network-policies:v1.1.0"], "v1.1.1 (image v1.1.0)"),
        (["registry.k8s.io/networking/kube-network-policies:v1.1.1"], "v1.1.1"),
        (["docker.io/flannel/flannel-cni-plugin:v1.9.0"], "v1.1.1"),
        ([], "v1.1.1"),
    ],
)
def test_an_image_of_another_version_is_named(images: list[str], shown: str) -> None:
    manifest = {"name": "kube-network-policies", "version": "v1.1.1"}
    assert version_shown(manifest, [ReleaseImage(ContainerImage.of(name, 1), "x.tar") for name in images]) == shown


def test_a_manifest_of_the_users_own_has_no_version() -> None:
    assert version_shown({"name": "cilium"}, []) == ""
