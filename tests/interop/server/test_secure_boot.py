"""A room with Secure Boot on, asked as firmware, shim and GRUB ask: real dnsmasq, nginx and application.

That these programs run, and refuse what they must, is seen in tests/vm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.server.rooms import LAB, STRANGER, Room, running_room
from tests.interop.server.test_dhcp import SERVER, W1, ask, recorded
from tests.support.waits import LONG

from nodisk import run
from nodisk.plan import grub
from nodisk.records.events import Kind
from nodisk.values import Mac, Stage

pytestmark = pytest.mark.interop

CP1 = "52:54:00:99:00:11"


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """``secure_boot: true``, but for cp1."""
    lab = LAB.replace("role: control-plane", "role: control-plane, secure_boot: false")
    with running_room(lab=lab + "secure_boot: true\n", armed=True) as made:
        yield made


@pytest.mark.parametrize(
    ("namespace", "mac", "program"),
    [("w1", W1, "shimx64.efi"), ("stranger", STRANGER[0], "shimx64.efi"), ("cp1", CP1, "snponly.efi")],
)
def test_who_gets_shim(room: Room, namespace: str, mac: str, program: str) -> None:
    for arch in (7, 9):
        answer = ask(room, namespace, mac, vendor=f"PXEClient:Arch:{arch:05}:UNDI:003016", arch=arch)
        assert (answer["file"], answer["next"], answer["vendor"]) == (program, SERVER, None)
    http = ask(room, namespace, mac, vendor="HTTPClient:Arch:00016:UNDI:003001", arch=16)
    assert (http["file"], http["vendor"]) == (f"http://{SERVER}/ipxe/{program}", "HTTPClient")
    assert ask(room, namespace, mac, vendor="PXEClient:Arch:00000:UNDI:002001", arch=0)["file"] == "undionly.kpxe"


def test_shim_and_grub_find_what_they_look_for(room: Room, tmp_path: Path) -> None:
    """By TFTP, and by HTTP where the firmware loaded shim by HTTP."""
    for name in ("shimx64.efi", "grubx64.efi", grub.ENTRY):
        target = tmp_path / "got"
        words = ["busybox", "tftp", "-g", "-r", name, "-l", str(target), SERVER]
        run.run(words, netns=f"{room.name}-w1", timeout=LONG)
        where = f"http://{SERVER}/{name}" if name == grub.ENTRY else f"http://{SERVER}/ipxe/{name}"
        assert target.read_text() == room.curl(f"{room.name}-w1", where)
    assert target.read_text() == grub.entry_script(room.lab)


def test_the_machine_gets_its_nonce_and_others_do_not(room: Room) -> None:
    url = f"http://{SERVER}/grub/{W1}.cfg"
    armed = room.curl(f"{room.name}-w1", url)
    assert re.search(r"'nodisk\.nonce=[\w-]{20,}'", armed)
    found = recorded(
        room,
        lambda database: [one for one in database.events(mac=Mac.parse(W1)) if one.stage is Stage.IPXE],
    )
    assert found == ["by GRUB"]
    assert "nodisk.nonce" not in room.curl(f"{room.name}-stranger", url)
    assert "it got no nonce" in recorded(room, lambda database: database.events(kinds=(Kind.ALARM,)))[-1]


def test_an_unknown_machine_gets_a_menu_and_is_recorded(room: Room) -> None:
    url = f"http://{SERVER}/grub/{STRANGER[0]}.cfg"
    assert room.curl(f"{room.name}-stranger", url) == grub.unknown_script(room.lab, Mac.parse(STRANGER[0]))
    room.curl(f"{room.name}-stranger", f"{url}?platform=efi&manufacturer=Dell+Inc.")
    said = recorded(room, lambda database: database.events(kinds=(Kind.UNKNOWN,), mac=Mac.parse(STRANGER[0])))
    assert said[-1].startswith("manufacturer Dell Inc., platform efi; to add it: nodisk machines adopt ")


@pytest.mark.parametrize(
    ("path", "status"), [("52-54-00-99-00-2.cfg", "400"), (".cfg", "400"), ("x86_64-efi/grub.cfg", "404")]
)
def test_what_is_no_machine(room: Room, path: str, status: str) -> None:
    words = ("-o", "/dev/null", "-w", "%{http_code}", f"http://{SERVER}/grub/{path}")
    assert room.curl(f"{room.name}-w1", *words) == status
