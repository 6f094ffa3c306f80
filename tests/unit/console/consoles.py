"""A console without a server: the real application and records, a lab of two machines, an API that nobody runs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.unit.spec.labs import TEN_LINES

from nodisk.assets.addon_listing import Listed
from nodisk.classes.census import Census
from nodisk.classes.own import Together
from nodisk.console import security
from nodisk.console.app import application
from nodisk.console.common import Console
from nodisk.console.snapshot import Snapshot
from nodisk.context import LabContext
from nodisk.kube.errors import Unreachable
from nodisk.machines.asked import Api, Asked
from nodisk.records.console_access import ConsoleRole
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.values import Mac, Stage

HOST = "10.77.0.1:6445"
ORIGIN = f"https://{HOST}"
W1 = Mac.parse("52:54:00:00:00:02")
AWAY = Asked(Api.AWAY, {}, "API does not answer")


@dataclass
class Browser:
    """Requests with one browser's cookies, and the Origin that a page of the console has."""

    console: Console
    cookies: dict[str, str] = field(default_factory=dict)
    address: str = "10.77.0.50"

    async def send(self, method: str, path: str, **how: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(application(self.console), raise_app_exceptions=False)
        headers = {"X-Real-IP": self.address, "Accept": "text/html", **how.pop("headers", {})}
        if method == "POST":
            headers = {"Origin": ORIGIN, **headers}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            answer = await client.request(method, path, headers=headers, **how)
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return answer

    def get(self, path: str, **how: Any) -> httpx2.Response:
        return asyncio.run(self.send("GET", path, **how))

    def post(self, path: str, **how: Any) -> httpx2.Response:
        return asyncio.run(self.send("POST", path, **how))

    @property
    def token(self) -> str:
        return self.cookies.get(security.cookie_name(self.console.lab), "")

    def sign_in(self, name: str = "anna", role: ConsoleRole = ConsoleRole.ADMIN) -> Browser:
        code = self.console.database.console.invite(name, role, seconds=60)
        assert self.post("/sign-in", data={"code": code}).status_code == 303
        return self


@dataclass
class Room:
    """The console, a clock of its own, and what machines reported."""

    console: Console
    database: Database

    def browser(self, **how: Any) -> Browser:
        # Each sees the room as it is now: a snapshot's lock belongs to one event loop.
        self.console.snapshot = Snapshot(self.console.snapshot.context, ask=lambda _: AWAY, now=_later())
        return Browser(self.console, **how)

    def report(self, stage: Stage, detail: str = "", **more: Any) -> None:
        self.database.record(Kind.STAGE, detail, source="10.77.0.12", mac=W1, machine="w1", stage=stage, **more)

    def told(self, kind: Kind) -> list[str]:
        return [event.detail for event in self.database.events(kinds=(kind,))]


@contextmanager
def room_in(folder: Path, text: str = TEN_LINES) -> Iterator[Room]:
    (folder / "lab.yaml").write_text(text)
    lab, state = load(folder / "lab.yaml"), State(folder / "state").lab("room")
    with Database(state.database) as database:
        snapshot = Snapshot(LabContext(lab, folder / "lab.yaml", state, None), ask=lambda _: AWAY, now=_later())
        console = Console(lab, database, snapshot, tick=0.01, census=_nobody, addons=_none)
        console.together = lambda *_: Together()
        yield Room(console, database)


def _later() -> Any:
    """A clock by which whatever was read before is too old."""
    ticks = itertools.count(start=100, step=100)
    return lambda: float(next(ticks))


def _none(*_: object) -> tuple[Listed, ...]:
    return ()


def _nobody(_: LabContext) -> Census:
    raise Unreachable("nobody runs an API here")
