"""The boot menu in iPXE itself, on its serial console, with the real application: keys are pressed, and no Linux boots.

The machine has no disk. QEMU gives it the lab's address and hands what it sends to the server's port 80 to the
application, which gets the machine's address in X-Real-IP, as from nginx.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from nodisk import run
from nodisk.pki.authority import Authority
from nodisk.plan.facts import AssetRef, Facts, ImageFacts, ReleaseFacts
from nodisk.records import menu_password, nonces
from nodisk.records.database import Database
from nodisk.server.app import application
from nodisk.server.handlers.common import AppState
from nodisk.server.texts import Texts
from nodisk.spec.load import parse
from nodisk.values import KubeVersion, Mac
from nodisk.waiting import Deadline

pytestmark = pytest.mark.vm

MAC, ADDRESS = "52:54:00:77:00:15", "10.77.0.21"
LAB = f"""\
name: room
network: {{subnet: 10.77.0.0/24, server: 10.77.0.1}}
menu:
  timeout: 20
  entries:
    - {{name: rescue, title: "Rescue, of the room", url: "http://10.77.0.1/rescue.ipxe", password: true}}
machines:
  - {{name: cp1, mac: "52:54:00:77:00:0b", address: 10.77.0.11, role: control-plane}}
  - {{name: w1, mac: "{MAC}", address: {ADDRESS}}}
"""
PASSWORD = "horse & +b=a%ttery"
WITHIN = 240.0
"""Seconds for one text to come; without KVM on a busy host."""


@dataclass
class FromMachine:
    """The application behind nginx: everything comes from the machine. Other files than scripts are not there."""

    app: ASGIApp
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            query = scope["query_string"].decode()
            self.asked.append(f"{scope['method']} {scope['path']}" + (f"?{query}" if query else ""))
            scope = {**scope, "headers": [*scope["headers"], (b"x-real-ip", ADDRESS.encode())]}
        await self.app(scope, receive, send)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[int, FromMachine]]:
    """The application on a port of loopback; the lab is armed."""
    asset = AssetRef("vmlinuz", "a" * 64, 100 << 20)
    image = ImageFacts(asset, asset, asset, "6.12", 300 << 20, "1.7.24")
    facts = Facts("CA\n", image, ReleaseFacts(KubeVersion(1, 36, 1), "upstream", (), asset))
    menu_password.save(folder / "password.json", PASSWORD)
    texts = Texts(parse(LAB, file="lab.yaml"), facts, {}, {})
    with Database(folder / "nodisk.db") as database:
        database.arm(nonces.FOREVER)
    ready = threading.Event()

    def serve() -> None:
        # SQLite's connection belongs to the thread that uses it.
        with Database(folder / "nodisk.db") as database:
            app_state = AppState(texts, cast("Authority", None), database, menu_password=folder / "password.json")
            made.app = application(app_state)
            ready.set()
            http.run(sockets=[listening])

    made = FromMachine(cast("Any", None))
    http = uvicorn.Server(uvicorn.Config(made, log_level="warning", lifespan="off"))
    listening = uvicorn.Config(made, host="127.0.0.1", port=0, log_level="warning").bind_socket()
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(60)
        yield listening.getsockname()[1], made
    finally:
        http.should_exit = True
        thread.join(60)


@dataclass
class Console:
    """The machine's serial console, as somebody sees it and types on it."""

    terminal: int
    raw: str = ""
    place: int = 0
    """How far it was read, of what ``said`` gives."""

    @property
    def said(self) -> str:
        """Everything, without blanks, ends of lines and a terminal's commands: a menu is placed and coloured."""
        return "".join(re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>c])", "", self.raw).split())

    def read(self, wanted: str) -> None:
        """Wait until this appears, after what was waited for before."""
        deadline, text = Deadline(WITHIN), "".join(wanted.split())
        while (found := self.said.find(text, self.place)) < 0:
            ready, _, _ = select.select([self.terminal], [], [], deadline.left)
            assert ready, f"no {wanted!r} on the console:\n{self.said}\n{self.raw!r}"
            self.raw += os.read(self.terminal, 65536).decode(errors="replace")
        self.place = found + len(text)

    def press(self, keys: str) -> None:
        """One key after another, as fast as a person: the emulated port has a small buffer.

        An arrow is one key of three characters, which must come together.
        """
        for key in re.findall(r"\x1b\[.|.", keys, re.DOTALL):
            os.write(self.terminal, key.encode())
            time.sleep(0.05)


DOWN = "\x1b[B"
"""The arrow, as a terminal sends it."""


@contextlib.contextmanager
def machine(port: int, log: Path) -> Iterator[Console]:
    """A BIOS machine without a disk, whose screen is its serial port."""
    ours, theirs = pty.openpty()
    net = (
        f"user,id=n,net=10.77.0.0/24,host=10.77.0.2,dns=10.77.0.3,dhcpstart={ADDRESS},"
        "bootfile=http://10.77.0.1/boot.ipxe,"
        f"guestfwd=tcp:10.77.0.1:80-cmd:socat STDIO TCP:127.0.0.1:{port}"
    )
    words = ["qemu-system-x86_64", "-machine", "pc,accel=tcg,graphics=off", "-cpu", "qemu64", "-m", "256"]
    words += ["-display", "none", "-serial", os.ttyname(theirs), "-monitor", "none", "-boot", "n"]
    words += ["-netdev", net, "-device", f"e1000,netdev=n,mac={MAC}"]
    process = run.start(words, log_file=log)
    try:
        yield Console(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def test_the_menu_on_a_machine_without_a_disk(tmp_path: Path) -> None:
    here = f"/boot/{Mac.parse(MAC).hyphened}.ipxe"
    with server(tmp_path) as (port, asked), machine(port, tmp_path / "qemu.log") as console:
        console.read("nodisk: w1 (worker of room), 10.77.0.21")
        console.read("Power off")
        assert [one.split("?")[0] for one in asked.asked] == ["GET /boot.ipxe", f"GET {here}"]
        assert "&boot=new&" in asked.asked[1]

        console.press(f"{DOWN}\r")  # the disk, of which there is none
        console.read("nodisk: this machine has no disk that boots")
        assert asked.asked[-1] == f"GET {here}?entry=disk"
        console.press(" ")
        console.read("Power off")

        console.press(f"{DOWN}{DOWN}\r")  # the rescue system, with a wrong password
        console.read("assword")
        console.press("\rwrong word\r")
        console.read("nodisk: refused: a wrong password")
        console.press(" ")
        console.read("Power off")
        console.press(f"{DOWN}{DOWN}\r")  # and with the right one; its URL leads nowhere
        console.read("assword")
        console.press(f"\r{PASSWORD}\r")
        console.read("nodisk: Rescue, of the room")
        console.read("nodisk: rescue has ended, or did not start")
        assert "GET /rescue.ipxe" in asked.asked
        console.press(" ")

        # Nobody presses a key: the default, with a nonce of its own.
        console.read("Power off")
        console.read(f"nodisk: w1 (worker of room), {ADDRESS}")
        console.read("kernel or initramfs did not come whole")
        assert f"GET {here}?entry=lab" in asked.asked
        assert any(one.startswith(f"GET /assets/{'a' * 64}/") for one in asked.asked)
        assert "notarmed" not in console.said
