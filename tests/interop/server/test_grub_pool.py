"""GRUB itself, as a program with a network of its own, takes its address: what a machine with Secure Boot does."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.interop.server.rooms import LAB, Room, make_room
from tests.support.waits import until

from nodisk import run
from nodisk.plan import grub
from nodisk.records.events import Kind
from nodisk.values import Mac, Stage

pytestmark = pytest.mark.interop

W1, MAC = "52:54:00:99:00:21", "00:01:02:03:04:05"
"""grub-emu's card has a MAC of its own, whatever anybody says."""
POOL = "10.99.0.150"


@pytest.fixture
def room() -> Iterator[Room]:
    """w1 is a bridge, to which GRUB's card is plugged once GRUB has made it."""
    made = make_room("none", lab=LAB.replace(W1, MAC) + "secure_boot: true\n")
    try:
        namespace = made.plug("w1", W1, None)
        run.run(["ip", "-n", namespace, "link", "add", "lan", "type", "bridge", "forward_delay", "0"])
        run.run(["ip", "-n", namespace, "link", "set", "lan", "up"])
        run.run(["ip", "-n", namespace, "link", "set", "eth0", "master", "lan"])
        made.start()
        made.nodisk("arm")
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def running_grub(namespace: str, script: str, folder: Path) -> Iterator[tuple[bytearray, Callable[[], None]]]:
    """GRUB in a namespace; yields what it prints, as it comes, and what presses its enter key."""
    (folder / "grub.cfg").write_text(script)
    pid, terminal = pty.fork()
    if pid == 0:
        words = ["ip", "netns", "exec", namespace, "grub-emu", "--directory", str(folder), "--root=host"]
        try:
            os.execvpe(words[0], words, {**os.environ, "TERM": "vt100"})  # noqa: S606 - there is no shell to start it with
        finally:
            os._exit(127)  # or a second pytest would go on from here
    said = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
            while part := os.read(terminal, 65536):
                said.extend(part)

    def press_enter() -> None:
        os.write(terminal, b"\r")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield said, press_enter
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        reader.join()
        os.close(terminal)


def test_grub_asks_from_lab_yamls_address(room: Room, tmp_path: Path) -> None:
    namespace = f"{room.name}-w1"
    # What the firmware's PXE client would have left: an address of the pool, under the name of the card; and a cable.
    pxe = f"echo cable?\nread cable\nnet_add_addr emu0 emu0 {POOL}\nset net_default_interface=emu0\n"
    with running_grub(namespace, pxe + grub.entry_script(room.lab), tmp_path) as (said, press_enter):

        def wait(done: Callable[[], bool], what: str) -> None:
            until(done, why=lambda: f"{what}\n{said.decode(errors='replace')}")

        def plugged() -> bool:
            words = ["ip", "-n", namespace, "link", "set", "tap0", "master", "lan", "up"]
            return run.run(words, check=False).returncode == 0

        def asked() -> bool:
            with room.database() as database:
                return any(one.stage is Stage.IPXE for one in database.events(mac=Mac.parse(MAC)))

        wait(plugged, "GRUB makes no card")
        wait(lambda: b"cable?" in said, "GRUB runs no script")
        press_enter()
        wait(asked, "GRUB does not ask from its address")
        wait(lambda: b"w1 takes its address 10.99.0.21" in said, "GRUB does not say so")
    with room.database() as database:
        events = database.events(mac=Mac.parse(MAC), kinds=(Kind.STAGE, Kind.ALARM))
    assert [event.detail for event in events] == [f"by GRUB; the room's DHCP server gave it {POOL}"]
