"""A release from a user's folder: ``bin/`` with the programs, ``images/*.tar`` with the container images."""

from __future__ import annotations

import asyncio
import re
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodisk import run
from nodisk.assets import docker_archive
from nodisk.assets.hashes import sha256_of
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.release import (
    PROGRAMS,
    SERVER_PROGRAMS,
    ReleaseImage,
    facts_to_json,
    wanted_images,
)
from nodisk.assets.work import Work
from nodisk.errors import NodiskError, SpecError
from nodisk.plan.facts import ContainerImage
from nodisk.values import ImageRef, KubeVersion

_ASK = {
    "kubeadm": ("version", "--output", "short"),
    "kubectl": ("version", "--client"),
    "kubelet": ("--version",),
    "kube-proxy": ("--version",),
    "kube-apiserver": ("--version",),
    "kube-controller-manager": ("--version",),
    "kube-scheduler": ("--version",),
}
# `Kubernetes v1.36.1`, `Client Version: v1.36.1`, `GitVersion:"v1.20.2"`, `v1.36.1`
_VERSION = re.compile(r"\bv(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)")
_UNRELEASED = re.compile(r"-(alpha|beta|rc)\b")
_OPTIONAL_IMAGES = ("coredns",)


@dataclass(frozen=True, slots=True)
class Folder:
    """A release's folder that has been read and is complete."""

    root: Path
    version: KubeVersion
    programs: Mapping[str, Path]
    images: Mapping[str, tuple[Path, int]]
    """Name as kubeadm prints it → archive, bytes unpacked."""
    missing_optional: tuple[str, ...]

    @property
    def has_dns(self) -> bool:
        """Whether CoreDNS is among the images (``plan.facts.ReleaseFacts``)."""
        return any("coredns" in name for name in self.images)

    def inputs(self) -> dict[str, Any]:
        """The release's inputs: every byte of it."""
        files = [*self.programs.values(), *(path for path, _ in self.images.values())]
        return {
            "recipe": 1,
            "source": "path",
            "version": str(self.version),
            "files": {str(path.relative_to(self.root)): sha256_of(path) for path in files},
            "images": sorted(self.images),
        }


def read(root: Path, wanted: KubeVersion | None) -> Folder:
    """Read a folder; raises SpecError with every problem at once. ``wanted`` is lab.yaml's version, if it names one."""
    problems: list[str] = []
    programs = _programs(root, problems)
    version = _version(programs, wanted, problems)
    images: dict[str, tuple[Path, int]] = {}
    for path in sorted((root / "images").glob("*.tar")):
        try:
            archive = docker_archive.read(path)
        except NodiskError as error:
            problems.append(error.message)
            continue
        if len(archive.names) != 1:
            names = ", ".join(archive.names) or "no name"
            problems.append(f"{path} must hold one named image, and has {names}: save each image into its own file")
            continue
        name = re.sub(r"-amd64:", ":", archive.names[0])
        if name in images:
            problems.append(f"{path} and {images[name][0]} both hold {name}")
        images[name] = (path, archive.unpacked)
    missing_optional: list[str] = []
    if version is not None and "kubeadm" in programs:
        missing = _missing_images(programs["kubeadm"], version, images, problems)
        missing_optional = [name for name in missing if ImageRef.parse(name).program in _OPTIONAL_IMAGES]
        problems += [
            f"no archive in {root / 'images'} holds {name}" for name in missing if name not in missing_optional
        ]
    if problems or version is None:
        raise SpecError(
            "\n".join(f"{root}: {problem}" if str(root) not in problem else problem for problem in problems),
            hint="see docs/how-to/releases.md for the required contents",
        )
    return Folder(root, version, programs, images, tuple(missing_optional))


def _programs(root: Path, problems: list[str]) -> dict[str, Path]:
    found = {}
    for name in (*PROGRAMS, *SERVER_PROGRAMS):
        path = root / "bin" / name
        if path.is_file() and path.stat().st_mode & 0o111:
            found[name] = path
        elif path.is_file():
            problems.append(f"{path} is not executable: chmod +x {path}")
        elif name in PROGRAMS:
            problems.append(f"{path} is missing")
    return found


def _version(programs: Mapping[str, Path], wanted: KubeVersion | None, problems: list[str]) -> KubeVersion | None:
    """The version that all programs agree on."""
    said: dict[str, str] = {}
    for name in _ASK.keys() & programs.keys():
        answer = _ask(programs[name], _ASK[name])
        if match := _VERSION.search(answer):
            said[name] = match.group(1)
        else:
            problems.append(f"{programs[name]} did not print its version, but: {answer.strip()[:200] or 'nothing'}")
    if len(set(said.values())) > 1:
        each = ", ".join(f"{name} {version}" for name, version in sorted(said.items()))
        problems.append(f"the programs are of different versions: {each}")
        return None
    if not said:
        return None
    text = next(iter(said.values()))
    if _UNRELEASED.search(text):
        problems.append(f"the programs are of {text}, which is not a release")
        return None
    version = KubeVersion.printed(text)
    if wanted and (wanted.line != version.line or wanted.patch not in (None, version.patch)):
        problems.append(f"the programs are version {version}, but lab.yaml asks for {wanted}")
    return version


def _ask(program: Path, words: tuple[str, ...]) -> str:
    try:
        done = run.run([program.absolute(), *words], check=False, timeout=60)
    except OSError as error:
        return f"{error.strerror} (is it a program for Linux on amd64?)"
    except NodiskError as error:
        return error.message
    return done.stdout if done.returncode == 0 else done.stderr or done.stdout


def _missing_images(
    kubeadm: Path, version: KubeVersion, images: Mapping[str, object], problems: list[str]
) -> list[str]:
    try:
        return [str(one) for one in wanted_images(kubeadm.absolute(), version) if str(one) not in images]
    except NodiskError as error:
        problems.append(error.message)
        return []


def recipe(folder: Folder) -> Recipe:
    """The release in that folder."""

    async def build(_: Work, __: Step, place: Path) -> Made:
        return await asyncio.to_thread(_copied, folder, place)

    what = f"Kubernetes {folder.version} from {folder.root}"
    return Recipe(kind="release", what=what, inputs=folder.inputs(), build=build)


def _copied(folder: Folder, place: Path) -> Made:
    content: dict[str, Path] = {}
    for name, path in folder.programs.items():
        content[name] = place / name
        shutil.copyfile(path, content[name])
        content[name].chmod(0o755)
    images = []
    for name, (path, unpacked) in folder.images.items():
        file = archive_name(name)
        content[file] = place / file
        as_docker(path, content[file], name)
        images.append(ReleaseImage(ContainerImage.of(name, unpacked), file))
    return Made(
        name=f"Kubernetes from {folder.root}",
        version=str(folder.version),
        content=content,
        facts=facts_to_json("path", images),
    )


def archive_name(image: str) -> str:
    """``registry.k8s.io/coredns/coredns:v1.12.0`` → ``registry.k8s.io_coredns_coredns_v1.12.0.tar``."""
    return re.sub(r"[/:@]", "_", image) + ".tar"


def as_docker(source: Path, target: Path, name: str) -> None:
    """Copy an image archive; OCI's format is converted to docker's, the only one in the store."""
    with tarfile.open(source) as tar:
        is_docker = any(member.name.removeprefix("./") == "manifest.json" for member in tar)
    if is_docker:
        shutil.copyfile(source, target)
    else:
        run.run(["skopeo", "copy", "--quiet", f"oci-archive:{source}", f"docker-archive:{target}:{name}"])
