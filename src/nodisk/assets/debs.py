"""Extract single files from Debian packages, without installing them on this host."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from pathlib import Path

from nodisk import run
from nodisk.assets import mirror, sandbox, trust
from nodisk.assets.work import Work
from nodisk.errors import IntegrityError
from nodisk.spec.model_os import Suite


async def extract(work: Work, package: str, wanted: Mapping[str, str], folder: Path) -> tuple[str, dict[str, Path]]:
    """Download a package from the host's own suite (verified by apt) and unpack it under ``folder``.

    ``wanted`` maps names to paths in the package; returns the package's version and the paths of those that are in it.
    """
    log_file = work.log(f"download-{package}")
    download = folder / package
    download.mkdir()
    script = 'cd "$1" && apt-get -o APT::Sandbox::User=root -q download "$2"'
    await sandbox.build(["sh", "-c", script, "sh", download, package], log_file=log_file, env=trust.environment())
    (deb,) = download.glob("*.deb")
    root = download / "root"
    await asyncio.to_thread(run.run, ["dpkg-deb", "--extract", deb, root])
    version = run.run(["dpkg-deb", "--field", deb, "Version"]).stdout.strip()
    return version, _found(package, version, wanted, root)


async def extract_of(
    suite: Suite, work: Work, package: str, wanted: Mapping[str, str], folder: Path, *, os_mirror: str | None
) -> tuple[str, dict[str, Path]]:
    """As ``extract``, from a given suite: the same file whatever Debian the host runs."""
    root, kept = folder / f"{package}-root", folder / f"{package}-package"
    kept.mkdir()
    await sandbox.build(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=extract",
            "--format=directory",
            f"--include={package}",
            f'--extract-hook=cp "$1"/var/cache/apt/archives/{package}_*.deb {shlex.quote(str(kept))}',
            *mirror.apt_options(folder),
            suite.value,
            root,
            *mirror.find(os_mirror).sources(suite.value),
        ],
        log_file=work.log(f"download-{package}"),
        env={**trust.environment(), "TMPDIR": str(folder)},
    )
    (deb,) = kept.glob("*.deb")
    version = run.run(["dpkg-deb", "--field", deb, "Version"]).stdout.strip()
    return version, _found(package, version, wanted, root)


def _found(package: str, version: str, wanted: Mapping[str, str], root: Path) -> dict[str, Path]:
    found = {name: root / path for name, path in wanted.items() if (root / path).is_file()}
    if not found:
        raise IntegrityError(f"the package {package} {version} holds none of {', '.join(wanted.values())}")
    return found
