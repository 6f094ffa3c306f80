"""Loads the console as a large room does, and prints what it cost: ``python tools/console_load.py`` (root).

The real server with its daemons runs in a network namespace, with a lab of ``--machines``. Each of them sends events
and what it prints, from its own address, on its way to Ready again and again; ``--browsers`` watch the room's page; and
``--terminals`` students type at shells (``load_terminals``). Printed are the seconds from a machine's request to the
page that shows it, from a key to its echo, and the processor time and memory of what serves. Nothing outside its
namespaces is touched.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import ssl
import sys
import time
from urllib.parse import quote

import httpx2
import load_terminals
from load_measuring import BASE, FIRST, Cost, child, figures, result, running
from tests.interop.server.rooms import Room

from nodisk.records.console_access import ConsoleRole
from nodisk.values import Stage

WAY = (Stage.KERNEL, Stage.ROOTFS, Stage.CONFIG, Stage.OS, Stage.ENROLLED, Stage.JOINED)
"""A machine that is Ready shows no line; these never are."""
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


def load_room(room: Room, machines: int, browsers: int, seconds: float, pause: float) -> None:
    """Machines and browsers, in a room whose server runs."""
    with room.database() as database:
        names = [f"viewer{number}" for number in range(browsers)]
        codes = [database.console.invite(name, ConsoleRole.VIEWER, seconds=3600) for name in names]
    server = room.server
    if server is None:
        raise AssertionError("it has not been started")
    waiting = child(f"{room.name}-all", "--part", "machines", *map(str, (machines, seconds, pause)))
    time.sleep(2)
    cost = Cost(server.pid)
    before = cost.mib()
    authority = str(room.state.pki / "server-ca.crt")
    watching = child(room.name, "--part", "browsers", BASE, authority, str(seconds - 5), *codes)
    waits = result(watching)
    share, after = cost.share(), cost.mib()
    answers = result(waiting)
    counts = ", ".join(f"{count} times {status}" for status, count in answers.items())
    print(f"{machines} machines for {seconds:g} s: answered {counts}")
    figures(f"{browsers} browsers, lines shown", waits)
    print(f"the server: {share:.2f} of a processor, {before} MiB before, {after} MiB after", flush=True)


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
        elif kind == "terminals":
            asyncio.run(load_terminals.terminals_part(words[0], words[1], int(words[2]), json.load(sys.stdin)))
        else:
            asyncio.run(browsers_part(words[0], words[1], words[3:], float(words[2])))
        return
    with running(max(chosen.machines, 1)) as room:
        if chosen.machines:
            load_room(room, chosen.machines, chosen.browsers, chosen.seconds, chosen.pause)
        if chosen.terminals:
            load_terminals.load_terminals(room, chosen.terminals, chosen.keys)


if __name__ == "__main__":
    main()
