"""The node image: Debian packages, the release's programs, and the files of ``nodisk.node``."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodisk import node
from nodisk.assets import image_modules, kernel_modules, mirror, nic_drivers, peers_program, sandbox, trust
from nodisk.assets.hashes import key_of, tree_hash
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.release import NODE_PROGRAMS
from nodisk.assets.store import Manifest
from nodisk.assets.work import EPOCH, RECIPES, Work
from nodisk.plan import chunks, containers
from nodisk.plan.facts import ImageFacts
from nodisk.spec import versions
from nodisk.spec.model import Lab
from nodisk.spec.model_os import Kernel, Suite
from nodisk.values import KubeVersion

Coming = Callable[[], Awaitable[Manifest]]
"""Provides the release."""
_RECIPE = 1
DRACUT_MODULE = "usr/lib/dracut/modules.d/95nodisk"
"""In the root that the image is made of; nothing of it is left in the image."""
_KERNELS = {Kernel.GENERIC: "linux-image-amd64", Kernel.CLOUD: "linux-image-cloud-amd64"}
# Never read on a machine, and leaving them out while packages are unpacked is faster than removing them.
_EXCLUDE = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")
# zstd: a machine reads its programs through this all the time, and xz would cost a slow PC three times as long.
_SQUASHFS = (
    *("-comp", "zstd", "-Xcompression-level", "15", "-b", "256K"),
    *("-noappend", "-no-progress", "-no-exports", "-quiet"),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """The parts of lab.yaml that decide the image."""

    suite: Suite
    kernel: Kernel
    packages: tuple[str, ...]
    firmware: tuple[str, ...]
    mirror: str | None
    plain: bool = False
    """Debian for whatever people install on it, with Python and apt instead of containerd."""
    peers: bool = False
    """With the program by which machines give the image to each other."""

    @classmethod
    def plain_of(cls, lab: Lab) -> Wish:
        """From lab.yaml, for machines without Kubernetes."""
        settings = lab.os
        suite = settings.suite or Suite.TRIXIE
        packages, firmware = tuple(sorted(set(settings.packages))), tuple(sorted(settings.firmware))
        mirror_url, peers = settings.mirror, lab.peers is not None
        return cls(suite, settings.kernel, packages, firmware, mirror_url, plain=True, peers=peers)

    @classmethod
    def of(cls, lab: Lab, version: KubeVersion) -> Wish:
        """From lab.yaml and the release, whose version decides which Debian has a suitable containerd."""
        settings = lab.os
        return cls(
            versions.suite(lab, version),
            settings.kernel,
            tuple(sorted(set(settings.packages))),
            tuple(sorted(settings.firmware)),
            settings.mirror,
            peers=lab.peers is not None,
        )

    def include(self) -> list[str]:
        """All packages requested by name."""
        return sorted({_KERNELS[self.kernel], *node.packages(plain=self.plain), *self.packages, *self.firmware})

    @property
    def whole(self) -> bool:
        """Whether Perl stays, which many packages' own scripts need."""
        return self.plain or bool(self.packages)

    def components(self) -> list[str]:
        """The archive's components; firmware has its own since bookworm."""
        return ["main", *(["contrib", "non-free-firmware"] if self.firmware else [])]


def inputs(wish: Wish, release_key: str | None) -> dict[str, Any]:
    """What decides the image, except the versions of Debian's packages, which the mirror decides (``--refresh``).

    ``release_key``: of the release that it carries; None for a plain one.
    """
    return {
        **_base_inputs(wish),
        "files": tree_hash(node.IMAGE, node.DRACUT),
        "image": tree_hash(RECIPES / "image.sh"),
        "modules": sorted(kernel_modules.LEFT_OUT),
        **({"peers": peers_program.inputs()} if wish.peers else {}),
        **({"release": release_key, "programs": list(NODE_PROGRAMS)} if release_key else {"plain": True}),
    }


def _base_inputs(wish: Wish) -> dict[str, Any]:
    return {
        "recipe": _RECIPE,
        "image": "debian",
        "suite": wish.suite.value,
        "include": wish.include(),
        "trim": not wish.whole,
    }


def recipe(wish: Wish, release: Recipe, coming: Coming) -> Recipe:
    """The image with the programs of ``release``. ``coming`` provides the release, and is awaited only when it is
    needed, at the very end. If it fails, Debian is unpacked anyway and kept for the next build.
    """
    return _recipe(wish, inputs(wish, release.key), coming)


def plain_recipe(wish: Wish) -> Recipe:
    """The image of machines without Kubernetes; it takes no release."""
    return _recipe(wish, inputs(wish, None), None)


def _recipe(wish: Wish, decided_by: dict[str, Any], coming: Coming | None) -> Recipe:

    async def build(work: Work, step: Step, folder: Path) -> Made:
        root, out = folder / "root", folder / "out"
        out.mkdir()
        programs = asyncio.ensure_future(coming()) if coming is not None else None
        await _base(work, step, wish, root)
        if programs is not None and programs.done():
            programs.result()  # raises what it failed with
        without = await _prepare(work, step, wish, root, out)
        made = None
        if programs is not None:
            step.doing("waiting for the release")
            made = await programs
            await asyncio.to_thread(_put_programs, work, made, root)
        unpacked = await asyncio.to_thread(_size, root)
        step.doing("making the squashfs")
        await sandbox.build(
            ["mksquashfs", root, out / "root.squashfs", *_SQUASHFS],
            log_file=work.log("squashfs"),
            env={"SOURCE_DATE_EPOCH": EPOCH},
        )
        content = {name: out / name for name in ("vmlinuz", "initramfs", "root.squashfs", nic_drivers.FILE)}
        if wish.peers:
            content[chunks.FILE] = await asyncio.to_thread(_chunks, out / "root.squashfs")
        packages = dict(line.split("=", 1) for line in (out / "packages").read_text().splitlines())
        return Made(
            name=f"Debian {wish.suite}, {wish.kernel} kernel" + ("" if made else ", plain"),
            version=made.version if made else str(wish.suite),
            content=content,
            facts={
                "kernel_version": (out / "kernel-version").read_text().strip(),
                "rootfs_unpacked": unpacked,
                "containerd": _upstream_version(packages["containerd"]) if made else "",
                **({"release": made.id} if made else {}),
                "packages": packages,
                "missing_network_drivers": without,
            },
        )

    what = f"node image ({wish.suite}, {wish.kernel} kernel)"
    return Recipe(kind="image", what=what, inputs=decided_by, build=build)


def facts_of(manifest: Manifest) -> ImageFacts:
    """The public facts of a stored image."""
    return ImageFacts(
        kernel=manifest.file("vmlinuz"),
        initramfs=manifest.file("initramfs"),
        rootfs=manifest.file("root.squashfs"),
        kernel_version=manifest.facts["kernel_version"],
        rootfs_unpacked=manifest.facts["rootfs_unpacked"],
        containerd=manifest.facts["containerd"],
        chunks=next((one for one in manifest.files if one.name == chunks.FILE), None),
    )


def _chunks(rootfs: Path) -> Path:
    """Write the manifest of its chunks beside it."""
    with rootfs.open("rb") as file:
        text = chunks.manifest(file.read, rootfs.stat().st_size)
    made = rootfs.with_name(chunks.FILE)
    made.write_text(text, encoding="ascii")
    return made


def _upstream_version(debian: str) -> str:
    """``1:1.7.24~ds1-6+b4`` → ``1.7.24``."""
    return debian.rpartition(":")[2].partition("-")[0].partition("~")[0].partition("+")[0]


async def _base(work: Work, step: Step, wish: Wish, root: Path) -> None:
    """Unpack Debian with all packages into ``root``; mmdebstrap's result is kept in the cache."""
    cached = work.state.cache / f"debian-{wish.suite}-{key_of(_base_inputs(wish))}.tar"
    if work.refresh or not cached.exists():
        work.need_network(f"Debian {wish.suite}")
        step.doing(f"installing {len(wish.include())} packages and what they need")
        new = root.parent / "base.tar"
        await sandbox.build(
            [
                "mmdebstrap",
                "--mode=root",
                "--variant=apt",
                "--format=tar",
                f"--include={','.join(wish.include())}",
                *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDE),
                *mirror.apt_options(root.parent),
                wish.suite.value,
                new,
                *mirror.find(wish.mirror).sources(wish.suite.value, components=wish.components()),
            ],
            log_file=work.log(f"debian-{wish.suite}"),
            env={**trust.environment(), "SOURCE_DATE_EPOCH": EPOCH, "INITRD": "No", "TMPDIR": str(root.parent)},
        )
        cached.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(_keep, new, cached)
    step.doing("unpacking Debian")
    root.mkdir(mode=0o755)
    await sandbox.build(
        [
            "tar",
            "--extract",
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
            "--file",
            cached,
            "--directory",
            root,
        ],
        log_file=work.log("unpack"),
    )


def _keep(new: Path, cached: Path) -> None:
    with new.open("rb") as file:
        os.fsync(file.fileno())
    shutil.move(new, cached)  # the cache may be another file system; its users check nothing but that it is there


async def _prepare(work: Work, step: Step, wish: Wish, root: Path, out: Path) -> dict[str, str]:
    """Kernel, initramfs, lists of packages and of NICs' drivers into ``out``; a trimmed root in ``root``.

    Returns the network drivers that neither the image nor the initramfs has, each with the reason.
    """
    await asyncio.to_thread(_copy_tree, node.IMAGE, root)
    await asyncio.to_thread(_copy_tree, node.DRACUT, root / DRACUT_MODULE)
    if wish.peers:
        step.doing("the program that gives the image on")
        program = await peers_program.compiled(work, wish.suite, wish.mirror, out.parent)
        await asyncio.to_thread(shutil.copyfile, program, root / DRACUT_MODULE / peers_program.NAME)
        if not wish.plain:  # the same program for container images' layers
            own = root / containers.GIVER.lstrip("/")
            await asyncio.to_thread(shutil.copyfile, program, own)
            own.chmod(0o755)
    for script in (root / DRACUT_MODULE).iterdir():
        script.chmod(0o755)
    step.doing("trimming the kernel's modules")
    whole = await asyncio.to_thread(image_modules.trim, root)
    await sandbox.build(
        ["sh", RECIPES / "image.sh", root, out, "yes" if wish.whole else "no", "plain" if wish.plain else "cluster"],
        log_file=work.log("image"),
        env={"SOURCE_DATE_EPOCH": EPOCH},
        on_line=step.heed,
    )
    early = (out / "initramfs-files").read_text(encoding="utf-8")
    without = await asyncio.to_thread(image_modules.check, whole, root, early)
    contents = await image_modules.firmware_index(work, wish.suite, wish.mirror)
    drivers = await asyncio.to_thread(image_modules.nic_drivers_of, whole, root, contents)
    (out / nic_drivers.FILE).write_text(nic_drivers.dumps(drivers), encoding="utf-8")
    return without


def _copy_tree(source: Path, target: Path) -> None:
    """Files become root's, world-readable, and executable if they are so here; existing folders keep their modes."""
    for path in sorted(source.rglob("*")):
        to = target / path.relative_to(source)
        if path.is_symlink():
            to.unlink(missing_ok=True)
            to.symlink_to(path.readlink())
        elif path.is_dir():
            if not to.is_dir():
                to.mkdir(mode=0o755, parents=True)
        else:
            to.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            shutil.copyfile(path, to)
            to.chmod(0o755 if path.stat().st_mode & 0o111 else 0o644)


def _put_programs(work: Work, release: Manifest, root: Path) -> None:
    """Copy the node's programs into the root; what is one program by two names becomes one file, in RAM once."""
    there: dict[str, Path] = {}
    for name in NODE_PROGRAMS:
        ref, target = release.file(name), root / "usr/bin" / name
        if ref.sha256 in there:
            target.hardlink_to(there[ref.sha256])
            continue
        shutil.copyfile(work.store.path(ref), target)
        target.chmod(0o755)
        there[ref.sha256] = target


def _size(root: Path) -> int:
    """Bytes of all files in the root; a file with several names counts once."""
    sizes = {}
    for path in root.rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            sizes[status.st_ino] = status.st_size
    return sum(sizes.values())
