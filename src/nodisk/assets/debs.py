"""Single files out of Debian packages, without installing them on this host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from nodisk import run
from nodisk.assets import sandbox
from nodisk.assets.work import Work
from nodisk.errors import IntegrityError


async def extract(work: Work, package: str, wanted: Mapping[str, str], folder: Path) -> tuple[str, dict[str, Path]]:
    """Download a package of the host's own suite (checked by apt) and unpack it under ``folder``.

    ``wanted`` maps names to paths in the package; returns the package's version and the paths of those that are in it.
    """
    log_file = work.log(f"download-{package}")
    download = folder / package
    download.mkdir()
    script = 'cd "$1" && apt-get -o APT::Sandbox::User=root -q download "$2"'
    await sandbox.build(["sh", "-c", script, "sh", download, package], log_file=log_file)
    (deb,) = download.glob("*.deb")
    root = download / "root"
    await asyncio.to_thread(run.run, ["dpkg-deb", "--extract", deb, root])
    version = run.run(["dpkg-deb", "--field", deb, "Version"]).stdout.strip()
    found = {name: root / path for name, path in wanted.items() if (root / path).is_file()}
    if not found:
        raise IntegrityError(f"the package {package} {version} holds none of {', '.join(wanted.values())}")
    return version, found
