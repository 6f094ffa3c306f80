"""The image of the network measures: iperf3, dnsperf and their libraries from Debian packages; busybox for the rest."""

from __future__ import annotations

from pathlib import Path

from nodisk.assets import program_files
from nodisk.assets.docker_archive import Entry
from nodisk.assets.work import Work

BENCH = "nodisk/bench:1"
"""iperf3, dnsperf and busybox' tools; no entry point but the shell."""
PROGRAMS = ("iperf3", "dnsperf")
"""Each is also the package's name."""


async def entries(work: Work, folder: Path) -> tuple[str, list[Entry]]:
    """The programs' versions as text, and the files to add to busybox."""
    roots, versions = await program_files.unpacked(work, folder, PROGRAMS, name="bench")
    programs = [Entry(f"bin/{name}", roots[name] / "usr/bin" / name) for name in PROGRAMS]
    said = ", ".join(f"{package} {version}" for package, version in sorted(versions.items(), reverse=True))
    return said, sorted([*programs, *program_files.libraries(roots)], key=lambda entry: entry.path)
