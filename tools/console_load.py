"""Loads the console as a large room does, and prints what it cost: ``python tools/console_load.py`` (root).

The real server with its daemons runs in a network namespace, with a lab of ``--machines``. All at the same time, each
of them sends events and what it prints, from its own address, on its way to Ready again and again; ``--browsers`` watch
the room's page; and ``--terminals`` students type at shells (``load_terminals``). All of it goes through the server's
nginx. Printed are the seconds from a machine's request to the page that shows it, from a key to its echo, the processor
time of what serves, and the memory of each daemon. Nothing outside its namespaces is touched.

Memory is judged of a run of ``--minutes`` 15 or more, after its first third: a daemon is flat if a line through its
samples rises by no more than 2 % of what it holds in an hour, or by 1 MiB. If one is not, the status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import load_terminals
from load_measuring import BASE, FIRST, Cost, Waits, child, figures, result, running
from load_memory import Memory
from tests.interop.server.rooms import Room

from nodisk.records.console_access import ConsoleRole
from nodisk.values import Stage

WAY = (Stage.KERNEL, Stage.ROOTFS, Stage.CONFIG, Stage.OS, Stage.ENROLLED, Stage.JOINED)
"""A machine that is Ready shows no line; these never are."""
SERVE = Path(__file__).with_name("load_serve.py")
BEGINS = 5.0
"""Seconds after which what machines send is measured, and before which the rest ends."""
SAMPLES = 240
"""Looks at the daemons' memory, at most one a second."""
_SENT = re.compile(r"sent (\d+\.\d+) by (m\d+)")


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


async def watch(base: str, way: httpx2.AsyncHTTPTransport, code: str, end: float, waits: Waits) -> None:
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
                            waits.add(now - at)
                first = first and not line.startswith("data: </ul>")
                if time.time() > end:
                    return


async def browsers_part(base: str, authority: str, codes: list[str], seconds: float) -> None:
    """All browsers; prints the waits."""
    waits = Waits()
    trust, end = ssl.create_default_context(cafile=authority), time.time() + seconds
    # From an address each: five sign in from one at once, and then one every twelve seconds.
    ways = [httpx2.AsyncHTTPTransport(verify=trust, local_address=f"127.0.1.{place}") for place in range(1, 255)]
    await asyncio.gather(*(watch(base, way, code, end, waits) for way, code in zip(ways, codes, strict=False)))
    print(json.dumps(waits.counts))


# ---- all of it ----------------------------------------------------------------------------------------------------


def load(room: Room, chosen: argparse.Namespace, seconds: float) -> bool:
    """Machines, browsers and terminals at the same time; returns whether no daemon's memory was found to grow."""
    server = room.server
    if server is None:
        raise AssertionError("it has not been started")
    names = [f"viewer{number}" for number in range(chosen.browsers)]
    with room.database() as database:
        codes = [database.console.invite(name, ConsoleRole.VIEWER, seconds=3600) for name in names]
    doors = load_terminals.doors_of(room, chosen.terminals) if chosen.terminals else []
    ready: dict[str, Any] = room.wait_ready()
    memory = Memory(server.pid, ready["daemons"])
    authority, last = str(room.state.pki / "server-ca.crt"), str(seconds - BEGINS)
    parts: dict[str, subprocess.Popen[str]] = {}
    if chosen.machines:
        words = map(str, (chosen.machines, seconds, chosen.pause))
        parts["machines"] = child(f"{room.name}-all", "--part", "machines", *words)
        time.sleep(BEGINS / 2)
    costs = [Cost(server.pid)]
    costs += [Cost(pid) for pid, words in room.daemons().items() if "nginx" in words]
    before = costs[0].mib()
    if codes:
        parts["browsers"] = child(room.name, "--part", "browsers", BASE, authority, last, *codes)
    if doors:
        parts["terminals"] = child(room.name, "--part", "terminals", BASE, authority, last, sends=json.dumps(doors))
    try:
        watch_memory(memory, parts, server, seconds - BEGINS)
        own, nginx, after = costs[0].share(), sum(one.share() for one in costs[1:]), costs[0].mib()
        said = {name: result(process) for name, process in parts.items()}
    finally:
        for process in parts.values():
            process.kill()
    if "machines" in said:
        counts = ", ".join(f"{count} times {status}" for status, count in said["machines"].items())
        print(f"{chosen.machines} machines for {seconds:g} s: answered {counts}")
    if "browsers" in said:
        figures(f"{chosen.browsers} browsers, lines shown", Waits.read(said["browsers"]))
    if "terminals" in said:
        figures(f"{chosen.terminals} terminals, keys echoed", Waits.read(said["terminals"]))
    print(f"the server: {own:.2f} of a processor, {before} MiB before, {after} MiB after")
    print(f"nginx: {nginx:.2f} of a processor")
    trends = memory.trends()
    for one in trends:
        print(one.line)
    return all(one.flat is not False for one in trends)


def watch_memory(
    memory: Memory, parts: dict[str, subprocess.Popen[str]], server: subprocess.Popen[bytes], seconds: float
) -> None:
    """Look at the daemons' memory for so long; exits where a part or the server has failed."""
    end, pause = time.monotonic() + seconds, max(1.0, seconds / SAMPLES)
    while True:
        memory.take()
        if server.poll() is not None:
            sys.exit(f"the server has ended with status {server.returncode}")
        for name, process in parts.items():
            if process.poll():
                sys.exit(f"{name} ended with status {process.returncode}")
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--browsers", type=int, default=10, help="at most 64, as the console has it")
    parser.add_argument("--terminals", type=int, default=100, help="at most 512, as the console has it")
    parser.add_argument("--pause", type=float, default=10, help="seconds between two events of a machine")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=60)
    length.add_argument("--minutes", type=float, help="the same; memory is judged from 15 on")
    parser.add_argument("--part", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        kind, *words = chosen.part
        if kind == "machines":
            asyncio.run(machines_part(int(words[0]), float(words[1]), float(words[2])))
        elif kind == "terminals":
            asyncio.run(load_terminals.terminals_part(words[0], words[1], float(words[2]), json.load(sys.stdin)))
        else:
            asyncio.run(browsers_part(words[0], words[1], words[3:], float(words[2])))
        return
    # Told to end, it ends its server and takes its namespaces away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    with running(max(chosen.machines, 1), SERVE) as room:
        flat = load(room, chosen, chosen.seconds if chosen.minutes is None else 60 * chosen.minutes)
    sys.exit(0 if flat else 1)


if __name__ == "__main__":
    main()
