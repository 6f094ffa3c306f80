"""What becomes of a student's terminal whose pod, machine or API goes away: told by a fake cluster, without waiting."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket, WebSocketState
from tests.support.waits import until_async

from nodisk.classes import plan, record, sizes
from nodisk.classes.record import Account, Class
from nodisk.classes.roster import Person
from nodisk.console import terminal_session
from nodisk.console.terminal_messages import Size
from nodisk.console.terminal_pods import AWAY, LATE, NO_MACHINE, NO_ROOM, NoTerminal, Ready, Say, Shell
from nodisk.console.terminal_session import BROKE, KEPT, WORDS, End
from nodisk.console.terminals import Terminals
from nodisk.console.words import POLISH, translator
from nodisk.errors import EnvironmentProblem
from nodisk.kube.channels import Outcome

FOUND = plan.merge(
    None, [Person("Jan Kowalski")], name="k8s", now=record.now(), size=sizes.find("small"), role="edit"
).record
JAN = FOUND.students[0]
BROKEN = Outcome(None, "no route to host")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_session, "AGAIN", 0.001)
    monkeypatch.setattr(terminal_session, "WATCH", 0.01)


@dataclass
class Socket:
    """A browser that shows everything at once."""

    said: list[dict[str, Any]] = field(default_factory=list)
    output: bytes = b""
    incoming: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    application_state: WebSocketState = WebSocketState.CONNECTED
    code: int = 0

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send_text(self, text: str) -> None:
        self.said.append(json.loads(text))

    async def send_bytes(self, data: bytes) -> None:
        self.output += data
        self.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps({"seen": len(self.output)})})

    async def close(self, code: int) -> None:
        self.code = code


@dataclass
class Script:
    """A shell that says these, one after another; None: nothing more."""

    lines: list[bytes | Outcome | None]
    typed: bytes = b""

    async def read(self) -> bytes | Outcome:
        line = self.lines.pop(0)
        if line is None:
            await asyncio.Event().wait()
            raise AssertionError
        return line

    async def write(self, data: bytes) -> None:
        self.typed += data

    async def resize(self, columns: int, rows: int) -> None:
        assert (columns, rows) == (80, 24)


@dataclass
class Cluster:
    """Gives these, one after another; the last one again and again."""

    gives: list[tuple[str, Script | NoTerminal] | NoTerminal]
    removed: int = 0
    asked: int = 0
    life: float = 3600.0
    fails: int = 0
    """How often a new key can't be given."""
    renewed: int = 0
    away: int = 0
    """How often the API does not answer who removes a pod."""

    async def prepare(self, found: Class, student: Account, say: Say) -> Ready:
        self.asked += 1
        now = self.gives[0]
        if isinstance(now, NoTerminal):
            self._next()
            raise now
        return Ready(now[0], "token", self.life)

    async def renew(self, found: Class, student: Account) -> float:
        self.renewed += 1
        if self.renewed <= self.fails:
            raise NoTerminal(AWAY)
        return self.life

    @contextlib.asynccontextmanager
    async def shell(self, found: Class, student: Account, ready: Ready) -> AsyncIterator[Shell]:
        now = self.gives[0]
        assert not isinstance(now, NoTerminal)
        self._next()
        if isinstance(now[1], NoTerminal):
            raise now[1]
        yield now[1]

    async def remove(self, found: Class, student: Account) -> None:
        if self.away:
            self.away -= 1
            raise EnvironmentProblem("connection refused")
        self.removed += 1

    def _next(self) -> None:
        if len(self.gives) > 1:
            self.gives.pop(0)


def run(cluster: Cluster, *, idle: float = 60, language: str = "en") -> tuple[End, Socket, Terminals]:
    async def serve() -> tuple[End, Socket, Terminals]:
        socket, terminals = Socket(), Terminals(cluster, idle=idle)
        async with asyncio.timeout(30):
            end = await terminals.serve(
                cast("WebSocket", socket), FOUND, JAN, Size(80, 24), may=lambda: True, tr=translator(language)
            )
        return end, socket, terminals

    return asyncio.run(serve())


def test_a_machine_without_power_costs_the_shell_and_not_what_it_showed() -> None:
    gone = NoTerminal(AWAY, "no route to host")
    cluster = Cluster(
        [("a", Script([b"before\r\n", BROKEN])), *[("a", gone)] * 4, ("b", Script([b"after\r\n", Outcome(0)]))]
    )
    end, socket, _ = run(cluster)
    assert end is End.OVER
    assert cluster.removed == 1, "nothing could be run in the pod, so it was made anew"
    text = socket.output.decode()
    # What was shown before is shown again, above the line that says why there is a new prompt.
    assert text.startswith("before\r\nbefore\r\n")
    assert text.index(KEPT) < text.index("after")
    assert {"state": "wait", "text": BROKE, "detail": "no route to host"} in socket.said
    assert socket.said[-1] == {"state": "over", "text": WORDS[End.OVER], "detail": ""}
    assert socket.code == 1000


def test_a_connection_that_breaks_once_costs_nothing() -> None:
    cluster = Cluster([("a", Script([b"x", BROKEN])), ("a", Script([b"y", Outcome(0)]))])
    end, socket, _ = run(cluster)
    assert (end, socket.output, cluster.removed) == (End.OVER, b"xy", 0)


def test_a_shell_that_never_holds_is_given_up() -> None:
    """The API answers and a new pod is no better, so waiting would not help."""
    end, socket, _ = run(cluster := Cluster([NoTerminal(AWAY, "no route to host")]), language="pl")
    assert end is End.FAILED
    assert socket.said[-1] == {"state": "failed", "text": POLISH[AWAY], "detail": "no route to host"}
    assert (cluster.asked, cluster.removed) == (2 * (terminal_session.TRIES + 1), 2)


def test_a_room_without_power_is_waited_for() -> None:
    """First the API is away, longer than all tries, then the machines: nobody has to click when they are back."""
    off = [NoTerminal(AWAY, "connection refused")] * 20
    boots = [NoTerminal(NO_MACHINE, "fits on no machine"), NoTerminal(LATE), NoTerminal(NO_MACHINE)]
    cluster = Cluster([*off, *boots, ("b", Script([b"back", Outcome(0)]))], away=5)
    end, socket, _ = run(cluster)
    assert (end, socket.output, cluster.removed) == (End.OVER, b"back", 0)
    assert {"state": "wait", "text": AWAY, "detail": "connection refused"} in socket.said
    assert {"state": "wait", "text": NO_MACHINE, "detail": "fits on no machine"} in socket.said


def test_who_waits_for_a_machine_too_long_is_idle() -> None:
    end, _, terminals = run(Cluster([NoTerminal(NO_MACHINE)]), idle=0.1)
    assert (end, terminals.places) == (End.IDLE, {})


@dataclass
class Patient(Script):
    """A shell that ends by itself once so many keys have been asked for."""

    keys: int = 0
    cluster: Cluster | None = None

    async def read(self) -> bytes | Outcome:
        await until_async(
            lambda: self.lines or self.cluster is None or self.cluster.renewed >= self.keys,
            every=0.001,
            why="its key is not renewed",
        )
        return await Script.read(self) if self.lines else Outcome(0)


@pytest.mark.parametrize("fails", [0, 3])
def test_the_key_is_renewed_as_long_as_the_shell_runs(fails: int) -> None:
    """A key of a tenth of a second; where it can't be renewed, that is tried again long before it ends."""
    shell = Patient([b"$ "], keys=fails + 3)
    cluster = shell.cluster = Cluster([("a", shell)], life=0.1, fails=fails)
    end, socket, _ = run(cluster)
    assert end is End.OVER
    assert cluster.renewed >= fails + 3
    assert cluster.asked == 1, "it is the same shell"
    assert [one["state"] for one in socket.said] == ["open", "over"]


def test_a_full_quota_is_not_tried_again() -> None:
    end, socket, _ = run(cluster := Cluster([NoTerminal(NO_ROOM, "pods: web")]))
    assert (end, cluster.asked) == (End.FAILED, 1)
    assert socket.said == [{"state": "failed", "text": NO_ROOM, "detail": "pods: web"}]


def test_idleness_ends_the_pod_and_forgets_it() -> None:
    cluster = Cluster([("a", Script([b"$ ", None]))])
    end, socket, terminals = run(cluster, idle=0.1)
    assert (end, cluster.removed) == (End.IDLE, 1)
    assert socket.said[-1]["text"] == WORDS[End.IDLE]
    assert terminals.places == {}


def test_a_sweep_ends_what_nobody_may_use_any_more() -> None:
    async def sweep(now: Class) -> int:
        cluster = Cluster([NoTerminal(AWAY)])
        terminals = Terminals(cluster)
        terminals.places["k8s", JAN.key] = terminal_session.Place(FOUND, JAN)
        await terminals.end_idle({now.name: now})
        assert len(terminals.places) == 1 - cluster.removed
        return cluster.removed

    assert asyncio.run(sweep(FOUND)) == 0
    for out in (
        FOUND.with_accounts([JAN.model_copy(update={"suspended": True})]),
        FOUND.with_accounts([JAN.model_copy(update={"credential": 2})]),
        FOUND.model_copy(update={"expires": record.now()}),
        FOUND.model_copy(update={"terminals": False}),
        FOUND.without([JAN]),
        FOUND.model_copy(update={"name": "other"}),
    ):
        assert asyncio.run(sweep(out)) == 1


def test_every_sentence_is_in_polish() -> None:
    from nodisk.console import terminal_pages, terminal_pods, terminal_watchers, watch_pages

    sentences = [*WORDS.values(), BROKE, KEPT, terminal_session.OPEN, terminal_pages.NONE, terminal_pages.FULL]
    sentences += [*terminal_watchers.WORDS.values(), terminal_watchers.WATCHES, watch_pages.CLOSED]
    sentences += [getattr(terminal_pods, name) for name in dir(terminal_pods) if name in (
        "NO_ROOM", "NO_MACHINE", "REFUSED", "AWAY", "FOREIGN", "PENDING", "LATE", "STARTING", "KEY"
    )]  # fmt: skip
    assert [one for one in sentences if one not in POLISH] == []
