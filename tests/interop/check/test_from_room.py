"""``nodisk init --from-room`` while real DHCP clients ask, beside the DHCP servers that a room may have."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.interop.check.cables import Cable
from tests.interop.server import room_servers
from tests.support import commands
from tests.support.waits import until

from nodisk import run
from nodisk.check import dhcp
from nodisk.spec.load import load
from nodisk.spec.model import DhcpMode, Lab
from nodisk.values import Mac, Role

pytestmark = pytest.mark.interop

SERVER = "10.98.0.1"
WITHIN = 120.0


@dataclass
class Listening:
    """A command that listens."""

    process: subprocess.Popen[str]
    file: Path
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)

    def wait_for(self, text: str) -> str:
        """The line with that text, once it is there."""

        def look() -> list[str]:
            more = self.reader.is_alive()
            found = [line for line in self.lines if text in line]
            assert found or more, "".join(self.lines)
            return found

        return until(look, seconds=WITHIN, why=lambda: "".join(self.lines))[0]

    def end(self) -> str:
        """What it printed, once it has ended well."""
        assert self.process.stdout
        printed = self.process.stdout.read()
        status = self.process.wait(WITHIN)
        self.reader.join()
        assert status == 0, "".join(self.lines)
        return printed

    def lab(self) -> Lab:
        return load(self.file)


@contextlib.contextmanager
def listening(cable: Cable, *words: str, terminal: int = subprocess.DEVNULL) -> Iterator[Listening]:
    """``nodisk init --from-room`` in the server's namespace; without a terminal, unless one is given."""
    file = cable.folder / "room.yaml"
    argv = [str(run.find("ip")), "netns", "exec", cable.server, sys.executable, "-m", "nodisk", "init", str(file)]
    argv += ["--from-room", "--name", "seen", "--for", "10m", *words]
    process = subprocess.Popen(argv, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    made = Listening(process, file)
    try:
        yield made
    finally:
        process.kill()
        process.wait()
        made.reader.join()
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stderr.close()


@contextlib.contextmanager
def client(cable: Cable, mac: str, *options: str) -> Iterator[Path]:
    """busybox' DHCP client on a card of its own, which asks again and again; yields its log."""
    name = f"pc{mac[-2:]}"
    cable.ip(cable.other, "link", "add", name, "link", "eth0", "address", mac, "type", "macvlan", "mode", "bridge")
    cable.ip(cable.other, "link", "set", name, "up")
    argv = ["busybox", "udhcpc", "-f", "-i", name, "-s", "/bin/true", "-t", "100", "-T", "1", *options]
    log = cable.folder / f"{name}.log"
    process = run.start(argv, log_file=log, netns=cable.other)
    try:
        yield log
    finally:
        process.kill()
        process.wait()


BIOS = ("-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000")
UEFI = ("-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "0x5d:0007")
SILENT = ("-V", "PXEClient")  # an old ROM: no option 93
SEND = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as wire:
    for packet in sys.argv[1:]:
        wire.sendto(bytes.fromhex(packet), ("eth0", 0x800, 0, 0, b"\\xff" * 6))
"""


def send(cable: Cable, packets: list[bytes]) -> None:
    run.run([sys.executable, "-c", SEND, *(packet.hex() for packet in packets)], netns=cable.other)


def test_a_room_with_a_dhcp_server_of_its_own(cable: Cable) -> None:
    """Kea gives addresses; three PCs are switched on, and a phone."""
    cable.ip(cable.other, "address", "add", "10.98.0.200/24", "dev", "eth0")
    config = cable.folder / "kea.json"
    subnet = {"id": 1, "subnet": "10.98.0.0/24", "pools": [{"pool": "10.98.0.100 - 10.98.0.150"}]}
    config.write_text(json.dumps({"Dhcp4": {**room_servers.kea_server("eth0"), "subnet4": [subnet]}}))
    words = [*room_servers.kea_words(cable.folder), "-c", str(config)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(room_servers.serving(cable.other, words, cable.folder))
        command = stack.enter_context(listening(cable, "--count", "3", "--control-plane", "2"))
        command.wait_for("listening on eth0")
        phone = stack.enter_context(client(cable, "02:00:00:98:00:99"))
        # Nobody beside it on its card answers; when it asks again, it has asked.
        until(lambda: phone.read_text().count("discover") >= 2, why=phone.read_text)
        for number, (mac, options) in enumerate(
            (("8c:ec:4b:98:00:31", BIOS), ("8c:ec:4b:98:00:12", UEFI), ("52:54:00:98:00:23", SILENT)), 1
        ):
            stack.enter_context(client(cable, mac, *options))
            assert mac in command.wait_for(f"{number}. ")
        command.end()
    lab = command.lab()
    assert [(str(one.name), str(one.mac)) for one in lab.machines] == [
        ("cp1", "8c:ec:4b:98:00:12"),
        ("w1", "8c:ec:4b:98:00:31"),
        ("w2", "52:54:00:98:00:23"),
    ]
    assert [one.role for one in lab.machines] == [Role.CONTROL_PLANE, Role.WORKER, Role.WORKER]
    assert (lab.network.dhcp, str(lab.network.server), lab.network.interface) == (DhcpMode.PROXY, SERVER, "eth0")
    text = command.file.read_text()
    assert "dhcp: proxy   # 10.98.0.200 gives addresses, and nobody says what to boot" in text
    assert "name: cp1   # 2. seen: NIC by" in text
    assert ", UEFI\n" in text
    assert "no architecture named" in text
    assert any("1 other devices asked" in line for line in command.lines)


def test_a_room_that_boots_from_somebody_else(cable: Cable) -> None:
    """A Windows deployment server's options 60 and 43: it tells machines what to boot."""
    wds = ["--dhcp-option-force=60,PXEClient", "--dhcp-option-force=43,06:01:0b:ff"]
    with (
        cable.dnsmasq("--dhcp-range=10.98.0.100,10.98.0.150", *wds),
        listening(cable, "--count", "1", "--dry-run", "-o", "json") as command,
    ):
        command.wait_for("listening on eth0")
        with client(cable, "52:54:00:98:00:31", *BIOS):
            found = json.loads(command.end())
    assert (found["dhcp"], found["dry_run"]) == ("none", True)
    assert "10.98.0.200 (options 43 and 60) tells machines what to boot" in found["why"]
    assert [one["mac"] for one in found["machines"]] == ["52:54:00:98:00:31"]
    assert not command.file.exists()


def test_thirty_at_once_where_nobody_gives_addresses(cable: Cable) -> None:
    """And the mistakes that a wire carries: they count for nothing."""
    macs = [Mac(0x8CEC4B980000 + number * 7 % 30) for number in range(30)]
    noise = [b"\x45" + bytes(40), dhcp.discover(macs[0], 1)[:60]]
    with listening(cable, "--count", "30") as command:
        command.wait_for("listening on eth0")

        def heard() -> bool:
            if command.process.poll() is None:
                send(cable, [*noise, *(dhcp.discover(mac, number) for number, mac in enumerate(macs))])
            return command.process.poll() is not None

        until(heard, seconds=WITHIN, every=0.5, why=lambda: "".join(command.lines))
        command.end()
    assert [one.mac for one in command.lab().machines] == macs
    assert command.lab().network.dhcp is DhcpMode.FULL


@pytest.mark.parametrize(("words", "written"), [((), False), (("--yes",), True)])
def test_ctrl_c_ends_the_listening(cable: Cable, words: tuple[str, ...], written: bool) -> None:
    with listening(cable, *words) as command:
        command.wait_for("listening on eth0")
        with client(cable, "52:54:00:98:00:31", *UEFI):
            command.wait_for("1. 52:54:00:98:00:31")
            command.process.send_signal(signal.SIGINT)
            command.end()
    assert command.file.exists() is written


@pytest.mark.parametrize(
    ("typed", "first"), [("y\n2\n", "8c:ec:4b:98:00:12"), ("\n\n", "52:54:00:98:00:31"), ("n\n", None)]
)
def test_at_a_terminal_ctrl_c_goes_on_to_the_question(cable: Cable, typed: str, first: str | None) -> None:
    keyboard, terminal = pty.openpty()
    try:
        with listening(cable, terminal=terminal) as command:
            command.wait_for("listening on eth0")
            with client(cable, "52:54:00:98:00:31", *UEFI):
                command.wait_for("1. 52:54:00:98:00:31")
                with client(cable, "8c:ec:4b:98:00:12", *BIOS):
                    command.wait_for("2. 8c:ec:4b:98:00:12")
                    command.process.send_signal(signal.SIGINT)
                    os.write(keyboard, typed.encode())
                    command.end()
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert "Write these 2 machines?" in "".join(command.lines)
    assert command.file.exists() is (first is not None)
    if first is not None:
        assert str(command.lab().machines[0].mac) == first


def test_nobody_comes(cable: Cable) -> None:
    words = ["--from-room", "--for", "1s", "--name", "seen"]
    done = commands.call(["init", cable.folder / "room.yaml", *words], netns=cable.server, timeout=WITHIN)
    assert (done.returncode, "no machine that boots from the network was seen" in done.stderr) == (1, True), done.stderr
    assert not (cable.folder / "room.yaml").exists()
