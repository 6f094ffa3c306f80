"""Kubernetes' conformance suite of Debian's release: ``e2e.test`` and the images of its specs, built only when asked.

Of the same source as the release, so that it is of the cluster's own version. Its drivers of public clouds are left out
as far as other parts of it don't need them: no spec of conformance uses one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nodisk.assets import program_files, release_debian, sandbox, suite_images
from nodisk.assets.hashes import sha256_of, tree_hash
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.release import facts_to_json
from nodisk.assets.store import Manifest, Store
from nodisk.assets.work import RECIPES, Work

KIND = "suite"
PROGRAM = "e2e.test"
REPOSITORIES = "repositories.yaml"
IMAGES = "images.txt"
"""The names of the images that it brings, a line each: the file of registries speaks of whole registries."""
VERSION = release_debian.VERSION


def inputs() -> dict[str, Any]:
    """What decides the suite."""
    return {
        "recipe": 2,
        "source": "debian",
        "version": str(VERSION),
        "files": tree_hash(RECIPES / "suite.sh", RECIPES / "pause.c"),
        "packages": sorted(suite_images.PACKAGES),
        "repository": suite_images.HOME,
    }


def recipe(os_mirror: str | None) -> Recipe:
    """Build the suite and its images."""

    async def build(work: Work, step: Step, folder: Path) -> Made:
        root = folder / "root"
        step.doing("a Debian 12 to build in")
        await release_debian.chroot(work, root, os_mirror, name=KIND)
        source = release_debian.source_in(root)
        for name in ("suite.sh", "pause.c"):
            (root / "src" / name).write_bytes((RECIPES / name).read_bytes())
        await sandbox.build(
            ["sh", "/src/suite.sh", str(VERSION), str(VERSION.major), str(VERSION.minor)],
            root=root,
            log_file=work.log(KIND),
            env=release_debian.ENVIRONMENT,
            on_line=step.heed,
        )
        step.doing("container images")
        roots, versions = await program_files.unpacked(work, folder, suite_images.PACKAGES, name=KIND)
        out = root / "out"
        images = await asyncio.to_thread(suite_images.write, suite_images.wanted(out, roots), folder)
        (folder / REPOSITORIES).write_text(suite_images.repositories(), encoding="utf-8")
        names = "".join(f"{item.image.name}\n" for item in images)
        (folder / IMAGES).write_text(names, encoding="utf-8")
        content = {PROGRAM: out / PROGRAM, **{name: folder / name for name in (REPOSITORIES, IMAGES)}}
        content |= {item.file: folder / item.file for item in images}
        facts = facts_to_json(
            "debian",
            images,
            source_file=source.name,
            source_sha256=sha256_of(source),
            go=(out / "go-version").read_text().strip(),
            packages=versions,
        )
        return Made(name="conformance suite of Debian's source", version=str(VERSION), content=content, facts=facts)

    loads = f"the conformance suite of Kubernetes {VERSION}, from Debian's source"
    return Recipe(kind=KIND, what="conformance suite", inputs=inputs(), build=build, loads=loads)


def folder_of(store: Store, made: Manifest) -> Path:
    """A folder with the suite's program, its file of registries and its images' names."""
    return store.tree(made, (PROGRAM, REPOSITORIES, IMAGES))
