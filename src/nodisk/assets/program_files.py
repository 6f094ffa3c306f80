"""Programs of Debian packages with the libraries that they need, for images: downloaded by apt, not installed here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nodisk import run
from nodisk.assets import sandbox, trust
from nodisk.assets.docker_archive import Entry
from nodisk.assets.work import Work

_SONAME = re.compile(r".*\.so\.\d+")
# Of the C library only what programs of today ask for: the rest is character sets and debugging.
_LIBC = re.compile(r"(libc|libm)\.so\.6")
_LOADER = "ld-linux-x86-64.so.2"

# One apt run for many: each reads the whole list of packages again, which takes longer than the download.
_DOWNLOAD = """\
cd "$1" && shift && all= && todo=$*
while [ -n "$todo" ]; do
    new=
    for package in $todo; do
        case " $all " in *" $package "*) continue ;; esac
        all="$all $package"
        [ "$package" = libc6 ] || new="$new $package"
    done
    [ -n "$new" ] || break
    todo=$(apt-cache depends --important $new | sed -n 's/^ *Depends: \\(lib.*\\)/\\1/p' | sort -u)
done
apt-get -o APT::Sandbox::User=root -q download $all
"""


async def unpacked(
    work: Work, folder: Path, packages: Sequence[str], *, name: str
) -> tuple[dict[str, Path], dict[str, str]]:
    """Packages and the libraries that they depend on, from the host's own suite, verified by apt.

    Returns package → the folder that it was unpacked into (under ``folder``), and the version of each that was asked
    for. ``name``: of the log.
    """
    target = folder / f"{name}-packages"
    target.mkdir()
    words: list[str | Path] = ["sh", "-c", _DOWNLOAD, "sh", target, *packages]
    await sandbox.build(words, log_file=work.log(f"download-{name}-tools"), env=trust.environment())
    roots, versions = dict[str, Path](), dict[str, str]()
    for deb in sorted(target.glob("*.deb")):
        package = run.run(["dpkg-deb", "--field", deb, "Package"]).stdout.strip()
        roots[package] = target / package
        await asyncio.to_thread(run.run, ["dpkg-deb", "--extract", deb, roots[package]])
        if package in packages:
            versions[package] = run.run(["dpkg-deb", "--field", deb, "Version"]).stdout.strip()
    return roots, versions


def libraries(roots: Mapping[str, Path], *, of_libc: Collection[str] = ()) -> list[Entry]:
    """The libraries in the one folder where the loader looks, and the loader where programs name it.

    ``of_libc``: more of the C library's than those that every program asks for.
    """
    found = dict[str, Path]()
    for package, root in roots.items():
        for path in sorted(root.glob("**/x86_64-linux-gnu/*.so.*")):
            if path.name == _LOADER:
                found[f"lib64/{_LOADER}"] = path.resolve()
            elif (_LIBC if package == "libc6" else _SONAME).fullmatch(path.name) or path.name in of_libc:
                found[f"lib/x86_64-linux-gnu/{path.name}"] = path.resolve()
    return [Entry(name, path) for name, path in sorted(found.items())]
