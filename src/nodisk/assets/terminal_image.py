"""The image of students' terminals: a shell, editors and kubectl, from Debian packages and the lab's release.

No package is installed, so no script of one runs: single files are taken, those that a shell in a class has use for. A
diskless node holds what it runs in RAM, so nothing else is in it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from nodisk import run
from nodisk.assets import docker_archive, program_files
from nodisk.assets.docker_archive import Config, Entry
from nodisk.assets.hashes import tree_hash
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.release import ReleaseImage, facts_to_json
from nodisk.assets.store import Manifest
from nodisk.assets.work import RECIPES, Work
from nodisk.plan.facts import ContainerImage

KIND = "terminal"
TERMINAL = "nodisk/terminal:1"
"""A shell under tmux as user 1000, whose home is ``/home``; ``/run/nodisk`` is where its kubeconfig comes."""
USER = 1000
KEY_FOLDER = "/run/nodisk"
PROGRAMS = {
    "bash": ("bash", "bin/bash"),
    "curl": ("curl", "usr/bin/curl"),
    # Knot's takes dig's words. BIND's own would bring 40 MB of libraries, ICU among them.
    "dig": ("knot-dnsutils", "usr/bin/kdig"),
    "less": ("less", "usr/bin/less"),
    "nano": ("nano", "bin/nano"),
    "tmux": ("tmux", "usr/bin/tmux"),
    "vim.tiny": ("vim-tiny", "usr/bin/vim.tiny"),
}
"""Name → Debian's package, and the path in it. ``nslookup``, ``wget`` and the like are busybox'."""
DATA = ("bash-completion", "busybox-static", "ca-certificates", "libc-bin", "ncurses-base", "zlib1g")
"""Packages of which other files are taken, and libraries that are not called lib."""

_LINKS = {"vi": "vim.tiny", "vim": "vim.tiny"}
_FILES = {"terminal.profile": "etc/profile", "terminal.tmux": "etc/tmux.conf"}
_TERMINFO = ("d/dumb", "s/screen", "s/screen-256color", "t/tmux", "t/tmux-256color", "x/xterm", "x/xterm-256color")
# Kerberos, which curl is linked with, looks for servers by the one; the libraries of kdig name the other.
_LIBC = ("libpthread.so.0", "libresolv.so.2")
# A shell as the first process collects what ends; without a handler it would not hear SIGTERM.
_FIRST = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"


def inputs(release_key: str) -> dict[str, Any]:
    """What decides the image."""
    return {
        "recipe": 2,
        "packages": sorted({*DATA, *(package for package, _ in PROGRAMS.values())}),
        "name": TERMINAL,
        "files": {name: tree_hash(RECIPES / name) for name in sorted(_FILES)},
        "release": release_key,
    }


def recipe(release: Recipe, coming: Callable[[], Awaitable[Manifest]]) -> Recipe:
    """The image with the kubectl of ``release``, for which ``coming`` waits."""

    async def build(work: Work, step: Step, folder: Path) -> Made:
        packages = inputs(release.key)["packages"]
        roots, versions = await program_files.unpacked(work, folder, packages, name=KIND)
        step.doing("waiting for the release")
        made = await coming()
        kubectl = folder / "kubectl"
        await asyncio.to_thread(shutil.copyfile, work.store.path(made.file("kubectl")), kubectl)
        kubectl.chmod(0o755)
        files = await asyncio.to_thread(entries, roots, kubectl)
        target = folder / "terminal.tar"
        size = await asyncio.to_thread(_write, target, files, folder)
        return Made(
            name="students' terminal",
            version=f"kubectl {made.version}, " + ", ".join(f"{name} {versions[name]}" for name in ("bash", "tmux")),
            content={target.name: target},
            facts=facts_to_json("nodisk", [ReleaseImage(ContainerImage.of(TERMINAL, size), target.name)]),
        )

    return Recipe(
        kind=KIND, what="terminal image", inputs=inputs(release.key), build=build, loads="the terminal's programs"
    )


def _write(target: Path, files: list[Entry], folder: Path) -> int:
    env = {"PATH": "/bin", "HOME": "/home", "LANG": "C.UTF-8", "EDITOR": "nano", "KUBECONFIG": f"{KEY_FOLDER}/config"}
    config = Config(("/bin/bash", "-c", _FIRST), env, user=f"{USER}:{USER}")
    return docker_archive.write(target, name=TERMINAL, entries=files, config=config, work=folder)


def entries(roots: Mapping[str, Path], kubectl: Path) -> list[Entry]:
    """The image's files, of packages that are unpacked in ``roots``."""
    busybox = _only(roots["busybox-static"], "bin/busybox", "usr/bin/busybox")
    found = {f"bin/{name}": Entry(f"bin/{name}", link="busybox") for name in _applets(busybox)}
    found["bin/busybox"] = Entry("bin/busybox", busybox)
    for name, (package, path) in PROGRAMS.items():
        found[f"bin/{name}"] = Entry(f"bin/{name}", _only(roots[package], path, f"usr/{path}"))
    found |= {f"bin/{name}": Entry(f"bin/{name}", link=to) for name, to in _LINKS.items()}
    found["bin/kubectl"] = Entry("bin/kubectl", kubectl)
    # Scripts name their interpreters by these.
    found["usr/bin/env"] = Entry("usr/bin/env", link="../../bin/env")
    data: dict[str, Path | bytes] = {target: RECIPES / name for name, target in _FILES.items()}
    completion = roots["bash-completion"] / "usr/share/bash-completion"
    data["usr/share/bash-completion/bash_completion"] = completion / "bash_completion"
    data["usr/share/bash-completion/completions/kubectl"] = _completion(kubectl)
    data["etc/ssl/certs/ca-certificates.crt"] = _authorities(roots["ca-certificates"])
    for name in _TERMINFO:
        data[f"lib/terminfo/{name}"] = _only(roots["ncurses-base"], f"lib/terminfo/{name}", f"usr/lib/terminfo/{name}")
    locale = roots["libc-bin"] / "usr/lib/locale"
    data |= {f"usr/lib/locale/{path.relative_to(locale)}": path for path in _files(locale / "C.utf8")}
    data["etc/passwd"] = f"root:x:0:0:root:/:/bin/bash\nstudent:x:{USER}:{USER}:student:/home:/bin/bash\n".encode()
    data["etc/group"] = f"root:x:0:\nstudent:x:{USER}:\n".encode()
    data |= {"tmp/.keep": b"", "home/.keep": b"", f"{KEY_FOLDER[1:]}/.keep": b""}
    found |= {path: Entry(path, source, mode=0o644) for path, source in data.items()}
    found |= {entry.path: entry for entry in program_files.libraries(roots, of_libc=_LIBC)}
    return [found[path] for path in sorted(found)]


def _only(root: Path, *paths: str) -> Path:
    """The one of the paths that is there: Debian 13 has everything under /usr."""
    return next(found for path in paths if (found := root / path).exists()).resolve()


def _applets(busybox: Path) -> list[str]:
    return sorted(set(run.run([busybox, "--list"]).stdout.split()) - {"busybox"})


def _completion(kubectl: Path) -> bytes:
    return run.run([kubectl, "completion", "bash"], env={"HOME": "/nonexistent", "PATH": "/bin"}).stdout.encode()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _authorities(root: Path) -> bytes:
    """What ``update-ca-certificates`` would write: the certificates, one after another."""
    return b"".join(path.read_bytes().strip() + b"\n" for path in _files(root / "usr/share/ca-certificates"))
