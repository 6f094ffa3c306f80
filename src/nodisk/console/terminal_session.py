"""One browser's connection to a student's terminal, from its first message to its end.

Three tasks, of which the first to end ends all: what comes from the browser, what comes from the pod, and a watch over
the student's rights, idleness and the console. Nothing is read faster than the other side takes it: of what the pod
says at most ``WINDOW`` bytes are on their way to the page, and what is typed waits in a queue of a few messages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from nodisk.classes.record import Account, Class
from nodisk.console import terminal_messages as messages
from nodisk.console.scrollback import Scrollback
from nodisk.console.terminal_messages import Seen, Size, Told, Typed
from nodisk.console.terminal_pods import AWAY, LATE, NO_MACHINE, NoTerminal, Pods, Ready, Shell
from nodisk.console.terminal_watchers import Watchers
from nodisk.console.words import Translate
from nodisk.errors import NodiskError
from nodisk.kube.channels import Outcome

WINDOW = 256 * 1024
"""Bytes that the page has not said to have shown."""
WAITING = 4
"""Messages of what is typed that wait for the pod."""
IDLE = 30 * 60.0
"""Seconds without typing or output after which a terminal ends."""
WATCH = 1.0
"""Seconds between two looks at whether the student may go on."""
AGAIN = 2.0
"""Seconds before a shell that broke off is asked for again; twice, three times as long after the next."""
LASTING = 45.0
"""Seconds after which a shell that breaks off had been a good one."""
PARTING = 2.0
"""Seconds for a browser to take the last words."""
TRIES = 3
"""Shells in a row that may break off before the pod is replaced."""
REPLACED = 1
"""Pods in a row that are replaced so."""
PASSING = (NO_MACHINE, LATE)
"""What a room that lost its power says until its machines are back: waited for as long as somebody wants a terminal."""


class End(StrEnum):
    """Why a connection ends."""

    LEFT = "left"
    TAKEN = "taken"
    IDLE = "idle"
    OUT = "out"
    OVER = "over"
    FAILED = "failed"
    STOPPING = "stopping"
    WRONG = "wrong"


WORDS = {
    End.TAKEN: "The terminal was opened in another window, and continues there.",
    End.IDLE: "Nobody used the terminal for half an hour, so it was ended.",
    End.OUT: "Your session has ended. Sign in again.",
    End.OVER: "The shell has ended.",
    End.STOPPING: "The console restarts.",
    End.WRONG: "The page and the console don't understand each other. Reload the page.",
}
OPEN = "The terminal is ready."
BROKE = "The connection to the terminal broke. Trying again …"
KEPT = "That terminal has ended; what it showed last stands above. This is a new one."


@dataclass(slots=True)
class Place:
    """What the console knows of one student's terminal, also while no browser looks."""

    found: Class
    student: Account
    kept: Scrollback = field(default_factory=Scrollback)
    container: str = ""
    """The container of which ``kept`` is."""
    used: float = field(default_factory=time.monotonic)
    """When somebody last typed, or the terminal said something."""
    current: Session | None = None


@dataclass(slots=True)
class Session:
    """A connection that has been accepted, and said who it is."""

    socket: WebSocket
    place: Place
    pods: Pods
    size: Size
    may: Callable[[], bool]
    """Whether the student is still signed in, and nothing keeps them out."""
    tr: Translate
    idle: float = IDLE
    watchers: Watchers = field(init=False)
    sent: int = 0
    """Bytes of the shell that were sent to the page."""
    seen: int = 0
    """How many of them the page has said to have shown."""
    _typed: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(WAITING))
    _shell: Shell | None = None
    _shown: asyncio.Event = field(default_factory=asyncio.Event)
    _told: asyncio.Event = field(default_factory=asyncio.Event)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _why: End = End.LEFT

    def __post_init__(self) -> None:
        self.watchers = Watchers(self.socket.send_text, self.place.kept, self.size, self.tr)

    async def run(self) -> End:
        """Until it ends; returns why. The browser has been told, and the connection is closed."""
        tasks = [asyncio.create_task(_while_there(one())) for one in (self._receive, self._speak, self._watch)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ends = [task.result() for task in done]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.watchers.close()
            self._over.set()
        end = next((one for one in ends if one is not End.LEFT), End.LEFT)
        await self._close(end)
        return end

    async def stop(self, end: End) -> None:
        """End it from outside, and wait until it has ended."""
        self._why = end
        self._told.set()
        await self._over.wait()

    # ---- from the browser ------------------------------------------------------------------------------------------

    async def _receive(self) -> End:
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return End.LEFT
            try:
                found = messages.parse(message.get("text"), message.get("bytes"))
            except ValueError:
                return End.WRONG
            if isinstance(found, Typed):
                self.place.used = time.monotonic()
                if self._shell is not None:  # else there is nothing yet to type it into
                    await self._typed.put(found.data)
            elif isinstance(found, Size):
                self.size = found
                self.watchers.resize(found)
                if self._shell is not None:
                    await self._shell.resize(found.columns, found.rows)
            elif not (self.watchers.tell(found.number) if isinstance(found, Told) else self._take(found)):
                return End.WRONG

    def _take(self, seen: Seen) -> bool:
        if seen.total > self.sent:
            return False
        self.seen = max(self.seen, seen.total)
        self._shown.set()
        return True

    # ---- from the pod ----------------------------------------------------------------------------------------------

    async def _speak(self) -> End:
        try:
            return await self._shells()
        except NoTerminal as error:
            await self._tell(End.FAILED, error.message, error.detail)
            return End.FAILED

    async def _shells(self) -> End:
        """One shell after another until one ends by itself. Raises NoTerminal where none is to be had.

        A machine without power stays Ready to the cluster for most of a minute, and its pods as long: what tells is
        that nothing can be run in the pod, so it is replaced then, once. Where the API is away as well, nothing is
        known of the pod, and the API is waited for.
        """
        broken, replaced = 0, 0
        while True:
            began = time.monotonic()
            try:
                ready = await self.pods.prepare(self.place.found, self.place.student, self._say)
                await self._leave_behind(ready)
                outcome = await self._shell_of(ready)
            except NoTerminal as error:
                if error.message in PASSING:
                    await self._say(error.message, error.detail)
                    await asyncio.sleep(AGAIN)
                    continue
                if error.message != AWAY:
                    raise
                outcome = Outcome(None, error.detail)
            if outcome.status == 0:
                return End.OVER
            if time.monotonic() - began > LASTING:
                broken = replaced = 0
            broken += 1
            await self._say(BROKE, outcome.message)
            if broken > TRIES:
                broken = 0
                replaced += await self._remove_pod()
                if replaced > REPLACED:
                    raise NoTerminal(AWAY, outcome.message)
            await asyncio.sleep(AGAIN * max(1, broken))

    async def _remove_pod(self) -> bool:
        """Whether the API did it; where it doesn't answer, the student is told."""
        try:
            await self.pods.remove(self.place.found, self.place.student)
        except NodiskError as error:
            await self._say(AWAY, error.message)
            return False
        return True

    async def _leave_behind(self, ready: Ready) -> None:
        """If that is another container than before, show what the one before said last, and say that it is over."""
        place = self.place
        if place.container not in ("", ready.container) and place.kept.text:
            await self._send(place.kept.text)
            # The new shell clears its window, and must not clear this.
            line = f"\r\n\x1b[0m\x1b[7m {self.tr(KEPT)} \x1b[0m".encode() + b"\r\n" * self.size.rows
            self.watchers.feed(line)  # what was before stands above already
            await self._send(line)
            place.kept.clear()
        place.container = ready.container

    async def _shell_of(self, ready: Ready) -> Outcome:
        async with self.pods.shell(self.place.found, self.place.student, ready) as shell:
            await shell.resize(self.size.columns, self.size.rows)
            self._shell = shell
            beside = [asyncio.create_task(self._type(shell)), asyncio.create_task(self._renew(ready.life))]
            try:
                await self._tell("open", OPEN)
                while isinstance(data := await shell.read(), bytes):
                    self.place.used = time.monotonic()
                    self.place.kept.add(data)
                    self.watchers.feed(data)
                    await self._send(data)
                return data
            finally:
                self._shell = None
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)

    async def _renew(self, life: float) -> None:
        """Have the key in the pod renewed at half of its life, and soon again where that fails."""
        pause = life / 2
        while True:
            await asyncio.sleep(pause)
            try:
                life = await self.pods.renew(self.place.found, self.place.student)
            except NoTerminal:  # a pod that is gone ends its shell, and gets a key when it is replaced
                pause = life / 20
            else:
                pause = life / 2

    async def _type(self, shell: Shell) -> None:
        while True:
            await shell.write(await self._typed.get())

    async def _send(self, data: bytes) -> None:
        """Bytes to the page, once it has shown enough of those before."""
        while self.sent - self.seen >= WINDOW:
            self._shown.clear()
            await self._shown.wait()
        self.sent += len(data)
        await self.socket.send_bytes(data)

    # ---- the rest --------------------------------------------------------------------------------------------------

    async def _watch(self) -> End:
        while True:
            try:
                await asyncio.wait_for(self._told.wait(), WATCH)
            except TimeoutError:
                pass
            else:
                return self._why
            if not self.may():
                return End.OUT
            if time.monotonic() - self.place.used > self.idle:
                return End.IDLE

    async def _say(self, sentence: str, detail: str) -> None:
        await self._tell("wait", sentence, detail)

    async def _tell(self, state: str, sentence: str, detail: str = "") -> None:
        await self.socket.send_text(messages.state(state, self.tr(sentence), detail))

    async def _close(self, end: End) -> None:
        if end is End.LEFT or self.socket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            async with asyncio.timeout(PARTING):
                if sentence := WORDS.get(end):
                    await self._tell(end, sentence)
                await self.socket.close(1000)
        except (WebSocketDisconnect, RuntimeError, OSError):  # TimeoutError is one: it reads nothing any more
            return  # the browser is gone


async def _while_there(part: Coroutine[Any, Any, End]) -> End:
    """The part of a connection, which ends when the browser goes away while it is told something."""
    try:
        return await part
    except WebSocketDisconnect:
        return End.LEFT
