"""A whole room switched on at once: no machine is lost, and the server's own work for it is small."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.server.rooms import Room, make_room
from tests.support.machine_csr import csr

from nodisk import run
from nodisk.machines import processes
from nodisk.pki import profiles
from nodisk.records.events import Kind
from nodisk.values import Stage

pytestmark = pytest.mark.interop

MACHINES = 240
ROOT = Path(__file__).parents[3]


def lab_text() -> str:
    """A full /24: one control plane and workers up to the last address."""
    lines = [
        "name: test",
        "network: {{subnet: 10.99.0.0/24, server: 10.99.0.1, dhcp: {dhcp}}}",
        "kubernetes: {{source: debian, version: 1.20.2}}",
        "machines:",
    ]
    for number in range(MACHINES):
        name, role = (f"w{number}", "worker") if number else ("cp1", "control-plane")
        mac, address = f"52:54:00:99:01:{number:02x}", f"10.99.0.{number + 11}"
        lines.append(f"  - {{{{name: {name}, mac: {mac}, address: {address}, role: {role}, memory: 2GiB}}}}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def full_room() -> Iterator[Room]:
    made = make_room("full", lab=lab_text())
    try:
        yield made
    finally:
        made.close()


def processor_seconds(room: Room) -> dict[str, float]:
    """What each of the server's programs has used so far."""
    used: dict[str, float] = defaultdict(float)
    for pid, words in room.daemons().items():
        used[Path(words.partition(" ")[0]).name] += processes.processor_seconds(pid)
    return used


def test_a_full_room_at_once(full_room: Room) -> None:
    room, lab = full_room, full_room.lab
    namespace = room.plug("machines", "52:54:00:99:00:77", None)
    for machine in lab.machines:
        run.run(["ip", "-n", namespace, "address", "add", f"{machine.address}/24", "dev", "eth0"])
    since = time.monotonic()
    room.start()
    started = time.monotonic() - since
    room.nodisk("arm", "--for", "10m")
    asked = [
        {
            "mac": str(machine.mac),
            "address": str(machine.address),
            "csrs": {profile.name: csr(lab, machine, profile) for profile in profiles.allowed(machine.role)},
        }
        for machine in lab.machines
    ]
    how = {"server": "10.99.0.1", "ca": str(room.state.pki / "server-ca.crt"), "machines": asked}
    before = processor_seconds(room)
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, sys.executable, "-m", "tests.interop.server.storm_machines"],
        input=json.dumps(how), capture_output=True, text=True, cwd=ROOT, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    used = {name: seconds - before.get(name, 0) for name, seconds in processor_seconds(room).items()}
    figures = json.loads(done.stdout)
    since = time.monotonic()
    shown = json.loads(room.nodisk("status", "--output", "json").stdout)["machines"]
    status = time.monotonic() - since
    print(
        f"\n{MACHINES} machines: the server is ready after {started:.1f} s, all have addresses after"
        f" {figures['dhcp']:.1f} s and certificates after {figures['boot']:.1f} s more; nodisk status {status:.2f} s;"
        " processor seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in used.items() if seconds >= 0.1)
    )
    assert figures["wrong"] == []
    with room.database() as database:
        # Of each machine and stage one: a client that waits for a busy server asks by DHCP again.
        told = Counter(stage for stage, _ in {(one.stage, one.mac) for one in database.events(kinds=(Kind.STAGE,))})
        alarms = database.events(kinds=(Kind.ALARM,))
    assert alarms == []
    stages = (Stage.DHCP, Stage.IPXE, Stage.KERNEL, Stage.ROOTFS, Stage.CONFIG, Stage.OS, Stage.ENROLLED)
    assert told == dict.fromkeys(stages, MACHINES)
    assert Counter(machine["stage"] for machine in shown) == {"enrolled": MACHINES}
    assert figures["dhcp"] < 15, "within the patience of firmware"
    assert sum(used.values()) < 0.1 * MACHINES
