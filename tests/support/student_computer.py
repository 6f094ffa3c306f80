"""A student's computer with a client for container images: this host's files, with those of a Debian package on top.

Nothing is installed: the package and what it depends on lie in a layer above this host's files, as in a container, and
all that is written goes to a folder of the test.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import debian_tree
from tests.support.waits import LONG

from nodisk import run
from nodisk.spec.model_os import Suite
from nodisk.state import DEFAULT_STATE, State

_PATIENCE = 5 * LONG
"""Seconds for all that a student types, with images that are copied file by file."""
_MERGED = ("usr", "bin", "sbin", "lib")
"""Folders of packages that are below usr where Debian runs, or are that."""
_ENTER = """\
cd "$1"
root=$PWD/root
mount --types overlay overlay --options lowerdir=client:/,upperdir=written,workdir=work "$root"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount --types tmpfs tmpfs "$root/dev/shm"
mount --types tmpfs tmpfs "$root/run"
mount --types proc proc "$root/proc"
for images in "$root/var/lib/containers" "$root/var/lib/docker"; do  # of layers themselves, which don't go on layers
    mkdir --parents "$images"
    mount --types tmpfs tmpfs "$images"
done
exec env --ignore-environment HOME=/root PATH="$PATH" chroot "$root" sh -euxc "$2"
"""


@dataclass(frozen=True, slots=True)
class Computer:
    """One with a client, in a network namespace."""

    netns: str
    folder: Path
    """The client with what it depends on, and what is written there."""

    def put(self, path: str, text: str) -> None:
        """Write a file there."""
        file = self.folder / "written" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def type(self, script: str) -> str:
        """Run a shell script there as root, up to its first failure; all that it started ends with it.

        Returns what it said; raises AssertionError with that if a command failed.
        """
        # Not by ip, which puts a /sys without the control groups there.
        words = ["nsenter", f"--net=/run/netns/{self.netns}", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words += ["sh", "-euc", _ENTER, "enter", str(self.folder), script]
        done = subprocess.run(words, text=True, capture_output=True, check=False, timeout=_PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


def computer(netns: str, package: str, program: str, folder: Path) -> Computer:
    """With Debian 12's package, which has the ``program``; raises IntegrityError if it hasn't.

    ``folder`` must be on another file system than this host's own files: an overlay's layers may not be in one another.
    """
    unpacked = debian_tree.tree(State(DEFAULT_STATE), Suite.BOOKWORM, package, program)
    for one in ("client/usr", "root", "written", "work"):
        (folder / one).mkdir(parents=True)
    run.run(["cp", "--archive", unpacked / "etc", folder / "client"])
    for one in _MERGED:
        run.run(
            [
                "cp",
                "--archive",
                "--no-target-directory",
                unpacked / one,
                folder / "client/usr" / one.removeprefix("usr"),
            ]
        )
    return Computer(netns, folder)
