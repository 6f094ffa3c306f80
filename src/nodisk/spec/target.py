"""Where backups are kept, as a user writes it, and as restic does. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nodisk.errors import UsageError

_SSH = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._/+-]+)"
)
_S3 = re.compile(
    r"s3://(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?)/(?P<bucket>[a-z0-9][a-z0-9.-]{1,62})"
    r"(?P<path>(?:/[A-Za-z0-9._+-]+)*)"
)
FORMS = "a folder, ssh://USER@HOST/PATH or s3://HOST/BUCKET/PATH"


@dataclass(frozen=True, slots=True)
class Target:
    """A restic repository."""

    text: str
    """As the user wrote it; a folder as an absolute path."""
    repository: str
    """As restic's ``RESTIC_REPOSITORY`` names it (restic's manual, "Preparing a new repository")."""
    options: tuple[str, ...] = ()
    """More options of restic."""

    @property
    def folder(self) -> Path | None:
        """The folder of this host, if it is one."""
        return Path(self.repository) if self.repository == self.text else None

    @property
    def ssh(self) -> list[str]:
        """The command by which restic reaches another host's sftp; empty for other targets."""
        return self.options[1].removeprefix("sftp.command=").split() if self.options else []


def parse(text: str, *, base: Path | None = None) -> Target:
    """Read a target; raises UsageError if it is none. ``base``: the folder that a relative path starts from.

    ssh never asks for a password or an unknown host's key: nobody is there to answer a scheduled backup. It also ends
    when the other host says nothing for three minutes, because the next backup waits for this one.
    """
    if match := _SSH.fullmatch(text):
        user, host, port, path = match["user"], match["host"], match["port"], match["path"]
        if port is None or 1 <= int(port) <= 65535:
            login = f"{user}@{host}" if user else host
            quiet = ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=60"]
            words = ["ssh", *quiet, *(["-p", port] if port else []), login, "-s", "sftp"]
            place = f"sftp://{login}:{port or 22}/{path}"
            return Target(text, place, ("-o", f"sftp.command={' '.join(words)}"))
    elif match := _S3.fullmatch(text):
        return Target(text, f"s3:https://{match['host']}/{match['bucket']}{match['path']}")
    elif text.strip() and "://" not in text and "\0" not in text and not re.match(r"[a-z0-9]+:|~", text):
        folder = str(((base or Path.cwd()) / text).absolute())
        return Target(folder, folder)
    raise UsageError(f"{text!r} is no place for backups", hint=f"use {FORMS}")
