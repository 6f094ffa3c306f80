"""For ``console_load``: students at terminals, through nginx as serve runs it.

Their shells are on this host instead of in pods, as no cluster runs here (``load_serve``). So what an API server and a
kubelet add is in no figure.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import sys
import time
from dataclasses import dataclass

from load_measuring import Waits
from tests.interop.server.rooms import Room
from websockets.asyncio.client import connect
from websockets.typing import Origin

from nodisk.classes import plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.console import security

GREETING = asyncio.Semaphore(8)
"""Held for a connection's TLS: the typists are one process, and nginx waits ten seconds for a request."""
LINE = 40
"""Keys after which a typist clears the line, as nobody types one that never ends."""


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


async def typing(door: Door, end: float, waits: Waits) -> None:
    """One student: a key, its echo, a pause as people make; one key at least, and others until ``end``."""
    async with GREETING:
        socket = await door.socket()
    async with socket:
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
        keys = 0
        while keys == 0 or time.time() < end:
            began = time.monotonic()
            await socket.send(b"a")
            while b"a" not in await said():
                pass
            waits.add(time.monotonic() - began)
            keys += 1
            if keys % LINE == 0:
                await socket.send(b"\x15")
                await said()
            await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311


async def terminals_part(base: str, authority: str, seconds: float, doors: list[list[str]]) -> None:
    """All students; prints the waits."""
    waits, end = Waits(), time.time() + seconds
    trust = ssl.create_default_context(cafile=authority)
    await asyncio.gather(*(typing(Door(base, trust, cookie, form), end, waits) for cookie, form in doors))
    print(json.dumps(waits.counts))


def doors_of(room: Room, terminals: int) -> list[tuple[str, str]]:
    """The session's cookie and the forms' token of so many students of a new class."""
    people = [Person(f"Student {number}") for number in range(terminals)]
    found = plan.merge(
        None, people, name="load", now=record.now(), size=sizes.find("small"), role="edit", terminals=True
    ).record
    record.save(room.state, found)
    doors = []
    with room.database() as database:
        for student in found.students:
            digest = f"digest of {student.label}"
            database.door.issue("load", {student.key: digest}, ends=time.time() + 600)
            token = database.door.enter_first("load", student.key, digest, "00:kept", credential=student.credential)
            if token is None:
                sys.exit("the door does not take a code that it has just issued")
            doors.append((f"{security.door_cookie_name(room.lab)}={token}", security.form_token(token)))
    return doors
