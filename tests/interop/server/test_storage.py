"""Students' storage for real: nfs-ganesha exports disk images; clients in namespaces of their own read and write."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.interop.server.rooms import Room
from tests.interop.server.test_reload import reload
from tests.support.waits import LONG, until

from nodisk import run
from nodisk.errors import EnvironmentProblem
from nodisk.storage import volumes
from nodisk.storage.volumes import MIB, Volume
from nodisk.waiting import Deadline

pytestmark = pytest.mark.interop

SERVER = "10.99.0.1"
SIZE = 16 * MIB
OWNERS = {"id:1": "k8s-jan", "id:2": "k8s-ewa"}


def nfs(room: Room, where: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A client of libnfs on a machine; tried again while the server waits for clients of its earlier life."""
    deadline = Deadline(LONG)
    while True:
        done = run.run(words, netns=f"{room.name}-{where}", check=False, timeout=LONG)
        if "NFS4ERR_GRACE" not in done.stderr + done.stdout or not deadline.pause(0.5):
            return done


def url(volume: Volume, name: str = "") -> str:
    return f"nfs://{SERVER}/{volume.path}{name}?version=4"


def fill(room: Room, volume: Volume, name: str, size: int) -> tuple[int, str]:
    """Write so many bytes from w1: (how many were taken, the error that ended it)."""
    program = Path(__file__).with_name("nfs_fill.py")
    done = nfs(room, "w1", sys.executable, str(program), SERVER, f"/{volume.path}", name, str(size))
    found = json.loads(done.stdout)
    return found["taken"], found["error"]


def want(room: Room, size: int) -> dict[str, Volume]:
    found = volumes.ensure(room.state, "k8s", OWNERS, size)
    volumes.wait(room.state, found.values(), seconds=LONG)
    return found


def forget_clients(room: Room) -> None:
    """The next life of the NFS server waits half a minute for clients of this one; the test's are all gone."""
    for client in (volumes.folder(room.state) / "recovery").glob("*/*/*"):
        shutil.rmtree(client, ignore_errors=True)


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()


@pytest.fixture
def shared(empty_room: Room) -> Room:
    for machine in empty_room.lab.machines:
        empty_room.plug(str(machine.name), str(machine.mac), str(machine.address))
    empty_room.plug("stranger", "52:54:00:99:00:66", "10.99.0.66")
    empty_room.start()
    return empty_room


def test_a_taken_port_is_named_and_served_when_it_is_free(empty_room: Room) -> None:
    empty_room.start()
    words = ["socat", f"TCP-LISTEN:2049,bind={SERVER},fork", "OPEN:/dev/null"]
    holder = run.start(words, log_file=empty_room.folder / "socat.log", netns=empty_room.name)
    try:
        with pytest.raises(EnvironmentProblem, match=r"2049/tcp .nfs-ganesha: students' storage. is in use by socat"):
            want(empty_room, SIZE)
    finally:
        holder.kill()
        holder.wait()
    assert (empty_room.state.run / "ready.json").exists()  # all else goes on

    def served() -> bool:
        found = volumes.report(empty_room.state)
        return found is not None and len(found.exported) == len(OWNERS)

    until(served, every=0.2, why=(empty_room.folder / "serve.log").read_text)


def test_names_as_odd_as_they_get(shared: Room, tmp_path: Path) -> None:
    """What classes and students may be called, in the configuration that the real program reads."""
    names = ["export-path", "a-0", "x-2026-13-45", "true-null", "a--b-c--d", "fsal-0x1f", f"{'k' * 20}-{'9' * 40}"]
    odd = volumes.ensure(shared.state, "k8s", {f"id:{name}": name for name in names}, SIZE)
    volumes.wait(shared.state, odd.values(), seconds=LONG)
    small = tmp_path / "small"
    for volume in odd.values():
        small.write_text(volume.name)
        done = nfs(shared, "w1", "nfs-cp", str(small), url(volume, "/name"))
        assert done.returncode == 0, done.stderr
    for volume in odd.values():
        assert nfs(shared, "cp1", "nfs-cat", url(volume, "/name")).stdout == volume.name
    forget_clients(shared)


def test_a_changed_lab_does_not_interrupt_it(shared: Room, tmp_path: Path) -> None:
    """The NFS server answers the machines of lab.yaml, and hears of others while it serves."""
    jan, _ = want(shared, SIZE).values()
    small = tmp_path / "small"
    small.write_text("kept\n")
    assert nfs(shared, "w1", "nfs-cp", str(small), url(jan, "/small")).returncode == 0
    forget_clients(shared)

    def server() -> set[int]:
        return {pid for pid, words in shared.daemons().items() if words.startswith("ganesha.nfsd")}

    def reads(where: str) -> bool:
        return nfs(shared, where, "nfs-cat", url(jan, "/small")).stdout == "kept\n"

    before, text = server(), shared.lab_file.read_text()
    assert before
    assert (reads("w1"), reads("stranger")) == (True, False)
    shared.lab_file.write_text(text + "  - {name: more, mac: '52:54:00:99:00:66', address: 10.99.0.66}\n")
    reload(shared)
    until(lambda: reads("stranger"))
    shared.lab_file.write_text(text.replace("10.99.0.21", "10.99.0.77"))
    reload(shared)
    until(lambda: not reads("w1"))
    assert (reads("cp1"), reads("stranger")) == (True, False)
    shared.lab_file.write_text(text)
    reload(shared)
    until(lambda: reads("w1"))
    assert server() == before


def test_storage_from_the_first_file_to_the_last(shared: Room, tmp_path: Path) -> None:
    assert "ganesha" not in " ".join(shared.daemons().values())  # nobody asked for it yet
    jan, ewa = want(shared, SIZE).values()
    small = tmp_path / "small"
    small.write_text("kept\n")

    # What one machine writes another reads; the whole size is there, and not much more.
    assert nfs(shared, "w1", "nfs-cp", str(small), url(jan, "/small")).returncode == 0
    assert nfs(shared, "cp1", "nfs-cat", url(jan, "/small")).stdout == "kept\n"
    assert fill(shared, jan, "/whole", SIZE - MIB) == (SIZE - MIB, "")
    taken, error = fill(shared, ewa, "/large", 2 * SIZE)
    assert SIZE <= taken < SIZE + SIZE // 4
    assert "NFS4ERR_NOSPC" in error
    assert nfs(shared, "cp1", "nfs-cat", url(jan, "/small")).stdout == "kept\n"  # that was Ewa's disk, not Jan's

    # Paths can't be listed or guessed, and nobody but a machine is answered at all.
    root = nfs(shared, "w1", "nfs-ls", f"nfs://{SERVER}/?version=4")
    assert root.returncode != 0
    assert "NFS4ERR_ACCESS" in root.stdout + root.stderr
    assert jan.path not in root.stdout
    wrong = nfs(shared, "w1", "nfs-ls", f"nfs://{SERVER}/{'0' * 32}?version=4")
    assert "NFS4ERR_NOENT" in wrong.stdout + wrong.stderr
    stranger = nfs(shared, "stranger", "nfs-cat", url(jan, "/small"))
    assert stranger.returncode != 0
    assert "NFS4ERR_ACCESS" in stranger.stdout + stranger.stderr
    secret = shared.state.conf / "ganesha.conf"
    assert secret.stat().st_mode & 0o077 == 0
    for path in (*shared.state.log.glob("*"), shared.folder / "serve.log"):
        assert jan.path not in path.read_text(errors="replace"), path

    # It grows with its files in it.
    forget_clients(shared)
    grown = want(shared, 2 * SIZE)
    assert grown["id:1"].path == jan.path
    assert fill(shared, ewa, "/more", SIZE // 2) == (SIZE // 2, "")
    assert nfs(shared, "cp1", "nfs-cat", url(jan, "/small")).stdout == "kept\n"

    # The server ends, and nothing stays mounted; it starts, and the files are there. Also after a power cut.
    forget_clients(shared)
    assert shared.stop() == 0
    assert str(shared.folder) not in mounts() + run.run(["losetup", "-a"]).stdout
    shared.start()
    volumes.wait(shared.state, grown.values(), seconds=LONG)
    assert nfs(shared, "w1", "nfs-cat", url(jan, "/small")).stdout == "kept\n"
    forget_clients(shared)
    assert shared.server is not None
    shared.server.kill()
    shared.server.wait()
    shared.await_none()
    shared.start()
    volumes.wait(shared.state, grown.values(), seconds=LONG)
    assert nfs(shared, "w1", "nfs-cat", url(jan, "/small")).stdout == "kept\n"

    # Kept: unreachable, and back with another path. Removed: gone.
    forget_clients(shared)
    volumes.release(shared.state, [grown["id:1"]], keep=True)
    volumes.release(shared.state, [grown["id:2"]], keep=False)
    gone = [
        grown["id:1"].model_copy(update={"state": "kept"}),
        grown["id:2"].model_copy(update={"state": "removed"}),
    ]
    volumes.wait(shared.state, gone, seconds=LONG)
    assert [volume.name for volume in volumes.load_all(shared.state)] == ["k8s-jan-1"]
    assert not volumes.image(shared.state, ewa).exists()
    assert "ganesha" not in " ".join(shared.daemons().values())
    back = want(shared, 2 * SIZE)
    assert back["id:1"].path != jan.path
    assert nfs(shared, "w1", "nfs-cat", url(back["id:1"], "/small")).stdout == "kept\n"
    old = nfs(shared, "w1", "nfs-cat", url(jan, "/small"))
    assert "NFS4ERR_NOENT" in old.stdout + old.stderr
