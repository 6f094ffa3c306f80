"""A room that is switched on at once: ``python tools/boot_storm.py --machines 1000`` (root).

The real server with its daemons runs in a network namespace, armed, with a lab of ``--machines``. Each asks for its
boot script and its config, from its own address, at a random moment of the same ``--seconds``. Printed are how the
requests were answered, the seconds from a connection to the last byte, and the processor time of what serves. Nothing
outside of its namespaces is touched.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time

from load_measuring import FIRST, Cost, Waits, child, figures, result, running

KINDS = ("scripts", "configs")


async def get(address: str, path: str) -> tuple[int, float]:
    """Ask from that address; returns the answer's status, 0 for none, and the seconds it took."""
    began = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("10.99.0.1", 80, local_addr=(address, 0))
    except OSError:
        return 0, time.monotonic() - began
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 10.99.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(-1), 60)
        return int(answer.split(maxsplit=2)[1]) if answer else 0, time.monotonic() - began
    except (OSError, TimeoutError, ValueError, IndexError):
        return 0, time.monotonic() - began
    finally:
        writer.close()


async def machine(number: int, seconds: float, kind: str) -> tuple[str, int, float]:
    """One request of one machine."""
    low = f"{number >> 8:02x}-{number & 255:02x}" if kind == "scripts" else f"{number >> 8:02x}:{number & 255:02x}"
    path = f"/boot/02-00-00-00-{low}.ipxe?boot=new" if kind == "scripts" else f"/ignition/02:00:00:00:{low}"
    await asyncio.sleep(random.uniform(0, seconds))  # noqa: S311 - spreads load
    return (kind, *await get(str(FIRST + number), path))


async def machines_part(machines: int, seconds: float) -> None:
    """All machines; prints each answer."""
    asked = [machine(number, seconds, kind) for number in range(machines) for kind in KINDS]
    print(json.dumps(await asyncio.gather(*asked)))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        asyncio.run(machines_part(chosen.machines, chosen.seconds))
        return
    with running(chosen.machines) as room:
        room.nodisk("arm")
        server = room.server
        if server is None:
            raise AssertionError("it has not been started")
        cost = Cost(server.pid)
        words = ["--part", "--machines", str(chosen.machines), "--seconds", str(chosen.seconds)]
        answers = result(child(f"{room.name}-all", *words, program=__file__))
        spent = cost.seconds() - cost.before
    for kind in KINDS:
        statuses = [status for name, status, _ in answers if name == kind]
        counts = ", ".join(f"{statuses.count(one)} times {one}" for one in sorted(set(statuses)))
        print(f"{kind}: answered {counts}")
        figures(kind, Waits.of(took for name, status, took in answers if name == kind and status == 200))
    print(f"the server: {1000 * spent / len(answers):.2f} ms of processor time for each")


if __name__ == "__main__":
    main()
