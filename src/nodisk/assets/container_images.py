"""The project's own container images, made of Debian's busybox-static: for the proof, verify and bench."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nodisk import run
from nodisk.assets import bench_image, debs, docker_archive
from nodisk.assets.docker_archive import Config, Entry
from nodisk.assets.hashes import tree_hash
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.release import ReleaseImage, facts_to_json
from nodisk.assets.work import RECIPES, Work
from nodisk.plan.facts import ContainerImage

ECHO = "nodisk/echo:1"
"""HTTP on port 8080: ``GET /`` (or ``/cgi-bin/echo/ANY/PATH``) answers with the lines ``pod:``, ``node:``,
``address:``, ``client:`` and ``path:``, from the environment variables POD_NAME, NODE_NAME and POD_IP where they are
set. With another command it provides tools: sh, wget, nc, sleep and everything else in busybox."""
ECHO_PORT = 8080
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
"""What a registry is asked for: it gives no manifest of another kind than those that it is told of."""

_SCRIPT = "echo.cgi"
# The kernel lets a container's first process ignore SIGTERM if it has no handler for it, as busybox' programs haven't:
# each pod would end when its grace is over, 30 seconds late. They have nothing to finish.
_STOP = "SIGKILL"


def inputs() -> dict[str, Any]:
    """What decides the images."""
    return {
        "recipe": 5,
        "packages": ["busybox-static", *bench_image.PROGRAMS],
        "names": [ECHO, bench_image.BENCH],
        "files": tree_hash(RECIPES / _SCRIPT),
    }


def recipe() -> Recipe:
    """The images."""
    return Recipe(
        kind="containers", what="echo image", inputs=inputs(), build=_build, loads="the image of the echo server"
    )


async def _build(work: Work, _: Step, folder: Path) -> Made:
    paths = {"busybox": "bin/busybox", "usr": "usr/bin/busybox"}
    version, files = await debs.extract(work, "busybox-static", paths, folder)
    busybox = next(iter(files.values()))
    applets = (await asyncio.to_thread(_applets, str(busybox))) - {"busybox"}
    script = (RECIPES / _SCRIPT).read_bytes()
    entries = [
        Entry("bin/busybox", busybox),
        *(Entry(f"bin/{applet}", link="busybox") for applet in sorted(applets)),
        Entry("www/cgi-bin/index.cgi", script),
        Entry("www/cgi-bin/echo", script),
        Entry("etc/passwd", b"root:x:0:0:root:/:/bin/sh\necho:x:8080:8080:echo:/:/bin/sh\n", mode=0o644),
        Entry("etc/group", b"root:x:0:\necho:x:8080:\n", mode=0o644),
        Entry("tmp/.keep", b"", mode=0o644),
    ]
    config = Config(
        entrypoint=("/bin/httpd", "-f", "-p", str(ECHO_PORT), "-h", "/www"),
        env={"PATH": "/bin"},
        user="8080:8080",
        port=ECHO_PORT,
        stop_signal=_STOP,
    )
    target = folder / "echo.tar"
    size = docker_archive.write(target, name=ECHO, entries=entries, config=config, work=folder)
    images = [ReleaseImage(ContainerImage.of(ECHO, size), target.name)]
    versions, programs = await bench_image.entries(work, folder)
    bench = folder / "bench.tar"
    tools = [entry for entry in entries if not entry.path.startswith("www/")]
    size = docker_archive.write(
        bench,
        name=bench_image.BENCH,
        entries=[*tools, *programs],
        config=Config(("/bin/sh",), {"PATH": "/bin"}, user="8080:8080", stop_signal=_STOP),
        work=folder,
    )
    images.append(ReleaseImage(ContainerImage.of(bench_image.BENCH, size), bench.name))
    return Made(
        name="nodisk's own images",
        version=f"busybox {version}, {versions}",
        content={target.name: target, bench.name: bench},
        facts=facts_to_json("nodisk", images),
    )


def _applets(busybox: str) -> set[str]:
    return set(run.run([busybox, "--list"]).stdout.split())
