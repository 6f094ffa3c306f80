"""Where Debian's packages come from: the host's own apt configuration, or the mirror that lab.yaml names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodisk import run
from nodisk.assets import trust
from nodisk.errors import EnvironmentProblem

_FORMAT = "$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(CREATED_BY)"
_CONNECTION = re.compile(r"Acquire::https?::(\S+::)?(Proxy|CAInfo|Verify-Peer|Verify-Host|SslCert|SslKey)", re.I)
_NO_SECURITY = ("sid",)


@dataclass(frozen=True, slots=True)
class Mirror:
    """Base URLs of Debian's archives, with a final slash."""

    main: str
    security: str | None

    def sources(self, suite: str, *, components: Sequence[str] = ("main",), source: bool = False) -> list[str]:
        """Lines of a sources.list for one suite, updates and security fixes included."""
        parts = " ".join(components)
        lines = [f"deb {self.main} {suite} {parts}"]
        if suite not in _NO_SECURITY:
            lines.append(f"deb {self.main} {suite}-updates {parts}")
            if self.security:
                lines.append(f"deb {self.security} {suite}-security {parts}")
        if source:
            lines += [line.replace("deb ", "deb-src ", 1) for line in lines]
        return lines


def parse_index_targets(text: str) -> Mirror | None:
    """Debian's archives in the output of ``apt-get indextargets``, lines of ORIGIN|LABEL|REPO_URI|CREATED_BY."""
    main: str | None = None
    security: str | None = None
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) != 4 or fields[0] != "Debian" or fields[3] != "Packages":
            continue
        _, label, uri, _ = fields
        if label == "Debian" and main is None:
            main = uri
        elif label == "Debian-Security" and security is None:
            security = uri
    return Mirror(main, security) if main else None


def find(wanted: str | None) -> Mirror:
    """The mirror to use: ``wanted`` (os.mirror) or the host's own; raises EnvironmentProblem if neither is known."""
    output = run.run(["apt-get", "indextargets", "--format", _FORMAT], check=False).stdout
    own = parse_index_targets(output)
    if wanted is not None:
        return Mirror(wanted.rstrip("/") + "/", own.security if own else None)
    if own is None:
        raise EnvironmentProblem(
            "this host's apt configuration names no Debian mirror",
            hint="run apt-get update, or write os.mirror in lab.yaml",
        )
    return own


def apt_options(folder: Path) -> list[str]:
    """How the host's apt reaches servers, as options for mmdebstrap: proxies, TLS, and trusted authorities.

    ``folder`` holds a file of authorities while mmdebstrap runs.
    """
    dump = run.run(["apt-config", "dump"], check=False).stdout
    lines = connection_options(dump)
    if not any(line.lower().startswith("acquire::https::cainfo") for line in lines):
        lines += trust.apt_options(folder)
    return [f"--aptopt={line}" for line in lines]


def connection_options(dump: str) -> list[str]:
    """The lines of ``apt-config dump`` about reaching servers by HTTP or HTTPS, for all hosts or one."""
    return [line for line in dump.splitlines() if _CONNECTION.match(line) and not line.endswith('"";')]
