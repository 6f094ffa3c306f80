"""For ``console_load`` and ``boot_storm``: the room in its namespaces, parts as processes, what one takes, figures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.interop.server.rooms import Room, make_room  # noqa: E402

from nodisk import run  # noqa: E402 - found by the path above

BASE = "https://127.0.0.1:6445"
NETWORK = IPv4Network("10.99.0.0/20")
FIRST = IPv4Address("10.99.1.1")


def lab_of(machines: int) -> str:
    """lab.yaml for a room of so many machines, for ``make_room``."""
    rows = [
        f"  - {{{{name: m{number}, mac: '02:00:00:00:{number >> 8:02x}:{number & 255:02x}', address: {FIRST + number}, "
        f"{'role: control-plane, ' if number == 0 else ''}memory: 2GiB}}}}"
        for number in range(machines)
    ]
    head = f"name: test\nnetwork: {{{{subnet: {NETWORK}, server: 10.99.0.1, dhcp: {{dhcp}}}}}}\n"
    return (
        f"{head}kubernetes: {{{{source: debian, version: 1.20.2, pods: 10.128.0.0/14}}}}\nmachines:\n"
        + "\n".join(rows)
        + "\n"
    )


@dataclass
class Cost:
    """What a process took."""

    pid: int
    began: float = field(default_factory=time.monotonic)
    before: float = 0.0

    def __post_init__(self) -> None:
        self.before = self.seconds()

    def seconds(self) -> float:
        """Of processor time, until now."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def share(self) -> float:
        """Of one processor, since it was made."""
        return (self.seconds() - self.before) / (time.monotonic() - self.began)

    def mib(self) -> int:
        """Of RAM that it holds."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) // 1024 if found else 0


@dataclass
class Waits:
    """How long many things took, counted by the millisecond: an hour of them takes no more memory than a minute."""

    counts: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Waits:
        """Of all these."""
        return cls(Counter(round(1000 * one) for one in seconds))

    @classmethod
    def read(cls, told: dict[str, int]) -> Waits:
        """What another process printed of its ``counts`` as JSON."""
        return cls(Counter({int(wait): count for wait, count in told.items()}))

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[round(1000 * seconds)] += 1

    def percentile(self, place: int) -> float:
        """Seconds within which so many of a hundred were done."""
        wanted, seen = self.counts.total() * place / 100, 0
        for wait, count in sorted(self.counts.items()):
            seen += count
            if seen >= wanted:
                return wait / 1000
        return 0.0


def figures(what: str, waits: Waits) -> None:
    """A line of a distribution."""
    if not waits.counts:
        sys.exit(f"{what}: nothing was seen")
    shown = ", ".join(f"p{place} {waits.percentile(place):.3f} s" for place in (50, 95, 99))
    print(f"{what}: {waits.counts.total()}; {shown}, max {max(waits.counts) / 1000:.3f} s")


def room_of(machines: int) -> Room:
    """The server's room, with a namespace that has every machine's address."""
    room = make_room("full", lab=lab_of(machines))
    run.run(["ip", "-n", room.name, "address", "replace", f"10.99.0.1/{NETWORK.prefixlen}", "dev", "lan"])
    room.plug("all", "02:00:00:00:ff:ff", None)
    orders = "".join(f"address add {FIRST + number}/{NETWORK.prefixlen} dev eth0\n" for number in range(machines))
    run.run(["ip", "-n", f"{room.name}-all", "-batch", "-"], stdin=orders)
    return room


@contextmanager
def running(machines: int, program: Path | None = None) -> Iterator[Room]:
    """The same, with its server, until the block ends. ``program``: what runs it instead of ``python -m nodisk``."""
    room = room_of(machines)
    try:
        if program is None:
            room.start()
        else:
            words = [sys.executable, program, *room.words("serve")[3:]]
            room.server = run.start(words, log_file=room.folder / "serve.log", netns=room.name)
            room.wait_ready()
        yield room
    finally:
        if room.server is not None and room.server.poll() is None:
            room.stop()
        room.close()


def child(
    netns: str, *words: str, sends: str = "", program: str = str(ROOT / "tools/console_load.py")
) -> subprocess.Popen[str]:
    """The ``program`` again, in a namespace; ``sends``: what it reads."""
    argv = ["ip", "netns", "exec", netns, sys.executable, program, *words]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None:
        raise AssertionError("started without a pipe")
    process.stdin.write(sends)
    process.stdin.close()
    process.stdin = None
    return process


def result(process: subprocess.Popen[str]) -> Any:
    """What a child printed."""
    out, _ = process.communicate()
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(out)
