"""How a control plane fetches its images: the image's own script, curl and containerd, from a real registry."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.assets.publisher import image, registry
from tests.support import assets
from tests.support.waits import until

from nodisk import run

pytestmark = pytest.mark.interop

CONFIG = """\
version = 2
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The image's root with its containerd running in it, and the address of a registry that it asks first."""
    store, manifest = assets.image()
    folder = tmp_path_factory.mktemp("machine")
    root, packed = folder / "root", store.path(manifest.file("root.squashfs"))
    run.run(["unsquashfs", "-quiet", "-no-progress", "-dest", root, packed])
    hosts = root / "etc/containerd/certs.d/_default/hosts.toml"
    hosts.parent.mkdir(parents=True)
    (root / "etc/containerd/config.toml").write_text(CONFIG)
    (root / "etc/nodisk").mkdir(exist_ok=True)
    (root / "etc/nodisk/node.env").write_text("API=https://127.0.0.1:1\n")
    with registry(folder) as address, (folder / "log").open("w") as log:
        hosts.write_text(f'[host."http://{address}"]\n  capabilities = ["pull", "resolve"]\n')
        inside = f"mount -t proc proc {root}/proc && exec chroot {root} containerd"
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside]
        containerd = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            said = (folder / "log").read_text
            until(lambda: "containerd successfully booted" in said(), every=0.1, why=said, process=containerd)
            yield root, address
        finally:
            containerd.kill()
            containerd.wait()


def pulled(machine: tuple[Path, str], *names: str) -> str:
    root, _ = machine
    (root / "etc/nodisk/images").write_text("".join(f"{name}\n" for name in names))
    return run.run(["chroot", root, "/bin/sh", "/usr/lib/nodisk/control-plane", "images"]).stdout


def publish(machine: tuple[Path, str], folder: Path, name: str) -> None:
    path = name.partition("/")[2]
    copy = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", "--format", "oci"]
    run.run([*copy, f"docker-archive:{image(folder, name)}", f"docker://{machine[1]}/{path}"])


def test_they_are_there_before_kubelet_asks(machine: tuple[Path, str], tmp_path: Path) -> None:
    names = [f"registry.example/{name}:v1.20.2" for name in ("pause", "kube-apiserver", "a/kube-controller-manager")]
    for name in names:
        publish(machine, tmp_path, name)
    assert pulled(machine, *names) == ""
    blobs = machine[0] / "var/lib/containerd/io.containerd.content.v1.content/blobs/sha256"
    assert len(list(blobs.iterdir())) >= 2 * len(names)


@pytest.mark.parametrize("name", ["registry.example/missing:v1", f"registry.example/{'long/' * 30}name:v1", "no name"])
def test_what_does_not_come_is_left_to_kubelet(machine: tuple[Path, str], name: str) -> None:
    assert pulled(machine, name) == f"{name}: left to kubelet\n"
