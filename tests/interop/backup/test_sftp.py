"""Backups on another host by sftp: a real sshd in a network namespace, with keys made for it."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.interop.backup.rooms import Room, tiny_disk
from tests.support.at_once import at_once
from tests.support.waits import LONG

from nodisk import run
from nodisk.waiting import Deadline, until

pytestmark = pytest.mark.interop

CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""
PASSWD = Path("/etc/passwd")
PORT = 2222
HOME = """\
mount --bind "$1" /etc/passwd && mount -t tmpfs tmpfs /run && mkdir -p /run/sshd && shift && exec "$@"
"""
"""For ssh and sshd root's home is another one, and /run is empty: ``ip netns exec`` gives them mounts of their own."""


_NUMBERS = itertools.count(1)


class Nas:
    """The other host, and this one's keys for it."""

    def __init__(self, room: Room, folder: Path) -> None:
        self.room, self.folder = room, folder
        self.netns = f"nas{os.getpid()}-{next(_NUMBERS)}"
        self.home = folder / "home"
        room.places.append(folder / "backups")
        self.sshd: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        ssh = self.home / ".ssh"
        ssh.mkdir(mode=0o700, parents=True)
        for key in (self.folder / "host_key", ssh / "id_ed25519"):
            run.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a test", "-f", key])
        (self.folder / "authorized_keys").write_text((ssh / "id_ed25519.pub").read_text())
        self.know(self.folder / "host_key.pub")
        (self.folder / "sshd_config").write_text(CONFIG.format(port=PORT, folder=self.folder))
        run.run(["ip", "netns", "add", self.netns])
        run.run(["ip", "-n", self.netns, "link", "set", "lo", "up"])
        passwd = self.folder / "passwd"
        passwd.write_text(
            re.sub(r"^(root:.*:)[^:]*(:[^:]*)$", rf"\1{self.home}\2", PASSWD.read_text(), flags=re.MULTILINE)
        )
        self.room.inside = ("ip", "netns", "exec", self.netns, "sh", "-c", HOME, "sh", str(passwd))

    def know(self, key: Path) -> None:
        (self.home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{PORT} {key.read_text()}")

    def serve(self) -> None:
        log = self.folder / "sshd.log"
        log.unlink(missing_ok=True)
        sshd = str(run.find("sshd"))
        self.sshd = run.start([*self.room.inside, sshd, "-D", "-e", "-f", self.folder / "sshd_config"], log_file=log)
        assert until(lambda: "Server listening" in log.read_text(), Deadline(LONG), every=0.05), log.read_text()

    def stop(self) -> None:
        if self.sshd is not None:
            self.sshd.terminate()
            self.sshd.wait(LONG)
            self.sshd = None

    def remove(self) -> None:
        self.stop()
        run.run(["ip", "netns", "del", self.netns], check=False)

    def url(self, path: Path | None = None) -> str:
        return f"ssh://root@127.0.0.1:{PORT}{path or self.folder / 'backups'}"


@contextmanager
def reached(room: Room, folder: Path) -> Iterator[Nas]:
    made = Nas(room, folder)
    made.folder.mkdir()
    try:
        made.make()
        made.serve()
        yield made
    finally:
        made.remove()


def a_disk_there_that_is_full(folder: Path) -> None:
    room = Room(folder)
    room.fill()
    with reached(room, folder / "nas") as nas, tiny_disk(folder / "tiny", "512k") as place:
        nas.stop()
        nas.serve()  # so that it sees what was mounted since
        room.lab.reports.mkdir()
        (room.lab.reports / "big").write_bytes(os.urandom(2_000_000))
        said = room.call("create", "--to", nas.url(place / "backups"), status=4)
        assert "can't be written: sftp says only Failure, as it does where the disk" in said
        assert room.no_remains()
        nas.stop()


@pytest.fixture(scope="module", autouse=True)
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[object]]:
    """Begun first: a minute, in which restic tries again and again."""
    with at_once({"full": partial(a_disk_there_that_is_full, tmp_path_factory.mktemp("full"))}) as begun:
        yield begun["full"]


@pytest.fixture
def nas(room: Room, tmp_path: Path) -> Iterator[Nas]:
    with reached(room, tmp_path / "nas") as made:
        yield made


def test_a_backup_on_another_host(nas: Nas, room: Room, tmp_path: Path) -> None:
    said = room.call("create", "--to", nas.url())
    password = room.password.read_text().strip()
    assert password not in said
    assert "generated" not in said
    room.call("create", "--to", nas.url())
    ids = [one["id"][:8] for one in json.loads(room.call("list", "--to", nas.url(), "-o", "json"))["backups"]]
    assert len(ids) == 2
    assert ids[0] in room.call("prune", "--to", nas.url(), "--keep", "last=1")
    words = ["--from", nas.url(), "--password-file", str(room.password), "--lab-file", str(tmp_path / "new.yaml")]
    room.call("restore", "latest", *words, state=tmp_path / "there")
    key = (tmp_path / "there/labs/room/pki/ca.key").read_bytes()
    assert key == (room.lab.pki / "ca.key").read_bytes()
    for file in (nas.folder / "backups").rglob("*"):
        assert file.is_dir() or key[30:60] not in file.read_bytes(), "what is there is encrypted"


def test_a_host_with_another_key(nas: Nas, room: Room) -> None:
    nas.know(nas.home / ".ssh/id_ed25519.pub")
    said = room.call("create", "--to", nas.url(), status=4)
    assert "127.0.0.1 shows another key than the one in known_hosts" in said
    assert "ssh-keygen" in said
    assert not (nas.folder / "backups").exists()
    assert not room.password.exists()


def test_a_host_that_is_not_known(nas: Nas, room: Room) -> None:
    (nas.home / ".ssh/known_hosts").unlink()
    said = room.call("create", "--to", nas.url(), status=4)
    assert "the key of 127.0.0.1 is not in known_hosts" in said
    assert not (nas.folder / "backups").exists()


def test_an_account_that_does_not_have_our_key(nas: Nas, room: Room) -> None:
    (nas.folder / "authorized_keys").write_text("")
    said = room.call("create", "--to", nas.url(), status=4)
    assert "127.0.0.1 doesn't let root in with a key of this host" in said
    assert "BEGIN" not in said
    (nas.home / ".ssh/id_ed25519").unlink()
    assert "doesn't let root in" in room.call("list", "--to", nas.url(), "--password-file", "lab.yaml", status=4)


def test_a_host_that_is_gone(nas: Nas, room: Room) -> None:
    room.call("create", "--to", nas.url())
    (nas.folder / "backups").rename(nas.folder / "elsewhere")
    assert "no backup is in" in room.call("list", "--to", nas.url(), status=2)
    nas.stop()
    said = room.call("create", "--to", nas.url(), status=4)
    assert "can't be reached or used" in said
    assert "Connection refused" in said
    assert room.no_remains()


def test_a_place_that_the_account_cannot_write(nas: Nas, room: Room) -> None:
    said = room.call("create", "--to", nas.url(Path("/proc/nothing")), status=4)
    assert "/proc/nothing can't be made: file does not exist" in said
    assert not room.password.exists()


def test_a_disk_there_that_is_full(full: Future[object]) -> None:
    """The last one here, so that the others run meanwhile."""
    full.result()
