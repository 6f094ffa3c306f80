"""The image of the network measures: iperf3, dnsperf and their libraries from Debian packages; busybox for the rest."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

from nodisk import run
from nodisk.assets import sandbox, trust
from nodisk.assets.docker_archive import Entry
from nodisk.assets.work import Work

BENCH = "nodisk/bench:1"
"""iperf3, dnsperf and busybox' tools; no entry point but the shell."""
PROGRAMS = ("iperf3", "dnsperf")
"""Each is also the package's name."""

_SONAME = re.compile(r".*\.so\.\d+")
# Of the C library only what programs of today ask for: the rest is character sets and debugging.
_LIBC = re.compile(r"(libc|libm)\.so\.6")
_LOADER = "ld-linux-x86-64.so.2"


# One apt run for all: each reads the whole list of packages anew, which takes longer than the download.
_DOWNLOAD = """\
cd "$1" && shift && all= && todo=$*
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
    """The programs' versions as text, and the files to add to busybox.

    The packages are from the host's own suite, verified by apt.
    """
    target = folder / "bench-packages"
    target.mkdir()
    words: list[str | Path] = ["sh", "-c", _DOWNLOAD, "sh", target, *PROGRAMS]
    await sandbox.build(words, log_file=work.log("download-bench-tools"), env=trust.environment())
    roots, versions = dict[str, Path](), list[str]()
    for deb in sorted(target.glob("*.deb")):
        package = run.run(["dpkg-deb", "--field", deb, "Package"]).stdout.strip()
        roots[package] = target / package
        await asyncio.to_thread(run.run, ["dpkg-deb", "--extract", deb, roots[package]])
        if package in PROGRAMS:
            versions.append(f"{package} {run.run(['dpkg-deb', '--field', deb, 'Version']).stdout.strip()}")
    return ", ".join(versions), _entries(roots)


def _entries(roots: Mapping[str, Path]) -> list[Entry]:
    """The programs, the libraries in the one folder where the loader looks, and the loader where programs name it."""
    found = {f"bin/{name}": roots[name] / "usr/bin" / name for name in PROGRAMS}
    for package, root in roots.items():
        for path in sorted(root.glob("**/x86_64-linux-gnu/*.so.*")):
            if path.name == _LOADER:
                found[f"lib64/{_LOADER}"] = path.resolve()
            elif (_LIBC if package == "libc6" else _SONAME).fullmatch(path.name):
                found[f"lib/x86_64-linux-gnu/{path.name}"] = path.resolve()
    return [Entry(name, path) for name, path in sorted(found.items())]
