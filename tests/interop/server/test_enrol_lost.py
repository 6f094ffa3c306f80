"""The node's own script ``enrol`` against the real server, over a wire that loses answers."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.interop.server.rooms import Room
from tests.support.records import sql
from tests.support.waits import LONG, until

from nodisk import node, run
from nodisk.plan import ignition
from nodisk.records.events import Kind

pytestmark = pytest.mark.interop

WIRE = """\
import contextlib, socket, sys, threading

lose = int(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 6444))


def forward(client, server):
    with contextlib.suppress(OSError):
        while data := client.recv(65536):
            server.sendall(data)


while True:
    print("listening", flush=True)
    client, _ = listener.accept()
    with client, contextlib.suppress(OSError), socket.create_connection(("10.99.0.1", 6444)) as server:
        threading.Thread(target=forward, args=(client, server), daemon=True).start()
        passed = 0
        while data := server.recv(65536):
            passed += len(data)
            if lose and passed > 6000:  # a handshake is smaller, an answer larger
                lose -= 1
                print("lost", flush=True)
                break
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)
"""
"""A wire inside the machine's namespace, so that the server sees the machine's address. It loses the first answers."""


@dataclass(frozen=True)
class Boot:
    """A machine's script in a folder of its own instead of the machine's root."""

    room: Room
    folder: Path
    name: str = "w1"

    @property
    def namespace(self) -> str:
        return f"{self.room.name}-{self.name}"

    def prepare(self, nonce: str) -> Path:
        """The script with its paths moved below the folder; what it tells people and systemd goes to ``said``."""
        machine = self.room.machine(self.name)
        for folder in ("nodisk", "kubernetes", "lib", "bin"):
            (self.folder / folder).mkdir()
        for program in ("lib/say", "lib/event", "bin/systemctl", "bin/sleep"):
            (self.folder / program).write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>{self.folder}/said\n')
            (self.folder / program).chmod(0o755)
        (self.folder / "nodisk/node.env").write_text(
            f"LAB=test\nNAME={self.name}\nMAC={machine.mac.hyphened}\nSERVER=127.0.0.1\nAPI=https://10.99.0.1:6443\n"
        )
        (self.folder / "nodisk/profiles").write_text(ignition.requests(self.room.lab, machine))
        (self.folder / "nodisk/ca.crt").write_bytes((self.room.state.pki / "server-ca.crt").read_bytes())
        (self.folder / "cmdline").write_text(f"console=tty0 nodisk.nonce={nonce} quiet\n")
        text = (node.IMAGE / "usr/lib/nodisk/enrol").read_text()
        for path, moved in {
            "/run/nodisk/enrol": "work",
            "/etc/nodisk": "nodisk",
            "/etc/kubernetes": "kubernetes",
            "/usr/lib/nodisk": "lib",
            "/etc/ssh": "ssh",
            "/proc/cmdline": "cmdline",
        }.items():
            assert path in text
            text = text.replace(path, str(self.folder / moved))
        script = self.folder / "enrol"
        script.write_text(text)
        return script

    def said(self) -> str:
        return (self.folder / "said").read_text()

    def nonce(self) -> str:
        mac = self.room.machine(self.name).mac
        script = self.room.curl(self.namespace, f"http://10.99.0.1/boot/{mac.hyphened}.ipxe")
        match = re.search(r"nodisk\.nonce=(\S+)", script)
        assert match
        return match.group(1)

    def enrol(self, script: Path, *, lose: int) -> int:
        """Run it over a wire that loses so many answers; its exit status."""
        log = self.folder / "wire.log"
        wire = run.start([sys.executable, "-c", WIRE, str(lose)], log_file=log, netns=self.namespace)
        try:
            until(lambda: "listening" in log.read_text(), every=0.02, why=log.read_text, process=wire)
            words: list[str | Path] = ["env", f"PATH={self.folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "dash", script]
            done = run.run(words, netns=self.namespace, check=False, timeout=LONG)
        finally:
            wire.kill()
            wire.wait()
        assert log.read_text().count("lost") == lose
        return done.returncode


def alarms(room: Room) -> int:
    with room.database() as database:
        return len(database.events(kinds=(Kind.ALARM,)))


def test_lost_answers_cost_no_reboot(room: Room, tmp_path: Path) -> None:
    room.nodisk("arm", "--for", "10m")
    boot, before = Boot(room, tmp_path), alarms(room)
    assert boot.enrol(boot.prepare(boot.nonce()), lose=3) == 0, boot.said()
    assert "reboot" not in boot.said()
    assert alarms(room) == before
    names = {path.name for path in (tmp_path / "kubernetes/pki").iterdir()}
    assert {"ca.crt", "kubelet-client.crt", "kubelet-client.key", "kubelet-server.crt", "kube-proxy.crt"} <= names
    pki = tmp_path / "kubernetes/pki"
    key = run.run(["openssl", "pkey", "-in", pki / "kubelet-client.key", "-pubout"]).stdout
    assert run.run(["openssl", "x509", "-in", pki / "kubelet-client.crt", "-pubkey", "-noout"]).stdout == key
    assert not (tmp_path / "work").exists()


def test_a_nonce_that_can_not_count_any_more_starts_the_machine_over(room: Room, tmp_path: Path) -> None:
    room.nodisk("arm", "--for", "10m")
    boot = Boot(room, tmp_path)
    script = boot.prepare(boot.nonce())
    age = tmp_path / "age.py"
    age.write_text(
        "import sqlite3, sys\n"
        "with sqlite3.connect(sys.argv[1]) as database:\n"
        "    database.execute('UPDATE nonce SET minted = minted - 901')\n"
    )
    sleep = tmp_path / "bin/sleep"  # while it waits for its second try, the nonce becomes too old
    sleep.write_text(f"{sleep.read_text()}exec {sys.executable} {age} {room.state.database}\n")
    assert boot.enrol(script, lose=1) == 3
    said = boot.said().splitlines()
    assert "say enrolment: this nonce is older than 15 minutes: boot again; starting over" in said
    assert said[-1] == "systemctl --no-block reboot"


def test_a_wire_that_was_too_slow_starts_the_machine_over(room: Room, tmp_path: Path) -> None:
    """The rootfs took longer than the nonce lasts: already the first try is too late."""
    room.nodisk("arm", "--for", "10m")
    boot = Boot(room, tmp_path)
    script = boot.prepare(boot.nonce())
    sql(room.state.database, "UPDATE nonce SET minted = minted - 901")
    assert boot.enrol(script, lose=0) == 3
    said = boot.said().splitlines()
    assert (
        "event failed enrolled: this nonce is older than 15 minutes: boot again; it starts over for a new nonce" in said
    )
    assert said[-1] == "systemctl --no-block reboot"


def test_a_step_that_fails_is_run_again_with_the_same_request(room: Room, tmp_path: Path) -> None:
    """As systemd does it (Restart=): where there was no room for the answer, the nonce is not lost."""
    room.nodisk("arm", "--for", "10m")
    boot, before = Boot(room, tmp_path), alarms(room)
    script = boot.prepare(boot.nonce())
    tar = tmp_path / "bin/tar"
    tar.write_text("#!/bin/sh\necho 'tar: No space left on device' >&2\nexit 2\n")
    tar.chmod(0o755)
    assert boot.enrol(script, lose=0) == 2
    tar.unlink()
    assert boot.enrol(script, lose=0) == 0, boot.said()
    assert alarms(room) == before
    pki = tmp_path / "kubernetes/pki"
    key = run.run(["openssl", "pkey", "-in", pki / "kubelet-client.key", "-pubout"]).stdout
    assert run.run(["openssl", "x509", "-in", pki / "kubelet-client.crt", "-pubkey", "-noout"]).stdout == key


def test_a_first_refusal_is_final(room: Room, tmp_path: Path) -> None:
    room.nodisk("arm", "--for", "10m")
    boot = Boot(room, tmp_path)
    script = boot.prepare("0" * 32)
    assert boot.enrol(script, lose=0) == 3
    assert "say FAILED at enrolled: this nonce was never given out" in boot.said()
    assert "systemctl" not in boot.said()
