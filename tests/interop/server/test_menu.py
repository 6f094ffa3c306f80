"""The boot menu by the real server: nginx and the application, asked as iPXE and GRUB ask, at once and again."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.server.rooms import LAB, STRANGER, Room, running_room
from tests.interop.server.test_dhcp import SERVER, W1, recorded
from tests.support.waits import LONG

from nodisk import run
from nodisk.plan import grub_menu, menu
from nodisk.records.events import Kind
from nodisk.values import Mac, Stage

pytestmark = pytest.mark.interop

MENU = """\
menu:
  timeout: 10
  entries:
    - {{name: debian, url: "http://10.99.0.9/d.efi"}}
    - {{name: rescue, url: "http://10.99.0.9/secret.ipxe", password: true}}
"""
PASSWORD = "correct horse & +b=a%ttery"
SCRIPT = f"http://{SERVER}/boot/{W1}.ipxe"


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with running_room(lab=LAB + MENU, armed=True) as made:
        yield made


def set_password(room: Room) -> None:
    subprocess.run(room.words("menu", "password"), input=PASSWORD + "\n", text=True, check=True, timeout=60)


def ask(room: Room, *words: str, machine: str = "w1") -> tuple[str, str]:
    """Status and text."""
    text = room.curl(f"{room.name}-{machine}", "-w", "\n%{http_code}", *words)
    body, _, status = text.rpartition("\n")
    return status, body


def login(room: Room, entry: str, password: str, *, machine: str = "w1", script: str = SCRIPT) -> tuple[str, str]:
    return ask(room, "--user", f"nodisk:{password}", f"{script}?entry={entry}", machine=machine)


def test_the_menu_and_what_is_chosen_in_it(room: Room) -> None:
    lab, w1 = room.lab, room.machine("w1")
    assert ask(room, f"{SCRIPT}?boot=new") == ("200", menu.menu_script(lab, w1))
    assert "nodisk.nonce=" in ask(room, f"{SCRIPT}?entry=lab")[1]
    assert ask(room, f"{SCRIPT}?entry=debian") == ("200", menu.entry_script(lab, w1, "debian"))
    assert ask(room, f"{SCRIPT}?entry=rescue")[0] == "401"
    grub = f"http://{SERVER}/grub/{W1}.cfg"
    assert ask(room, f"{grub}?boot=new") == ("200", grub_menu.menu_script(lab, w1))
    assert "nodisk.nonce=" in ask(room, f"{grub}?entry=lab")[1]
    said = recorded(
        room, lambda database: [one for one in database.events(mac=Mac.parse(W1)) if one.stage is Stage.IPXE]
    )
    assert "debian, chosen in its menu" in said


def test_the_password(room: Room) -> None:
    assert login(room, "shell", PASSWORD, machine="cp1")[0] == "403", "none is set yet"
    set_password(room)
    assert login(room, "shell", PASSWORD, machine="cp1")[0] == "200", "the running server takes it"
    status, text = login(room, "rescue", PASSWORD)
    assert (status, "chain --autofree http://10.99.0.9/secret.ipxe ||" in text) == ("200", True)
    assert login(room, "rescue", PASSWORD[:-1])[0] == "403"
    tries = [login(room, "shell", "wrong word")[0] for _ in range(4)]
    assert tries[-1] == "429"
    assert login(room, "shell", PASSWORD)[0] == "429", "a right one has to wait as well"
    unknown = f"http://{SERVER}/boot/{STRANGER[0]}.ipxe"
    assert login(room, "shell", PASSWORD, machine="stranger", script=unknown) == ("200", menu.shell_script())
    # Not in a log, not in a record, not readable by others.
    recorded(room, lambda database: database.events(kinds=(Kind.DAEMON,)))
    for file in (path for path in room.folder.rglob("*") if path.is_file()):
        with contextlib.suppress(FileNotFoundError):  # the server runs: it makes files and removes them
            content = file.read_bytes()
            assert PASSWORD.encode() not in content, file
            assert base64.b64encode(f"nodisk:{PASSWORD}".encode()) not in content, file
    assert room.state.menu_password.stat().st_mode & 0o777 == 0o600


def test_once(room: Room) -> None:
    w1, lab = room.machine("w1"), room.lab
    said = room.nodisk("next-boot", "w1", "disk", "--once").stdout
    assert "disk, once" in said
    assert ask(room, f"{SCRIPT}?boot=new", machine="stranger")[1] != menu.entry_script(lab, w1, "disk")
    for query in ("?boot=new", "?boot=same", ""):
        assert ask(room, SCRIPT + query)[1] == menu.entry_script(lab, w1, "disk")
    assert "disk was started once" in room.nodisk("next-boot", "w1").stdout
    assert ask(room, f"{SCRIPT}?boot=new")[1] == menu.menu_script(lab, w1)
    assert "its default" in room.nodisk("next-boot", "w1").stdout
    told = recorded(room, lambda database: database.events(mac=Mac.parse(W1)))
    assert "next boot: disk, once" in told
    assert "disk, once, as next-boot says" in told


def test_two_boots_at_once(room: Room, tmp_path: Path) -> None:
    """Two with one MAC ask at the same time: one starts what was meant for one boot, the other shows the menu."""
    disk = menu.entry_script(room.lab, room.machine("w1"), "disk")
    for turn in range(3):
        room.nodisk("next-boot", "w1", "disk", "--once")
        urls = [f"{SCRIPT}?boot=new"] * 8
        files = [tmp_path / f"{turn}-{number}" for number in range(len(urls))]
        curl = ("curl", "-sS", "--max-time", f"{LONG:g}", "-o")
        words = [(*curl, str(file), url) for file, url in zip(files, urls, strict=True)]
        with concurrent.futures.ThreadPoolExecutor(len(urls)) as pool:
            list(pool.map(lambda one: run.run(list(one), netns=f"{room.name}-w1"), words))
        assert [file.read_text() for file in files].count(disk) == 1


def test_until_cleared_and_what_cannot_be_chosen(room: Room) -> None:
    disk = menu.entry_script(room.lab, room.machine("w1"), "disk")
    room.nodisk("next-boot", "w1", "disk")
    assert [ask(room, f"{SCRIPT}?boot=new")[1] for _ in range(2)] == [disk] * 2
    room.nodisk("next-boot", "w1", "--clear")
    assert ask(room, f"{SCRIPT}?boot=new")[1] != disk
    for entry in ("shell", "rescue", "reboot", "nothing"):
        assert room.nodisk("next-boot", "w1", entry, check=False).returncode == 2
