"""A lab to back up, without a cluster, and ``nodisk backup`` called on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import commands
from tests.support.asleep import until_asleep
from tests.support.restic_keys import open_at_once
from tests.unit.spec.labs import TEN_LINES

from nodisk.classes import record, sizes
from nodisk.pki.authority import Authority
from nodisk.records.database import Database
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.waiting import Deadline, until

STOP = """#!/bin/sh
case " $* " in *" $NODISK_TEST_STOP "*) echo $$ >"$NODISK_TEST_MARK"; exec sleep 600 ;; esac
exec {restic} "$@"
"""
"""A restic that stops where a test wants it to."""


@contextmanager
def tiny_disk(place: Path, size: str) -> Iterator[Path]:
    """A disk that is soon full, mounted at a folder that is made."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


class Room:
    """A lab without a cluster, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, folder / "mark"
        self.inside: tuple[str, ...] = ()
        """Words before the command: the namespace it runs in."""
        self.places = [folder / "backups"]
        """Where backups may be."""
        self.state = State(folder / "state")
        self.lab = self.state.lab("room")

    def fill(self) -> None:
        folder = self.folder
        (folder / "lab.yaml").write_text(TEN_LINES)
        Authority(self.lab, load(folder / "lab.yaml")).ensure()
        now = record.now()
        made = record.Class(
            name="k8s", prefix="k8s-", size_name="small", size=sizes.named()["small"], role="edit", created=now,
            expires=now,
        )  # fmt: skip
        record.save(self.lab, made)
        with Database(self.lab.database) as database:
            database.arm(float("inf"))
        (folder / "bin").mkdir()
        (folder / "bin/restic").write_text(STOP.format(restic=shutil.which("restic")))
        (folder / "bin/restic").chmod(0o755)

    @property
    def password(self) -> Path:
        return self.lab.backup / "password"

    def argv(self, *words: str, state: Path | None = None) -> list[str]:
        lab = ["--lab", "lab.yaml"] if words[0] != "restore" else []
        where = ["--state", str(state or self.state.root)]
        return [*self.inside, sys.executable, "-m", "nodisk", "backup", *words, *where, *lab]

    def call(self, *words: str, status: int = 0, state: Path | None = None) -> str:
        argv = self.argv(*words, state=state)
        if self.inside:
            done = subprocess.run(argv, cwd=self.folder, text=True, capture_output=True, check=False, timeout=300)
        else:
            done = commands.call(argv[3:], cwd=self.folder)
        for place in self.places if self.password.exists() else ():
            open_at_once(place, self.password)
        assert "Traceback" not in done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def stopped_at(self, verb: str, *words: str, state: Path | None = None) -> subprocess.Popen[str]:
        """A command whose restic stops instead of doing ``verb``."""
        self.mark.unlink(missing_ok=True)
        env = os.environ | {"NODISK_TEST_STOP": verb, "NODISK_TEST_MARK": str(self.mark)}
        env["PATH"] = f"{self.folder / 'bin'}:{env['PATH']}"
        command = subprocess.Popen(
            self.argv(*words, state=state), cwd=self.folder, env=env, text=True, stderr=subprocess.PIPE
        )
        assert until(lambda: self.mark.exists() and self.mark.read_text().strip(), Deadline(120), every=0.05)
        until_asleep(command.pid)  # it waits for restic: a signal that comes before is lost
        return command

    def ended(self) -> bool:
        """Whether the restic that stopped is gone."""
        state = Path(f"/proc/{self.mark.read_text().strip()}/stat")
        try:
            return state.read_text().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            return True

    def no_remains(self) -> bool:
        return not (self.lab.backup / "staging").exists()
