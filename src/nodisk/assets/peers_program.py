"""nodisk-peers, compiled for the initramfs: static, by musl, whose programs are a tenth of glibc's size.

In a Debian of the image's suite, which the compiler comes from; kept in the cache, as that Debian is of no other use.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from nodisk.assets import compile_root, sandbox
from nodisk.assets.hashes import key_of, tree_hash
from nodisk.assets.work import EPOCH, RECIPES, Work
from nodisk.spec.model_os import Suite

NAME = "nodisk-peers"
SOURCES = RECIPES / "peers"
_PACKAGES = ("gcc", "libc6-dev", "musl-tools")
_COMPILE = ("musl-gcc", "-std=c11", "-O2", "-static", "-s")


def inputs() -> str:
    """A hash of what decides the program, except the compiler's version."""
    return key_of({"sources": tree_hash(SOURCES), "compile": _COMPILE})


async def compiled(work: Work, suite: Suite, os_mirror: str | None, folder: Path) -> Path:
    """The program for ``suite``; ``folder`` is for what is left over. Raises what ``sandbox.build`` does."""
    cached = work.state.cache / f"{NAME}-{suite}-{inputs()}"
    if cached.exists() and not work.refresh:
        return cached
    work.need_network(f"a compiler of Debian {suite}")
    root = folder / "compiler"
    await compile_root.unpack(work, root, suite, _PACKAGES, os_mirror, log="peers-chroot")
    shutil.copytree(SOURCES, root / "src")
    files = [f"/src/{path.name}" for path in sorted(SOURCES.glob("*.c"))]
    await sandbox.build(
        [*_COMPILE, "-o", f"/{NAME}", *files],
        root=root,
        log_file=work.log("peers"),
        env={"SOURCE_DATE_EPOCH": EPOCH},
    )
    cached.parent.mkdir(parents=True, exist_ok=True)
    part = cached.with_name(f"{cached.name}.part")
    shutil.copyfile(root / NAME, part)
    part.replace(cached)
    shutil.rmtree(root)
    return cached
