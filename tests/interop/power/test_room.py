"""``nodisk room`` and ``nodisk power`` as commands, with a real server and machines that are a network card each.

What machines report is written into the records by the test, as the server does it; real ones are in tests/vm.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest
from tests.interop.power.standins import IPMI_PASSWORD, USER, Manner, bmc
from tests.interop.server.rooms import Room, make_room
from tests.support import commands
from tests.support.waits import LONG, until

from nodisk import run
from nodisk.records.events import Kind
from nodisk.values import Mac, Stage


@pytest.fixture
def room() -> Iterator[Room]:
    made = make_room("full")
    try:
        yield made
    finally:
        made.close()


def started(room: Room, *words: str) -> subprocess.Popen[str]:
    """A command that is under way: it has armed the lab."""
    argv = ["ip", "netns", "exec", room.name, *room.words(*words)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(room.armed, why="it does not arm the lab", process=process)
    return process


def test_without_a_server_nothing_is_armed(room: Room) -> None:
    done = room.nodisk("room", "on", check=False)
    assert done.returncode == 4
    assert "is not running" in done.stderr
    assert not room.armed()
    forever = room.nodisk("room", "on", "--for", "always", check=False)
    assert forever.returncode == 2


def test_nobody_comes_or_somebody_presses_ctrl_c(room: Room) -> None:
    room.start()
    done = room.nodisk("room", "on", "--for", "6s", "--stagger", "0", check=False)
    assert done.returncode == 6, done.stderr
    assert "2 of 2 machines are missing:" in done.stderr
    assert "  cp1: never seen: took the request, but it does not answer ping" in done.stderr
    assert not room.armed()

    process = started(room, "room", "on", "--stagger", "0")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=3 * LONG)
    assert process.returncode == 130
    assert "interrupted: the lab is disarmed; 0 of 2 machines are Ready" in said
    assert not room.armed()


def test_one_comes_and_one_does_not(room: Room) -> None:
    """The one that answers is seen; the lab is disarmed when all that can come are there."""
    room.start()
    cp1 = room.machine("cp1")
    room.plug("cp1", str(cp1.mac), str(cp1.address))
    process = started(room, "room", "on", "--for", "20s", "--stagger", "0", "--output", "json", "--no-proof")
    with room.database() as database:
        for stage in (Stage.DHCP, Stage.IPXE, Stage.READY):
            database.record(Kind.STAGE, "", source="a test", mac=cp1.mac, machine="cp1", stage=stage)
        database.record(Kind.STAGE, "", source="a test", mac=room.machine("w1").mac, machine="w1", stage=Stage.DHCP)
    said, complained = process.communicate(timeout=3 * LONG)
    assert process.returncode == 6, complained
    found = json.loads(said)
    assert found["ready"] == ["cp1"]
    assert found["missing"] == {"w1": "has come as far as dhcp"}
    assert found["armed"] is False
    assert not room.armed()


def test_power_of_three_kinds_of_machines(room: Room) -> None:
    """A BMC on the server's own loopback, a PC that answers ping, one that doesn't."""
    run.run(["ip", "-n", room.name, "link", "set", "lo", "up"])
    cp1 = room.machine("cp1")
    room.plug("cp1", str(cp1.mac), str(cp1.address))
    with bmc(room.folder / "bmc", Manner.HONEST, netns=room.name) as there:
        settings = f"power: {{kind: ipmi, address: 127.0.0.1, port: {there.port}, user: {USER}}}"
        text = room.lab_file.read_text()
        w2 = f"  - {{name: w2, mac: 52:54:00:99:00:22, address: 10.99.0.22, memory: 1GiB, {settings}}}\n"
        room.lab_file.write_text(text + w2)
        status = room.nodisk("power", "status", "w2", check=False)
        assert status.returncode == 1
        assert f"no password is kept for {USER} (nodisk power login w2)" in status.stdout

        words = room.words("power", "login", "w2")[3:]
        login = commands.call(words, netns=room.name, answer=f"{IPMI_PASSWORD}\n", check=True)
        assert IPMI_PASSWORD not in login.stdout + login.stderr
        on = json.loads(room.nodisk("power", "on", "w2", "--output", "json").stdout)["machines"]
        assert [(one["outcome"], one["state"], one["already"]) for one in on] == [("confirmed", "on", False)]

        done = room.nodisk("power", "status", "--all", "--output", "json", check=False)
        found = {one["name"]: one for one in json.loads(done.stdout)["machines"]}
        assert done.returncode == 1
        assert {name: (one["outcome"], one["state"]) for name, one in found.items()} == {
            "cp1": ("confirmed", "on"),
            "w1": ("unknown", "unknown"),
            "w2": ("confirmed", "on"),
        }
        assert found["w1"]["detail"] == "it does not answer ping: off, or off the network"

        w2_mac = Mac.parse("52:54:00:99:00:22")
        with room.database() as database:
            database.elsewhere.went(w2_mac, "disk")
        off = room.nodisk("room", "off", "--no-drain", check=False)
        assert "w2: left alone: it was given disk of its menu at " in off.stderr
        assert "w1: unknown" in off.stderr
        seen = json.loads(room.nodisk("power", "status", "w2", "--output", "json").stdout)["machines"]
        assert [(one["name"], one["state"]) for one in seen] == [("w2", "on")]

        with room.database() as database:
            database.elsewhere.came_back(w2_mac)
        off = room.nodisk("room", "off", "--no-drain", check=False)
        assert off.returncode == 1
        assert "w2: confirmed: the BMC says off" in off.stderr
        assert "cp1: unknown: can't be told to shut down over ssh" in off.stderr


def test_words_that_make_no_sense(room: Room) -> None:
    assert room.nodisk("power", "on", check=False).returncode == 2
    assert room.nodisk("power", "on", "w1", "--all", check=False).returncode == 2
    assert "the lab test has no machine 'w9'" in room.nodisk("power", "off", "w9", check=False).stderr
    assert "no `power:` with a `user`" in room.nodisk("power", "login", "w1", check=False).stderr
    dry = room.nodisk("power", "cycle", "--role", "worker", "--dry-run").stdout
    assert dry == "would switch off and on w1 by wake-on-lan\n"
