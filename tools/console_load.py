"""Loads the console as a large room does, and prints what it cost: ``python tools/console_load.py`` (root).

The real server with its daemons runs in a network namespace, with a lab of ``--machines``. Each of them sends events
and what it prints, from its own address, on its way to Ready again and again; ``--browsers`` watch the room's page; and
``--terminals`` students type at shells (on this host instead of in pods, as no cluster runs here). Printed are the
seconds from a machine's request to the page that shows it, from a key to its echo, and the server's processor time and
memory. Nothing outside its namespaces is touched.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import httpx2  # noqa: E402
from tests.browser.served import served_in  # noqa: E402
from tests.interop.server.rooms import Room, make_room  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402
from websockets.typing import Origin  # noqa: E402

from nodisk import run  # noqa: E402
from nodisk.classes import plan, record, sizes  # noqa: E402
from nodisk.classes.roster import Person  # noqa: E402
from nodisk.console import security  # noqa: E402
from nodisk.records.door import code_digest  # noqa: E402
from nodisk.values import Stage  # noqa: E402 - found by the path above

NETWORK = IPv4Network("10.99.0.0/20")
FIRST = IPv4Address("10.99.1.1")
WAY = (Stage.KERNEL, Stage.ROOTFS, Stage.CONFIG, Stage.OS, Stage.ENROLLED, Stage.JOINED)
"""A machine that is Ready shows no line; these never are."""
_SENT = re.compile(r"sent (\d+\.\d+) by (m\d+)")


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


# ---- the machines, in a namespace of their own --------------------------------------------------------------------


async def boot(number: int, end: float, pause: float, answers: dict[int, int]) -> None:
    """One machine: from stage to stage, with a line that says when it was sent."""
    mac, address = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}", str(FIRST + number)
    await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads load
    boots = 0
    while True:
        boots += 1
        boot_id = f"{number:08x}-0000-4000-8000-{boots:012x}"
        for stage in WAY:
            if time.time() > end:
                return
            line = quote(f"sent {time.time():.3f} by m{number}")
            body = f"mac={mac}&stage={stage}&boot_id={boot_id}&detail=&lines={line}"
            status = await post(address, body)
            answers[status] = answers.get(status, 0) + 1
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311


async def post(address: str, body: str) -> int:
    """Send an event from that address; returns the answer's status, 0 for none."""
    try:
        reader, writer = await asyncio.open_connection("10.99.0.1", 80, local_addr=(address, 0))
    except OSError:
        return 0
    try:
        head = "POST /event HTTP/1.1\r\nHost: 10.99.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        first = await asyncio.wait_for(reader.readline(), 30)
        return int(first.split()[1]) if first else 0
    except (OSError, TimeoutError):
        return 0
    finally:
        writer.close()


async def machines_part(machines: int, seconds: float, pause: float) -> None:
    """All machines; prints how their requests were answered."""
    answers: dict[int, int] = {}
    end = time.time() + seconds
    await asyncio.gather(*(boot(number, end, pause, answers) for number in range(machines)))
    print(json.dumps(answers))


# ---- the browsers, in the server's namespace ----------------------------------------------------------------------


async def watch(base: str, way: httpx2.AsyncHTTPTransport, code: str, end: float, waits: list[float]) -> None:
    """One browser: how old each machine's line is when the page first shows it."""
    shown: dict[str, float] = {}
    async with httpx2.AsyncClient(base_url=base, transport=way, timeout=60) as browser:
        answer = await browser.post("/sign-in", data={"code": code}, headers={"Origin": base})
        if answer.status_code != 303:
            sys.exit(f"a browser could not sign in: {answer.status_code} {answer.text[:200]}")
        async with browser.stream("GET", "/live") as stream:
            first = True
            async for line in stream.aiter_lines():
                if line.startswith("event: part"):
                    now = time.time()
                for sent, name in _SENT.findall(line):
                    at = float(sent)
                    if shown.get(name) != at:
                        shown[name] = at
                        if not first:
                            waits.append(now - at)
                first = first and not line.startswith("data: </ul>")
                if time.time() > end:
                    return


async def browsers_part(base: str, authority: str, codes: list[str], seconds: float) -> None:
    """All browsers; prints the waits."""
    waits: list[float] = []
    trust, end = ssl.create_default_context(cafile=authority), time.time() + seconds
    # From an address each: five sign in from one at once, and then one every twelve seconds.
    ways = [httpx2.AsyncHTTPTransport(verify=trust, local_address=f"127.0.1.{place}") for place in range(1, 255)]
    await asyncio.gather(*(watch(base, way, code, end, waits) for way, code in zip(ways, codes, strict=False)))
    print(json.dumps(waits))


# ---- measuring ----------------------------------------------------------------------------------------------------


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


def figures(what: str, waits: list[float]) -> None:
    """A line of a distribution."""
    if not waits:
        sys.exit(f"{what}: nothing was seen")
    cuts = statistics.quantiles(waits, n=100) if len(waits) > 1 else waits * 99
    shown = ", ".join(f"p{place} {cuts[place - 1]:.3f} s" for place in (50, 95, 99))
    print(f"{what}: {len(waits)}; {shown}, max {max(waits):.3f} s")


def room_of(machines: int) -> Room:
    """The server's room, with a namespace that has every machine's address."""
    room = make_room("full", lab=lab_of(machines))
    run.run(["ip", "-n", room.name, "address", "replace", f"10.99.0.1/{NETWORK.prefixlen}", "dev", "lan"])
    room.plug("all", "02:00:00:00:ff:ff", None)
    orders = "".join(f"address add {FIRST + number}/{NETWORK.prefixlen} dev eth0\n" for number in range(machines))
    run.run(["ip", "-n", f"{room.name}-all", "-batch", "-"], stdin=orders)
    return room


def child(netns: str, *words: str) -> subprocess.Popen[str]:
    """This program again, in a namespace."""
    argv = ["ip", "netns", "exec", netns, sys.executable, __file__, *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> Any:
    """What a child printed."""
    out, _ = process.communicate()
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(out)


def load_room(machines: int, browsers: int, seconds: float, pause: float) -> None:
    """Machines and browsers."""
    room = room_of(machines)
    try:
        server = room.start()
        base = "https://127.0.0.1:6445"
        codes = []
        for number in range(browsers):
            link = json.loads(
                room.nodisk("console", "invite", f"viewer{number}", "--role", "viewer", "-o", "json").stdout
            )
            codes.append(parse_qs(urlsplit(link["link"]).query)["code"][0])
        waiting = child(f"{room.name}-all", "--part", "machines", *map(str, (machines, seconds, pause)))
        time.sleep(2)
        cost = Cost(server.pid)
        before = cost.mib()
        authority = str(room.state.pki / "server-ca.crt")
        watching = child(room.name, "--part", "browsers", base, authority, str(seconds - 5), *codes)
        waits = result(watching)
        share, after = cost.share(), cost.mib()
        answers = result(waiting)
    finally:
        if room.server is not None and room.server.poll() is None:
            room.stop()
        room.close()
    counts = ", ".join(f"{count} times {status}" for status, count in answers.items())
    print(f"{machines} machines for {seconds:g} s: answered {counts}")
    figures(f"{browsers} browsers, lines shown", waits)
    print(f"the server: {share:.2f} of a processor, {before} MiB before, {after} MiB after")


# ---- terminals ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Door:
    """What a student's page knows."""

    base: str
    trust: ssl.SSLContext
    cookie: str
    form: str

    def socket(self) -> connect:
        """Its terminal."""
        url = self.base.replace("https", "wss") + "/door/load/terminal/socket"
        headers = {"Cookie": self.cookie}
        return connect(url, ssl=self.trust, origin=Origin(self.base), additional_headers=headers)


async def typing(door: Door, keys: int, waits: list[float]) -> None:
    """One student: a key, its echo, a pause as people make."""
    async with door.socket() as socket:
        await socket.send(json.dumps({"token": door.form, "columns": 80, "rows": 24}))
        seen = 0

        async def said() -> bytes:
            nonlocal seen
            while True:
                message = await asyncio.wait_for(socket.recv(), 60)
                if isinstance(message, bytes):
                    seen += len(message)
                    await socket.send(json.dumps({"seen": seen}))
                    return message

        await said()
        await asyncio.sleep(random.uniform(0.5, 2))  # noqa: S311
        for _ in range(keys):
            began = time.monotonic()
            await socket.send(b"a")
            while b"a" not in await said():
                pass
            waits.append(time.monotonic() - began)
            await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311


def load_terminals(terminals: int, keys: int) -> None:
    """Students at shells."""
    waits: list[float] = []
    with tempfile.TemporaryDirectory() as folder, served_in(Path(folder)) as served:
        people = [Person(f"Student {number}") for number in range(terminals)]
        found = plan.merge(
            None, people, name="load", now=record.now(), size=sizes.find("small"), role="edit", terminals=True
        ).record
        record.save(served.state, found)
        trust = ssl.create_default_context(cafile=str(served.state.pki / "server-ca.crt"))
        trust.check_hostname = False  # the test's console is on another port and address than the lab's
        doors = []
        for number, student in enumerate(found.students):
            digest = code_digest(f"ABCD{number:04d}", served.database.door.salted("load"))
            served.database.door.issue("load", {student.key: digest}, ends=time.time() + 600)
            token = served.database.door.enter_first(
                "load", student.key, digest, "00:kept", credential=student.credential
            )
            if token is None:
                sys.exit("the door does not take a code that it has just issued")
            cookie = f"{security.door_cookie_name(served.lab)}={token}"
            doors.append(Door(served.base, trust, cookie, security.form_token(token)))
        cpu = time.process_time()
        began = time.monotonic()

        async def all_of_them() -> None:
            await asyncio.gather(*(typing(door, keys, waits) for door in doors))

        asyncio.run(all_of_them())
        share = (time.process_time() - cpu) / (time.monotonic() - began)
    figures(f"{terminals} terminals, keys echoed", waits)
    print(f"console and typists in one process: {share:.2f} of a processor, {threading.active_count()} threads left")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--browsers", type=int, default=10, help="at most 64, as the console has it")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pause", type=float, default=10, help="seconds between two events of a machine")
    parser.add_argument("--terminals", type=int, default=100, help="at most 512, as the console has it")
    parser.add_argument("--keys", type=int, default=50)
    parser.add_argument("--part", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        kind, *words = chosen.part
        if kind == "machines":
            asyncio.run(machines_part(int(words[0]), float(words[1]), float(words[2])))
        else:
            asyncio.run(browsers_part(words[0], words[1], words[3:], float(words[2])))
        return
    if chosen.machines:
        load_room(chosen.machines, chosen.browsers, chosen.seconds, chosen.pause)
    if chosen.terminals:
        load_terminals(chosen.terminals, chosen.keys)


if __name__ == "__main__":
    main()
