"""For ``console_load``: students at terminals, through nginx as serve runs it.

Their shells are on this host instead of in pods, as no cluster runs here: a console of this process's own takes the
place of the server's behind the server's nginx. So what an API server and a kubelet add is in no figure.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from load_measuring import BASE, Cost, child, figures, result
from tests.interop.server.rooms import Room
from tests.support.shells import Host
from websockets.asyncio.client import connect
from websockets.typing import Origin

from nodisk.classes import plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.console import listen, security, terminal_messages
from nodisk.console.app import application
from nodisk.console.common import Console
from nodisk.console.snapshot import Snapshot
from nodisk.context import LabContext
from nodisk.records import host as host_record
from nodisk.records.database import Database
from nodisk.server import unix_http

GREETING = asyncio.Semaphore(8)
"""Held for a connection's TLS: the typists are one process, and nginx waits ten seconds for a request."""


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
        for _ in range(keys):
            began = time.monotonic()
            await socket.send(b"a")
            while b"a" not in await said():
                pass
            waits.append(time.monotonic() - began)
            await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311


async def terminals_part(base: str, authority: str, keys: int, doors: list[list[str]]) -> None:
    """All students; prints the waits."""
    waits: list[float] = []
    trust = ssl.create_default_context(cafile=authority)
    await asyncio.gather(*(typing(Door(base, trust, cookie, form), keys, waits) for cookie, form in doors))
    print(json.dumps(waits))


@contextmanager
def console_behind(room: Room) -> Iterator[None]:
    """A console whose terminals are shells of this host, in the place of the server's, behind the server's nginx."""
    place = host_record.read(room.state.host)
    if place is None:
        sys.exit(f"{room.state.host} is missing: the server has not started")
    context, ready, loops = LabContext(room.lab, room.lab_file, room.state, None), threading.Event(), []
    stop, shells, failed = asyncio.Event(), Host(), []

    async def serve() -> None:
        beside = room.state.run / "load.sock"
        with Database(room.state.database) as database:
            console = Console(context.lab, database, Snapshot(context))
            console.terminals.pods = shells
            app, most = application(console), terminal_messages.MOST
            async with unix_http.serving(app, beside, place.web_user, "load", most_message=most):
                beside.replace(room.state.run / listen.SOCKET)
                loops.append(asyncio.get_running_loop())
                ready.set()
                await stop.wait()
                console.stopping.set()
                await console.terminals.stop()

    def run_it() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # raised below, by the caller's thread
            failed.append(error)
        finally:
            ready.set()

    serving = threading.Thread(target=run_it, name="console")
    serving.start()
    ready.wait()
    try:
        if not failed:
            yield
    finally:
        for loop in loops:
            loop.call_soon_threadsafe(stop.set)
        serving.join()
        shells.close()
    for error in failed:
        raise error


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


def load_terminals(room: Room, terminals: int, keys: int) -> None:
    """Students at shells, in a room whose server runs."""
    doors = doors_of(room, terminals)
    nginx = [Cost(pid) for pid, words in room.daemons().items() if "nginx" in words]
    with console_behind(room):
        own = Cost(os.getpid())
        authority = str(room.state.pki / "server-ca.crt")
        typists = child(room.name, "--part", "terminals", BASE, authority, str(keys), sends=json.dumps(doors))
        waits = result(typists)
        share, there = own.share(), sum(one.share() for one in nginx)
    figures(f"{terminals} terminals, keys echoed", waits)
    print(f"the console: {share:.2f} of a processor; nginx: {there:.2f}")
