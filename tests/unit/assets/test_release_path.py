"""A folder of the user's as a release. Its programs are scripts that print what real ones print: they are input."""

import asyncio
import io
import json
import tarfile
from pathlib import Path

import pytest
from tests.unit.spec.labs import lab

from nodisk.assets import build, release, release_path
from nodisk.assets.progress import Board
from nodisk.assets.store import Store
from nodisk.assets.work import Work
from nodisk.check.release import release_and_disk
from nodisk.errors import SpecError
from nodisk.plan.facts import ContainerImage
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.values import ImageRef, KubeVersion

IMAGES_136 = (
    "registry.k8s.io/kube-apiserver:v1.36.1",
    "registry.k8s.io/kube-controller-manager:v1.36.1",
    "registry.k8s.io/kube-scheduler:v1.36.1",
    "registry.k8s.io/kube-proxy:v1.36.1",
    "registry.k8s.io/coredns/coredns:v1.12.4",
    "registry.k8s.io/pause:3.10.1",
    "registry.k8s.io/etcd:3.6.5-0",
)
IMAGES_120 = (
    "k8s.gcr.io/kube-apiserver:v1.20.2",
    "k8s.gcr.io/kube-controller-manager:v1.20.2",
    "k8s.gcr.io/kube-scheduler:v1.20.2",
    "k8s.gcr.io/kube-proxy:v1.20.2",
    "k8s.gcr.io/pause:3.2",
    "k8s.gcr.io/etcd:3.4.13-0",
    "k8s.gcr.io/coredns:1.7.0",
)
UNUSED = ("kube-proxy", "etcd")


def program(path: Path, answers: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cases = "".join(f"{words!r}) cat <<'END'\n{text}\nEND\n;;\n" for words, text in answers.items())
    path.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}*) echo unknown flag >&2; exit 1;;\nesac\n')
    path.chmod(0o755)


def archive(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        manifest = [{"Config": "c.json", "RepoTags": [name], "Layers": ["l/layer.tar"]} for name in names]
        for file, data in (
            ("manifest.json", json.dumps(manifest).encode()),
            ("c.json", b"{}"),
            ("l/layer.tar", b"x" * 999),
        ):
            info = tarfile.TarInfo(file)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def folder(root: Path, version: str = "1.36.1") -> Path:
    old = version.startswith("1.20")
    listed = IMAGES_120 if old else IMAGES_136
    client = (
        f'Client Version: version.Info{{Major:"1", GitVersion:"v{version}"}}' if old else f"Client Version: v{version}"
    )
    program(
        root / "bin/kubeadm",
        {
            "version --output short": f"v{version}",
            f"config images list --kubernetes-version v{version}": "\n".join(listed),
        },
    )
    program(root / "bin/kubectl", {"version --client": client})
    for name in ("kubelet", "kube-proxy"):
        program(root / "bin" / name, {"--version": f"Kubernetes v{version}"})
    for name in listed:
        if (program_ := ImageRef.parse(name).program) not in UNUSED:
            archive(root / "images" / f"{program_}.tar", name)
    return root


@pytest.mark.parametrize("version", ["1.20.2", "1.36.1"])
def test_a_whole_folder_is_read(tmp_path: Path, version: str) -> None:
    found = release_path.read(folder(tmp_path, version), None)
    assert str(found.version) == version
    assert set(found.programs) == {"kubeadm", "kubelet", "kubectl", "kube-proxy"}
    assert len(found.images) == 5
    assert found.missing_optional == ()


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "bin/kubelet").unlink()
    (root / "bin/kubectl").chmod(0o644)
    program(root / "bin/kube-proxy", {"--version": "Kubernetes v1.35.0"})
    (root / "images/pause.tar").write_bytes(b"cut")
    (root / "images/coredns.tar").unlink()
    archive(root / "images/two.tar", "a/b:1", "a/c:1")
    with pytest.raises(SpecError) as caught:
        release_path.read(root, None)
    text = caught.value.message
    assert caught.value.exit_code == 3
    for part in (
        f"{root}/bin/kubelet is missing",
        f"chmod +x {root}/bin/kubectl",
        "the programs are of different versions: kube-proxy 1.35.0, kubeadm 1.36.1",
        f"{root}/images/pause.tar",
        f"{root}/images/two.tar must hold one named image, and has a/b:1, a/c:1",
    ):
        assert part in text
    assert len(text.splitlines()) == 5


def test_missing_images_are_named_as_kubeadm_names_them(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "images/kube-scheduler.tar").unlink()
    (root / "images/pause.tar").unlink()
    with pytest.raises(SpecError) as caught:
        release_path.read(root, None)
    assert "registry.k8s.io/kube-scheduler:v1.36.1" in caught.value.message
    assert "registry.k8s.io/pause:3.10.1" in caught.value.message


def test_without_coredns_it_works_and_says_so(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "images/coredns.tar").unlink()
    assert release_path.read(root, None).missing_optional == ("registry.k8s.io/coredns/coredns:v1.12.4",)


@pytest.mark.parametrize(("wanted", "fine"), [("1.36", True), ("1.36.1", True), ("1.36.2", False), ("1.35", False)])
def test_the_version_must_be_lab_yamls(tmp_path: Path, wanted: str, *, fine: bool) -> None:
    root = folder(tmp_path)
    if fine:
        release_path.read(root, KubeVersion.parse(wanted))
        return
    with pytest.raises(SpecError, match=f"lab.yaml asks for {wanted}"):
        release_path.read(root, KubeVersion.parse(wanted))


def test_a_program_of_another_machine_type_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "bin/kubelet").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))
    with pytest.raises(SpecError, match="Linux on amd64"):
        release_path.read(root, None)


def test_an_absent_folder_is_a_list_of_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        release_path.read(tmp_path / "nowhere", None)
    assert len(caught.value.message.splitlines()) == 4


def test_it_gets_into_the_store_under_the_registrys_names(tmp_path: Path) -> None:
    root = folder(tmp_path / "folder")
    program(root / "bin/etcd", {"--version": "etcd Version: 3.6.5"})
    state = State(tmp_path / "state")
    work = Work(state, Store(state), Board(None))
    read = release_path.read(root, None)
    made = asyncio.run(release_path.recipe(read).make(work))
    facts = release.facts_of(made)
    assert (str(facts.version), facts.source, facts.has_dns) == ("1.36.1", "path", True)
    places = {(image.repository, image.tag) for image in facts.images}
    assert ("coredns/coredns", "v1.12.4") in places
    assert ("pause", "3.10.1") in places
    assert all(image.unpacked == 999 for image in facts.images)
    assert "etcd" in release.programs_of(made)
    assert asyncio.run(release_path.recipe(release_path.read(root, None)).make(work)) == made
    archive(root / "images/flannel.tar", "ghcr.io/flannel-io/flannel:v0.26.0")
    more = asyncio.run(release_path.recipe(release_path.read(root, None)).make(work))
    assert more.key != made.key
    assert ("flannel-io/flannel", "v0.26.0") in {(i.repository, i.tag) for i in release.facts_of(more).images}


@pytest.mark.parametrize(
    ("name", "repository", "tag"),
    [
        ("registry.k8s.io/kube-apiserver:v1.36.1", "kube-apiserver", "v1.36.1"),
        ("registry.k8s.io/coredns/coredns:v1.12.0", "coredns/coredns", "v1.12.0"),
        ("localhost/x:1", "x", "1"),
        ("10.0.0.1:5000/a/b:2", "a/b", "2"),
        ("nodisk/echo:1", "nodisk/echo", "1"),
    ],
)
def test_where_the_registry_keeps_an_image(name: str, repository: str, tag: str) -> None:
    image = ContainerImage.of(name, 1)
    assert (image.name, image.repository, image.tag) == (name, repository, tag)


def test_a_release_candidate_is_not_taken_for_the_release(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"of 1\.36\.0-rc\.1, which is not a release"):
        release_path.read(folder(tmp_path, "1.36.0-rc.1"), None)


def test_names_are_kept_apart_only_without_coredns(tmp_path: Path) -> None:
    """What is in a folder shows only when it is read: `nodisk check` and `nodisk build` do, before anything is made."""
    root = folder(tmp_path / "folder")
    file = tmp_path / "lab.yaml"
    file.write_text(lab(kubernetes=f"  source: path\n  path: {root}\n  isolation: names"))
    state = State(tmp_path / "state")
    work = Work(state, Store(state), Board(None))
    with pytest.raises(SpecError, match="this release brings CoreDNS"):
        asyncio.run(build.choose(work, load(file)))
    (found,) = (one for one in release_and_disk(state, load(file)) if one.check == "release")
    assert "this release brings CoreDNS" in found.message
    next((root / "images").glob("*coredns*")).unlink()
    assert asyncio.run(build.choose(work, load(file))).version == KubeVersion.parse("1.36.1")
