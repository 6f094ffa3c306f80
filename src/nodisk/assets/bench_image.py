"""The image of the network measures: iperf3 and its libraries from Debian packages, with busybox for all else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

from nodisk import run
from nodisk.assets import sandbox
from nodisk.assets.docker_archive import Entry
from nodisk.assets.work import Work

BENCH = "nodisk/bench:1"
"""iperf3 and busybox' tools; no entry point but the shell."""

_SONAME = re.compile(r".*\.so\.\d+")
# Of the C library only what programs of today ask for: the rest is character sets and debugging.
_LIBC = re.compile(r"(libc|libm)\.so\.6")
_LOADER = "ld-linux-x86-64.so.2"


# One apt run for all: each reads the whole list of packages anew, which takes longer than the download.
_DOWNLOAD = """\
cd "$1" && all= && todo=iperf3
while [ -n "$todo" ]; do
    next=
    for package in $todo; do
        case " $all " in *" $package "*) continue ;; esac
        all="$all $package"
        [ "$package" = libc6 ] || next="$next $(apt-cache depends --important "$package" | sed -n 's/^ *Depends: //p')"
    done
    todo=$(for package in $next; do case $package in lib*) echo "$package" ;; esac done)
done
apt-get -o APT::Sandbox::User=root -q download $all
"""


async def entries(work: Work, folder: Path) -> tuple[str, list[Entry]]:
    """iperf3's version, and the files to put beside busybox; packages of the host's own suite, checked by apt."""
    target = folder / "bench-packages"
    target.mkdir()
    await sandbox.build(["sh", "-c", _DOWNLOAD, "sh", target], log_file=work.log("download-iperf3"))
    roots, version = dict[str, Path](), ""
    for deb in sorted(target.glob("*.deb")):
        package = run.run(["dpkg-deb", "--field", deb, "Package"]).stdout.strip()
        roots[package] = target / package
        await asyncio.to_thread(run.run, ["dpkg-deb", "--extract", deb, roots[package]])
        if package == "iperf3":
            version = run.run(["dpkg-deb", "--field", deb, "Version"]).stdout.strip()
    return version, _entries(roots)


def _entries(roots: Mapping[str, Path]) -> list[Entry]:
    """iperf3, the libraries in the one folder where the loader looks, and the loader where programs name it."""
    found = {"bin/iperf3": roots["iperf3"] / "usr/bin/iperf3"}
    for package, root in roots.items():
        for path in sorted(root.glob("**/x86_64-linux-gnu/*.so.*")):
            if path.name == _LOADER:
                found[f"lib64/{_LOADER}"] = path.resolve()
            elif (_LIBC if package == "libc6" else _SONAME).fullmatch(path.name):
                found[f"lib/x86_64-linux-gnu/{path.name}"] = path.resolve()
    return [Entry(name, path) for name, path in sorted(found.items())]
