"""Teachers who watch a student's terminal: they see what it says, can type nothing, and the student sees their names.

A watcher is shown nothing before the student's page has answered that it shows who watches. What watchers are slow to
show never holds up the student: of that they get the end, as the console keeps it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from nodisk.console import terminal_messages as messages
from nodisk.console.scrollback import Scrollback
from nodisk.console.terminal_messages import Size
from nodisk.console.words import Translate

WINDOW = 256 * 1024
"""Bytes that wait for a watcher, and as many that its page has not said to have shown."""
PIECE = 16 * 1024
"""Bytes of one message."""
NOTICE = 10.0
"""Seconds for the student's page to show who watches."""
MOST = 4
"""Watchers of one terminal."""
LOOK = 1.0
"""Seconds between two looks at whether somebody may still watch."""
PARTING = 2.0
"""Seconds for a browser to take the last words."""
RESET = b"\x1bc"
"""Clears a screen and starts over (ECMA-48, RIS)."""
WATCHES = "watches this terminal."


class Left(StrEnum):
    """Why somebody watches no more."""

    AWAY = "left"
    CLOSED = "closed"
    HIDDEN = "hidden"
    OUT = "out"
    FULL = "full"
    TYPED = "typed"


WORDS = {
    Left.CLOSED: "The student's terminal was closed.",
    Left.HIDDEN: "The student's page does not show that you watch, so nothing is shown here.",
    Left.OUT: "You may not watch this terminal any more.",
    Left.FULL: "Others watch this terminal already.",
}


@dataclass(slots=True, eq=False)
class Watcher:
    """One who watches, by a connection that has been accepted and said who it is."""

    socket: WebSocket
    name: str
    may: Callable[[], bool]
    """Whether they still may."""
    tr: Translate
    waiting: bytearray = field(default_factory=bytearray)
    """What is still to be sent to the page."""
    _size: Size | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _sent: int = 0
    _seen: int = 0
    _closed: bool = False

    async def run(self, watchers: Watchers) -> Left:
        """Until it ends; returns why. The browser has been told, and the connection is closed."""
        end = Left.AWAY
        parts = [self._receive(), self._speak(), self._look(), self._shown(watchers)]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            end = next((task.result() for task in tasks if task in done), end)
        except (WebSocketDisconnect, RuntimeError):  # it went away while it was told something
            end = Left.AWAY
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await watchers.leave(self)
        await self._part(end)
        return end

    def feed(self, data: bytes, kept: Scrollback) -> None:
        """The terminal has said that."""
        self.waiting += data
        if len(self.waiting) > WINDOW:
            self.waiting[:] = RESET + kept.text
        self._news.set()

    def resize(self, size: Size) -> None:
        """The student's window has that size."""
        self._size = size
        self._news.set()

    def close(self) -> None:
        """The terminal is over."""
        self._closed = True
        self._news.set()

    async def _receive(self) -> Left:
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return Left.AWAY
            try:
                found = messages.parse_of_watcher(message.get("text"), message.get("bytes"))
            except ValueError:
                return Left.TYPED
            if found.total > self._sent:
                return Left.TYPED
            self._seen = max(self._seen, found.total)
            self._news.set()

    async def _speak(self) -> Left:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._size is not None:
                size, self._size = self._size, None
                await self.socket.send_text(messages.size(size))
            while self.waiting and self._sent - self._seen < WINDOW:
                piece = bytes(self.waiting[:PIECE])
                del self.waiting[:PIECE]
                self._sent += len(piece)
                await self.socket.send_bytes(piece)
            if self._closed:
                return Left.CLOSED

    async def _look(self) -> Left:
        while self.may():
            await asyncio.sleep(LOOK)
        return Left.OUT

    async def _shown(self, watchers: Watchers) -> Left:
        """Let in, once the student's page shows it; returns only if that doesn't come about."""
        left = await watchers.admit(self)
        if left is None:
            await self.socket.send_text(messages.state("open", ""))
            await asyncio.Event().wait()
        return left or Left.AWAY

    async def _part(self, end: Left) -> None:
        if end is Left.AWAY or self.socket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            async with asyncio.timeout(PARTING):
                if sentence := WORDS.get(end):
                    await self.socket.send_text(messages.state(end, self.tr(sentence)))
                await self.socket.close(1008 if end is Left.TYPED else 1000)
        except (WebSocketDisconnect, RuntimeError, OSError):  # TimeoutError is one: it reads nothing any more
            return


@dataclass(slots=True)
class Watchers:
    """Who watches one connection of a student's terminal."""

    say: Callable[[str], Awaitable[None]]
    """Sends the student's page a message."""
    kept: Scrollback
    size: Size
    tr: Translate
    _here: list[Watcher] = field(default_factory=list)
    """Whose names the student sees, or is about to."""
    let_in: list[Watcher] = field(default_factory=list)
    """Those who are shown what the terminal says."""
    _number: int = 0
    _told: int = 0
    _answer: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False

    async def admit(self, watcher: Watcher) -> Left | None:
        """Tell the student, wait until that is shown, and begin to feed; or why not."""
        if self._closed:
            return Left.CLOSED
        if len(self._here) >= MOST:
            return Left.FULL
        self._here.append(watcher)
        number = await self._notice()
        try:
            async with asyncio.timeout(NOTICE):
                while self._told < number:
                    self._answer.clear()
                    await self._answer.wait()
                    if self._closed:
                        return Left.CLOSED
        except TimeoutError:
            return Left.HIDDEN
        watcher.resize(self.size)
        self.let_in.append(watcher)
        watcher.feed(self.kept.text, self.kept)
        return None

    async def leave(self, watcher: Watcher) -> None:
        """Somebody watches no more."""
        if watcher in self.let_in:
            self.let_in.remove(watcher)
        if watcher in self._here:
            self._here.remove(watcher)
            if not self._closed:
                try:
                    await self._notice()
                except (WebSocketDisconnect, RuntimeError):  # the student went away in the same moment
                    return

    def tell(self, number: int) -> bool:
        """The student's page shows the notice of that number; returns False if there was none."""
        if number > self._number:
            return False
        self._told = max(self._told, number)
        self._answer.set()
        return True

    def feed(self, data: bytes) -> None:
        """The terminal has said that; ``kept`` has it already."""
        for watcher in self.let_in:
            watcher.feed(data, self.kept)

    def resize(self, size: Size) -> None:
        """The student's window has another size."""
        self.size = size
        for watcher in self.let_in:
            watcher.resize(size)

    def close(self) -> None:
        """The connection of the student is over."""
        self._closed = True
        self._answer.set()
        for watcher in self._here:
            watcher.close()

    async def _notice(self) -> int:
        self._number += 1
        number, names = self._number, dict.fromkeys(watcher.name for watcher in self._here)
        await self.say(messages.watched(" ".join(f"{name} {self.tr(WATCHES)}" for name in names), number))
        return number
