"""Kubernetes 1.20.2, built from Debian 12's source package, for places that reach only a Debian mirror.

Old, for tests and demonstrations, never for a real class. CoreDNS and the network add-ons are in no Debian package.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nodisk.assets import compile_root, docker_archive, sandbox
from nodisk.assets.docker_archive import Config, Entry
from nodisk.assets.hashes import sha256_of, tree_hash
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.release import (
    PROGRAMS,
    ReleaseImage,
    facts_to_json,
    wanted_images,
)
from nodisk.assets.work import EPOCH, RECIPES, Work
from nodisk.errors import EnvironmentProblem
from nodisk.plan.facts import ContainerImage
from nodisk.spec import versions
from nodisk.spec.model_os import Suite

ROOM = 8 * 1024**3
"""Peak disk use in bytes of compiling from scratch, together with the image that is built beside it."""
VERSION = versions.DEBIAN
SUITE = Suite.BOOKWORM
_CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""In truth one program, by three names."""
_COMMON = "kubernetes-control-plane"
"""Its name in the images."""
_PROGRAMS = (*PROGRAMS, *_CONTROL_PLANE)
_PACKAGES = ("golang-1.19-go", "golang-github-modern-go-reflect2-dev", "gcc", "libc6-dev")
ENVIRONMENT = {
    "PATH": "/usr/lib/go-1.19/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "GOPATH": "/go",
    "GOCACHE": "/go-cache",
    "SOURCE_DATE_EPOCH": EPOCH,
}
"""Of what compiles in the chroot."""
_RECIPE = 1


def inputs() -> dict[str, Any]:
    """What decides the release."""
    return {
        "recipe": _RECIPE,
        "source": "debian",
        "version": str(VERSION),
        "files": tree_hash(RECIPES / "kubernetes.sh", RECIPES / "pause.c"),
    }


def recipe(os_mirror: str | None) -> Recipe:
    """Build the release; from scratch this takes four minutes on two processors."""

    async def build(work: Work, step: Step, folder: Path) -> Made:
        root = folder / "root"
        step.doing("a Debian 12 to build in")
        await chroot(work, root, os_mirror, name="kubernetes")
        source = source_in(root)
        (root / "src" / "pause.c").write_bytes((RECIPES / "pause.c").read_bytes())
        (root / "build.sh").write_bytes((RECIPES / "kubernetes.sh").read_bytes())
        await sandbox.build(
            ["sh", "/build.sh", str(VERSION), str(VERSION.major), str(VERSION.minor)],
            root=root,
            log_file=work.log("kubernetes"),
            env=ENVIRONMENT,
            on_line=step.heed,
        )
        step.doing("container images")
        out = root / "out"
        images = await asyncio.to_thread(_images, out, folder)
        content = {name: out / name for name in _PROGRAMS} | {item.file: folder / item.file for item in images}
        facts = facts_to_json(
            "debian",
            images,
            source_file=source.name,
            source_sha256=sha256_of(source),
            go=(out / "go-version").read_text().strip(),
        )
        return Made(name="Kubernetes from Debian's source", version=str(VERSION), content=content, facts=facts)

    loads = f"Kubernetes {VERSION} from Debian's source"
    return Recipe(kind="release", what=f"Kubernetes {VERSION}", inputs=inputs(), build=build, loads=loads)


async def chroot(work: Work, root: Path, os_mirror: str | None, *, name: str) -> None:
    """Make ``root`` a Debian 12 that can compile Kubernetes, its source in ``/src``; ``name``: of the log."""
    await compile_root.unpack(work, root, SUITE, _PACKAGES, os_mirror, log=f"{name}-chroot", source="kubernetes")


def source_in(root: Path) -> Path:
    """The source's file in a chroot; raises EnvironmentProblem if the mirror's is of another version."""
    found = sorted((root / "src").glob("kubernetes_*.orig.tar.gz"))
    if not found or str(VERSION) not in found[0].name:
        names = ", ".join(path.name for path in found) or "nothing"
        raise EnvironmentProblem(
            f"the mirror's source of Kubernetes in {SUITE} is not {VERSION} but {names}",
            hint="name another mirror in lab.yaml: os.mirror",
        )
    return found[0]


def _images(out: Path, folder: Path) -> list[ReleaseImage]:
    """One image per program, by the name that this kubeadm expects; the control plane's have one layer in common."""
    common = [Entry(f"usr/local/bin/{name}", link=_COMMON) for name in _CONTROL_PLANE]
    common.append(Entry(f"usr/local/bin/{_COMMON}", out / _CONTROL_PLANE[0]))
    images: list[ReleaseImage] = []
    counted = False
    for image in wanted_images(out / "kubeadm", VERSION):
        program = image.program
        if not (out / program).is_file():
            continue  # coredns: in no Debian package
        shared = program in _CONTROL_PLANE
        entries = common if shared else [Entry("pause", out / program)]
        command = f"/usr/local/bin/{program}" if shared else "/pause"
        config = Config(entrypoint=(command,), env={"PATH": "/usr/local/bin:/usr/bin:/bin"})
        file = f"{program}.tar"
        size = docker_archive.write(folder / file, name=str(image), entries=entries, config=config, work=folder)
        images.append(ReleaseImage(ContainerImage(image, 0 if shared and counted else size), file))
        counted = counted or shared
    return images
