"""A room that is switched on at once: ``python tools/boot_storm.py --machines 1000`` (root).

The real server with its daemons runs in a network namespace, armed, with a lab of ``--machines``. Each asks for its
boot script and its config, from its own address, at a random moment of the same ``--seconds``. Printed are how the
requests were answered, the seconds from the moment at which each was due to the last byte, and the processor time of
what serves; before that, what its start took. Nothing outside of its namespaces is touched.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import selectors
import socket
import time
from dataclasses import dataclass, field

from load_measuring import FIRST, Cost, Waits, child, figures, result, running

from nodisk.values import Mac

KINDS = ("scripts", "configs")
PATIENCE = 60.0
"""Seconds after the last request until what has no answer counts as refused."""
WHO = "busid=&hex.manufacturer=44656c6c20496e632e&hex.product=4f707469506c6578&hex.serial=&uuid=&hex.chassis=&hex.port="
"""What iPXE says of a machine; nothing by which one differs from the next."""


@dataclass
class Asking:
    """One request of one machine."""

    due: float
    """When it is sent, by ``time.monotonic``."""
    kind: str
    number: int
    wire: socket.socket = field(init=False)
    answer: bytes = b""
    """What has come of its first line."""

    @property
    def path(self) -> str:
        """What it asks for."""
        mac = Mac((0x02 << 40) + self.number)
        return f"/boot/{mac.hyphened}.ipxe?boot=new&{WHO}" if self.kind == "scripts" else f"/ignition/{mac}"

    def begin(self) -> None:
        """Connect from the machine's own address."""
        self.wire = socket.socket()
        self.wire.setblocking(False)
        self.wire.bind((str(FIRST + self.number), 0))
        self.wire.connect_ex(("10.99.0.1", 80))

    def send(self) -> None:
        """Ask, on a connection that is there; raises OSError if it isn't."""
        self.wire.sendall(f"GET {self.path} HTTP/1.1\r\nHost: 10.99.0.1\r\nConnection: close\r\n\r\n".encode())

    def read(self) -> bool:
        """Take what has come; returns whether that was all."""
        came = self.wire.recv(1 << 20)
        self.answer += came[: 32 - len(self.answer)]
        return not came

    @property
    def status(self) -> int:
        """The answer's; 0: there was none."""
        words = self.answer.split(maxsplit=2)
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def machines_part(machines: int, seconds: float) -> None:
    """All machines; prints each answer. Bare sockets: asyncio's would take as long as the server that is measured."""
    began = time.monotonic() + 0.5
    # Spread evenly at random, as nobody's PCs are of the same speed.
    waiting = [
        Asking(began + random.uniform(0, seconds), kind, number)  # noqa: S311 - spreads load
        for number in range(machines)
        for kind in KINDS
    ]
    waiting.sort(key=lambda one: one.due, reverse=True)
    answers: list[tuple[str, int, float]] = []
    selector = selectors.DefaultSelector()

    def done(one: Asking) -> None:
        selector.unregister(one.wire)
        one.wire.close()
        answers.append((one.kind, one.status, time.monotonic() - one.due))

    while (waiting or selector.get_map()) and time.monotonic() < began + seconds + PATIENCE:
        while waiting and waiting[-1].due <= time.monotonic():
            one = waiting.pop()
            one.begin()
            selector.register(one.wire, selectors.EVENT_WRITE, one)
        pause = min(1.0, max(0.0, waiting[-1].due - time.monotonic())) if waiting else 1.0
        for key, events in selector.select(pause):
            one = key.data
            try:
                if events & selectors.EVENT_WRITE:
                    one.send()
                    selector.modify(one.wire, selectors.EVENT_READ, one)
                elif one.read():
                    done(one)
            except OSError:
                done(one)
    for key in list(selector.get_map().values()):
        done(key.data)
    print(json.dumps(answers))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        machines_part(chosen.machines, chosen.seconds)
        return
    with running(chosen.machines) as room:
        room.nodisk("arm")
        server = room.server
        if server is None:
            raise AssertionError("it has not been started")
        ready = re.search(r"ready after (\S+) s", (room.folder / "serve.log").read_text())
        cost = Cost(server.pid)
        words = ["--part", "--machines", str(chosen.machines), "--seconds", str(chosen.seconds)]
        answers = result(child(f"{room.name}-all", *words, program=__file__))
        spent = cost.seconds() - cost.before
    for kind in KINDS:
        statuses = [status for name, status, _ in answers if name == kind]
        counts = ", ".join(f"{statuses.count(one)} times {one}" for one in sorted(set(statuses)))
        print(f"{kind}: answered {counts}")
        figures(kind, Waits.of(took for name, status, took in answers if name == kind and status == 200))
    print(f"the server was ready after {ready[1] if ready else '?'} s")
    print(f"the server: {1000 * spent / len(answers):.2f} ms of processor time for each")


if __name__ == "__main__":
    main()
