"""Backups that go wrong, with the real restic: targets, passwords, damage, and ends at any moment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest
from tests.interop.backup.rooms import Room
from tests.support.at_once import at_once
from tests.support.waits import LONG
from tests.unit.spec.labs import TEN_LINES

from nodisk import virtual_record
from nodisk.records.database import Database
from nodisk.state import State
from nodisk.waiting import Deadline, until

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Room:
    made = Room(tmp_path_factory.mktemp("original"))
    made.fill()
    made.call("create", "--to", "backups")
    return made


@pytest.fixture
def backed_up(original: Room, tmp_path: Path) -> Room:
    """A copy of one that is made once: each start of restic takes a second."""
    shutil.copytree(original.folder, tmp_path, dirs_exist_ok=True)
    return Room(tmp_path)


def test_what_a_restore_brings_back(backed_up: Room, tmp_path: Path) -> None:
    there = tmp_path / "there"
    words = ["--from", "backups", "--password-file", str(backed_up.password), "--lab-file", str(there / "lab.yaml")]
    said = backed_up.call("restore", "latest", *words, state=there / "state")
    assert "RTO" in said
    assert "RPO" in said
    new = State(there / "state").lab("room")
    assert (there / "lab.yaml").read_text() == TEN_LINES
    for file in ("pki/ca.key", "pki/sa.key", "classes/k8s.json"):
        assert (new.root / file).read_bytes() == (backed_up.lab.root / file).read_bytes()
        assert (new.root / file).stat().st_mode & 0o777 == 0o600
    assert new.pki.stat().st_mode & 0o777 == 0o700
    with Database(new.database) as database:
        assert not database.armed(), "a nonce that was used since the backup must not count again"
    assert not list((there / "state/restoring").glob("*/"))
    assert backed_up.password.stat().st_mode & 0o777 == 0o600


def test_a_target_that_is_full(room: Room, tiny: Callable[[str], Path]) -> None:
    place = tiny("512k")
    room.lab.reports.mkdir()
    (room.lab.reports / "big").write_bytes(os.urandom(2_000_000))
    said = room.call("create", "--to", str(place / "backups"), status=1)
    assert "no space is left" in said
    assert room.no_remains()


def test_a_restore_onto_a_full_disk(room: Room, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    place = tiny("1m")
    room.lab.reports.mkdir()
    (room.lab.reports / "big").write_bytes(os.urandom(2_000_000))
    room.call("create", "--to", "backups")
    words = ["--from", "backups", "--password-file", str(room.password), "--lab-file", str(tmp_path / "new.yaml")]
    said = room.call("restore", *words, state=place, status=4)
    assert "no space is left for the content of backup" in said
    assert str(place) in said
    assert not list((place / "restoring").glob("*/"))


def test_a_target_that_is_gone(backed_up: Room) -> None:
    shutil.rmtree(backed_up.folder / "backups")
    assert "no backup is in" in backed_up.call("list", "--to", "backups", status=2)
    (backed_up.folder / "backups").write_text("a file")
    said = backed_up.call("create", "--to", "backups/here", status=2)
    assert "can't be a folder" in said


def test_an_unreachable_host(room: Room) -> None:
    said = room.call("create", "--to", "ssh://127.0.0.1:1/srv/room", status=4)
    assert "can't be reached" in said
    assert not room.password.exists()


def test_a_wrong_password(backed_up: Room) -> None:
    wrong = backed_up.folder / "wrong"
    wrong.write_text("not it\n")
    for command in ("create", "list"):
        said = backed_up.call(command, "--to", "backups", "--password-file", str(wrong), status=2)
        assert f"the password in {wrong} doesn't open" in said
    said = backed_up.call("list", "--to", "backups", "--password-file", "absent", status=4)
    assert "is not in" in said
    said = backed_up.call("create", "--to", "backups", "--password-file", "absent", status=4)
    assert "is not in" in said, "a new password would open nothing"
    assert not (backed_up.folder / "absent").exists()


def test_a_lab_that_is_there(backed_up: Room) -> None:
    said = backed_up.call("restore", "--from", "backups", status=2)
    assert "already in" in said
    key = (backed_up.lab.pki / "ca.key").read_bytes()
    (backed_up.lab.classes / "k8s.json").unlink()
    said = json.loads(backed_up.call("restore", "--from", "backups", "--replace", "-o", "json"))
    assert (backed_up.lab.classes / "k8s.json").exists()
    assert (Path(said["set_aside"]) / "pki/ca.key").read_bytes() == key
    backed_up.call("create", "--to", "backups")


def test_a_lab_file_that_differs(backed_up: Room, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(f"{TEN_LINES}# mine\n")
    words = ["--from", "backups", "--password-file", str(backed_up.password), "--lab-file", str(file), "-o", "json"]
    said = json.loads(backed_up.call("restore", *words, state=tmp_path / "there"))
    beside = tmp_path / "lab.yaml.restored"
    assert said["beside"] == [str(beside)]
    assert file.read_text() == f"{TEN_LINES}# mine\n"
    assert beside.read_text() == TEN_LINES


def test_a_lab_that_runs(backed_up: Room) -> None:
    backed_up.lab.run.mkdir(exist_ok=True)
    virtual_record.write(backed_up.lab, virtual_record.Record("lab.yaml", "nodisk-room", "lab0", 1, 2))
    said = backed_up.call("restore", "--from", "backups", "--replace", status=2)
    assert "is running" in said


def test_another_labs_file(backed_up: Room, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(TEN_LINES.replace("name: room", "name: other", 1))
    words = ["--from", "backups", "--password-file", str(backed_up.password), "--lab-file", str(other)]
    said = backed_up.call("restore", *words, state=tmp_path / "there", status=2)
    assert "is of lab other" in said
    backed_up.call("restore", *words, "--as", "other", state=tmp_path / "there")
    assert (tmp_path / "there/labs/other/pki/ca.key").exists()


def test_an_older_format(backed_up: Room, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    env = os.environ | {
        "RESTIC_REPOSITORY": str(backed_up.folder / "backups"), "RESTIC_PASSWORD_FILE": str(backed_up.password)
    }  # fmt: skip
    subprocess.run(["restic", "restore", "latest", "--target", tree], env=env, check=True, capture_output=True)
    manifest = tree / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 0}))
    words = ["backup", "--host", "room", "--tag", "nodisk", "."]
    subprocess.run(["restic", *words], env=env, check=True, capture_output=True, cwd=tree)
    words = ["--from", "backups", "--password-file", str(backed_up.password), "--lab-file", str(tmp_path / "new.yaml")]
    said = backed_up.call("restore", *words, state=tmp_path / "there", status=1)
    assert "has format 0" in said


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_create_ends_in_the_midst(backed_up: Room, how: signal.Signals) -> None:
    command = backed_up.stopped_at("backup", "create", "--to", "backups")
    assert (backed_up.lab.backup / "staging/manifest.json").exists()
    assert (backed_up.lab.backup / "staging").stat().st_mode & 0o777 == 0o700
    command.send_signal(how)
    command.communicate(timeout=LONG)
    assert command.returncode == (-9 if how is signal.SIGKILL else 128 + how)
    assert until(backed_up.ended, Deadline(LONG), every=0.05), "restic ends with nodisk"
    assert how is signal.SIGKILL or backed_up.no_remains()
    backed_up.call("create", "--to", "backups")
    assert backed_up.no_remains()
    assert len(json.loads(backed_up.call("list", "--to", "backups", "-o", "json"))["backups"]) == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_restore_ends_in_the_midst(backed_up: Room, tmp_path: Path, how: signal.Signals) -> None:
    there = tmp_path / "there"
    words = ["restore", "latest", "--from", "backups", "--password-file", str(backed_up.password)]
    words += ["--lab-file", str(tmp_path / "new.yaml")]
    command = backed_up.stopped_at("restore", *words, state=there)
    command.send_signal(how)
    command.communicate(timeout=LONG)
    assert until(backed_up.ended, Deadline(LONG), every=0.05)
    assert not (there / "labs/room").exists()
    assert how is signal.SIGKILL or not (there / "restoring/room").exists()
    backed_up.call(*words, state=there)
    assert (there / "labs/room/pki/ca.key").exists()
    assert not (there / "restoring/room").exists()


def test_two_at_once(backed_up: Room) -> None:
    command = backed_up.stopped_at("backup", "create", "--to", "backups")
    try:
        said = backed_up.call("create", "--to", "backups", status=5)
        assert f"in use by process {command.pid}" in said
    finally:
        command.kill()
        command.communicate(timeout=LONG)


def test_prune(backed_up: Room) -> None:
    for _ in range(2):
        backed_up.call("create", "--to", "backups")

    def ids() -> list[str]:
        return [one["id"][:8] for one in json.loads(backed_up.call("list", "--to", "backups", "-o", "json"))["backups"]]

    before = ids()
    words = ["prune", "--to", "backups", "--keep", "last=1", "-o", "json"]
    assert json.loads(backed_up.call(*words, "--dry-run"))["removed"] == before[:2]
    assert ids() == before
    assert json.loads(backed_up.call(*words))["removed"] == before[:2]
    assert ids() == before[2:]
    assert "keep no backup" in backed_up.call("prune", "--to", "backups", "--keep", "last=0", status=2)
    assert "not understood" in backed_up.call("prune", "--to", "backups", "--keep", "days=1", status=2)


def a_truncated_file(original: Room, folder: Path) -> None:
    shutil.copytree(original.folder, folder, dirs_exist_ok=True)
    backed_up = Room(folder)
    for pack in (folder / "backups/data").glob("*/*"):
        os.truncate(pack, pack.stat().st_size // 2)
    shutil.rmtree(backed_up.state.cache)
    words = ["--from", "backups", "--password-file", str(backed_up.password), "--lab-file", str(folder / "new.yaml")]
    said = backed_up.call("restore", "latest", *words, state=folder / "there", status=7)
    assert "damaged" in said
    assert not list((folder / "there").glob("labs/*"))
    assert not (folder / "new.yaml").exists()


@pytest.fixture(scope="module", autouse=True)
def truncated(original: Room, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[object]]:
    """Begun first: restic reads what is cut short ten times, a minute and a half of waiting."""
    with at_once({"truncated": partial(a_truncated_file, original, tmp_path_factory.mktemp("truncated"))}) as begun:
        yield begun["truncated"]


def test_a_truncated_file(truncated: Future[object]) -> None:
    """The last one here, so that the others run meanwhile."""
    truncated.result()
