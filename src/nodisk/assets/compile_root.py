"""A Debian to compile in, unpacked beside what is built and thrown away with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nodisk.assets import mirror, sandbox, trust
from nodisk.assets.work import Work
from nodisk.spec.model_os import Suite

_LEFT_OUT = ("doc", "man", "locale")


async def unpack(
    work: Work, root: Path, suite: Suite, packages: Sequence[str], os_mirror: str | None, *, log: str, source: str = ""
) -> None:
    """Make ``root`` a Debian of ``suite`` with these packages.

    ``source``: a source package whose files come into ``/src``; ``log``: the log's name. Raises what ``sandbox.build``
    does.
    """
    hooks = []
    if source:
        # The host's apt, which reaches the mirror as mmdebstrap does: the root knows neither authorities nor proxies.
        fetch = f"apt-get -q -o APT::Sandbox::User=root source --download-only {source}"
        hooks = [f'--customize-hook=mkdir "$1/src" && cd "$1/src" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" {fetch}']
    await sandbox.build(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=apt",
            "--format=directory",
            f"--include={','.join(packages)}",
            *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _LEFT_OUT),
            *mirror.apt_options(root.parent),
            *hooks,
            suite.value,
            root,
            *mirror.find(os_mirror).sources(suite.value, source=bool(source)),
        ],
        log_file=work.log(log),
        env={**trust.environment(), "TMPDIR": str(root.parent)},
    )
