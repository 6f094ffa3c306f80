"""The only user of restic: one repository, its snapshots; restic's failures as nodisk's errors.

The password is in a file that restic reads itself; it is never an argument. restic dies with nodisk, also by
``kill -9``, and leaves then at most data that no snapshot names: the next ``prune`` removes it.
"""

from __future__ import annotations

import json
import re
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nodisk import files, run
from nodisk.backup import sftp_said
from nodisk.errors import Busy, CommandFailed, EnvironmentProblem, IntegrityError, NodiskError, TimedOut, UsageError
from nodisk.spec.target import Target

TAG = "nodisk"
_AWAY = re.compile(
    "connection|ssh|sftp session|unable to open repository|dial tcp|i/o timeout|no such host|permission denied|"
    "not a directory|input/output",
    re.IGNORECASE,
)
_ID = re.compile(r"[0-9a-f]{8,64}|latest")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup in the repository."""

    id: str
    time: datetime
    lab: str
    tags: tuple[str, ...]

    @property
    def short(self) -> str:
        """The id as people type it."""
        return self.id[:8]

    @property
    def with_assets(self) -> bool:
        """Whether it holds the assets themselves."""
        return "assets" in self.tags


@dataclass(frozen=True, slots=True)
class Repository:
    """A restic repository and what opens it."""

    target: Target
    password: Path
    cache: Path

    def prepare(self) -> None:
        """Make sure that the repository can be read; an absent one is made, with a new password where there is none.

        Raises UsageError for a password that doesn't open it, EnvironmentProblem for a place that can't be reached.
        """
        folder = self.target.folder
        if folder is not None and not files.nearest(folder).is_dir():
            raise UsageError(f"{self.target.text} can't be a folder: a part of its path is a file")
        made = not self.password.exists()
        if made:
            self.password.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write(self.password, secrets.token_urlsafe(32) + "\n", mode=0o600)
        try:
            try:
                self._run("cat", "config", "--no-lock", "--no-cache")
            except _NoRepository:
                self._run("init")
            except _WrongPassword as error:
                if made:
                    raise self._no_password() from error
                raise
        except BaseException:
            if made:  # it opens nothing
                self.password.unlink(missing_ok=True)
            raise

    def save(self, folder: Path, lab: str, tags: Sequence[str], *, parent: str | None) -> tuple[str, int]:
        """Save a folder's content; returns the snapshot's id and the bytes that the repository grew by."""
        words = [word for tag in (TAG, *tags) for word in ("--tag", tag)]
        known = ["--parent", parent] if parent else ["--force"]
        said = self._run("backup", "--json", "--host", lab, *words, *known, ".", cwd=folder)
        for line in reversed(said.splitlines()):
            value = json.loads(line)
            if value.get("message_type") == "summary":
                return str(value["snapshot_id"]), int(value["data_added"])
        raise NodiskError("restic saved the backup but doesn't say under which name", hint="see: nodisk backup list")

    def snapshots(self, lab: str | None = None) -> list[Snapshot]:
        """nodisk's own snapshots, oldest first; those of one lab, or of all."""
        host = ["--host", lab] if lab else []
        said = json.loads(self._run("snapshots", "--json", "--no-lock", "--no-cache", "--tag", TAG, *host)) or []
        return sorted(map(_snapshot, said), key=lambda one: one.time)

    def find(self, wanted: str, lab: str | None = None) -> Snapshot:
        """The snapshot with this id, or its beginning; ``latest``. Raises UsageError if there is none, or several."""
        if _ID.fullmatch(wanted) is None:
            raise UsageError(f"{wanted!r} is no id of a backup", hint="nodisk backup list shows them; or use: latest")
        all_of_them = self.snapshots(lab)
        found = all_of_them[-1:] if wanted == "latest" else [one for one in all_of_them if one.id.startswith(wanted)]
        if wanted == "latest" and len({one.lab for one in all_of_them}) > 1:
            labs = ", ".join(sorted({one.lab for one in all_of_them}))
            raise UsageError(
                f"{self.target.text} has backups of several labs: {labs}",
                hint="name one by its id, or whose latest you mean: --lab-name NAME",
            )
        if len(found) != 1:
            what = (f"of lab {lab}" if lab else "yet") if wanted == "latest" else wanted
            raise UsageError(
                f"{self.target.text} has {'no' if not found else 'more than one'} backup {what}",
                hint="nodisk backup list shows those that are there",
            )
        return found[0]

    def load(self, snapshot: Snapshot, folder: Path) -> None:
        """Write a snapshot's content into a folder; restic checks each piece's hash."""
        try:
            self._run("restore", snapshot.id, "--no-lock", "--target", str(folder))
        except _Full as error:
            raise EnvironmentProblem(
                f"no space is left for the content of backup {snapshot.short} in {folder}",
                hint="free some space on the disk of the state directory, or use another one: --state DIR",
            ) from error

    def forget(self, lab: str, keep: Mapping[str, int], *, dry_run: bool) -> list[str]:
        """Remove one lab's snapshots that ``keep`` (``daily`` → how many) doesn't hold.

        Returns their short ids, oldest first.
        """
        words = [word for period, count in keep.items() for word in (f"--keep-{period}", str(count))]
        self._run("unlock")  # drops only the locks of processes that have died
        wanted = ["--tag", TAG, "--host", lab, "--group-by", "host", *words]
        said = json.loads(self._run("forget", "--json", "--dry-run", *wanted) or "[]") or []
        removed = [one for group in said for one in group.get("remove") or ()]
        gone = [str(one["id"])[:8] for one in sorted(removed, key=lambda one: str(one["time"]))]
        if gone and not dry_run:
            self._run("forget", *wanted, "--prune")
        return gone

    def check(self) -> None:
        """Read all of the repository and compare every hash; raises IntegrityError."""
        self._run("unlock")
        self._run("check", "--read-data")

    def _run(self, *words: str, cwd: Path | None = None) -> str:
        run.find("restic")
        env = {
            "RESTIC_REPOSITORY": self.target.repository,
            "RESTIC_PASSWORD_FILE": str(self.password),
            "RESTIC_CACHE_DIR": str(self.cache),
            "RESTIC_PROGRESS_FPS": "0.01",
        }
        if not self.password.exists():
            if self.target.folder is not None and not (self.target.folder / "config").exists():
                raise self._none()
            raise self._no_password()
        # In a session of its own it would miss a terminal's Ctrl-C; nodisk passes that on to it.
        argv = run.tied(["restic", *self.target.options, *words], signal.SIGTERM)
        done = run.run(argv, env=env, cwd=cwd, check=False)
        if done.returncode != 0:
            raise self._error(done.args, done.returncode, f"{done.stderr}\n{done.stdout}".strip())
        return done.stdout

    def _ssh_says(self, said: str) -> str:
        """Why no session came about, as restic would have printed it.

        restic passes ssh's lines on by a thread that it doesn't wait for: they may be missing, so ssh is asked again.
        """
        if "unable to start the sftp session" not in said or not self.target.ssh:
            return ""
        try:
            lines = run.run(self.target.ssh, check=False, timeout=120).stderr.splitlines()
        except TimedOut:
            lines = ["no answer within two minutes"]
        return "".join(f"subprocess ssh: {line}\n" for line in lines if line.strip())

    def _none(self) -> _NoRepository:
        hint = "make one (nodisk backup create); is its disk mounted, or the path mistyped?"
        return _NoRepository(f"no backup is in {self.target.text}", hint=hint)

    def _no_password(self) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"the password of the backups in {self.target.text} is not in {self.password}",
            hint="put it there (mode 0600), or name the file that has it: --password-file FILE",
        )

    def _error(self, argv: Sequence[str], status: int, said: str) -> NodiskError:  # noqa: PLR0911 - one a case
        place, last = self.target.text, _last(said)
        if "wrong password" in said or "empty password" in said or "no key found" in said:
            return _WrongPassword(
                f"the password in {self.password} doesn't open the backups in {place}",
                hint="name the file with the right one: --password-file FILE",
            )
        if "already locked" in said:
            return Busy(f"the backups in {place} are in use by another process", hint="wait for it to finish")
        if "unable to open config file" in said and re.search("no such file|does not exist|NoSuchKey", said):
            return self._none()
        if "no space left" in said or "disk quota" in said:
            return _Full(
                f"no space is left in {place}; earlier backups there are whole",
                hint="free some (nodisk backup prune --keep …) and run the command again",
            )
        if re.search(r"ciphertext verification|invalid data|does not match|hash mismatch|not found in|damaged|"
                     r"\bpack\b|unexpected EOF|ReadFull\(.*EOF|\bblob\b|^panic:", said, re.MULTILINE):  # fmt: skip
            return IntegrityError(
                f"the backups in {place} are damaged: {last}",
                hint="an older one may be whole: nodisk backup list, nodisk backup verify SNAPSHOT",
            )
        if (elsewhere := sftp_said.problem(place, f"{self._ssh_says(said)}{said}")) is not None:
            return elsewhere
        if _AWAY.search(said):
            return EnvironmentProblem(f"{place} can't be reached or used: {last}", hint="see docs/how-to/backup.md")
        return CommandFailed(argv, status, said)


class _NoRepository(UsageError):
    """Nothing is there yet."""


class _WrongPassword(UsageError):
    """It is another repository's."""


class _Full(NodiskError):
    """The disk that restic writes to has no space left."""


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("{")]
    starts = ("Fatal", "error", "Load", "ssh", "subprocess", "panic")
    told = next((line for line in reversed(lines) if line.startswith(starts)), "")
    return (told or (lines or [""])[-1]).removeprefix("Fatal: ")[:300]


def _snapshot(value: Mapping[str, Any]) -> Snapshot:
    # restic writes nanoseconds, which Python reads from 3.11 on, and drops.
    when = datetime.fromisoformat(str(value["time"]))
    return Snapshot(str(value["id"]), when, str(value["hostname"]), tuple(value.get("tags") or ()))
