"""The names' gate: ``python -m nodisk.server.names_gate CONF``, between pods and unbound.

Where lab.yaml keeps classes' names apart, pods' questions come here, under the pods' own addresses. Each is judged
(``plan.name_views``), passed to unbound if it may be, and so is unbound's answer. The gate keeps no answers: what
somebody else has asked is in unbound's cache alone, and comes from there through the same judgement.

A question that depends on whose pod asks is held for a while where that is not known yet: kubelet tells a new pod's
address only after the pod has begun. It is answered when the views have the address, or with SERVFAIL.

This is the gate's sockets and what waits at them; ``names_judged`` says what each gets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from nodisk.plan.name_views import Judge, Verdict, Views, labels_of
from nodisk.server import dns_message
from nodisk.server.dns_message import REFUSED, SERVFAIL, Malformed, Question
from nodisk.server.names_judged import Judged, ViewsFile
from nodisk.waiting import Deadline

HOLD = 3.0
"""Seconds for which a question is held: less than the five after which resolvers ask again (resolv.conf(5))."""
AGAIN = 0.05
"""Seconds between two looks at what is held."""
MOST_HELD, MOST_HELD_OF_ONE = 256, 32
"""Questions, of all addresses and of one. Each is judged again whenever the views change."""
ON_THE_WAY = 1 << 14
"""Questions that unbound has not answered: of more, the oldest are forgotten."""
MOST_A_SECOND, MOST_OF_A_CLASS = 1500, 300
"""Questions of one payer (``Judged.payer``) that are looked at, and of a class's namespace; more are lost.

The gate answers some 2,600 in a second: so no student takes the others' turns.
"""
AT_ONCE = 64
"""Packets that are taken from a socket before others have their turn."""
MOST_CONNECTIONS, MOST_OF_ONE = 256, 16
"""Over TCP, of all payers and of one."""
TO_UNBOUND, TO_UNBOUND_OF_ONE = 8, 2
"""Connections to unbound at a time: it takes ten for each of its threads (unbound.conf(5), incoming-num-tcp)."""
ANSWERED = 5.0
"""Seconds for unbound's answer over TCP, with the waiting for a connection; then SERVFAIL."""
IDLE = 10.0
"""Seconds after which a connection is closed that asks nothing, or doesn't take its answer."""
BIGGEST_QUERY = 1024
"""Bytes by UDP. A question needs a third of it, with all that EDNS adds; of longer ones the rest is lost."""
_BIGGEST = 65535
_BUFFER = 1 << 20

Peer = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Config:
    """What the gate is told (``plan.daemons_unbound.gate``)."""

    listen: Peer
    unbound: Peer
    subnet: IPv4Network
    """The machines' addresses. With the pods' and the server's own, all that may ask: it serves no other network."""
    views: Path
    user: str
    judge: Judge
    ttl: int
    """Seconds for which others may remember that there is no such name."""

    @classmethod
    def read(cls, path: Path) -> Config:
        """From its file."""
        told: dict[str, Any] = json.loads(path.read_text())
        judge = Judge(
            labels_of(told["domain"]),
            frozenset(labels_of(zone) for zone in told["reverse"]),
            IPv4Network(told["pods"]),
            frozenset(told["trusted"]),
        )
        listen, unbound = ((told[key][0], told[key][1]) for key in ("listen", "unbound"))
        subnet = IPv4Network(told["subnet"])
        return cls(listen, unbound, subnet, Path(told["views"]), told["user"], judge, told["ttl"])

    def admits(self, source: str) -> bool:
        """Whether an address may ask at all."""
        address = IPv4Address(source)
        return address in self.judge.pods or address in self.subnet or source in self.judge.trusted


class _Asked(NamedTuple):
    """A question on its way."""

    peer: Peer
    query: bytes
    question: Question


@dataclass(frozen=True, slots=True)
class _Held:
    """A question whose pod isn't known yet."""

    peer: Peer
    query: bytes
    question: Question
    until: Deadline


class Gate:
    """Both sockets for UDP, and the connections."""

    def __init__(self, config: Config, listener: socket.socket, upstream: socket.socket) -> None:
        self._judged = Judged(config.judge, ViewsFile(config.views), config.ttl)
        self._config = config
        self._listener, self._upstream = listener, upstream
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._held: list[_Held] = []
        self._held_of: Counter[str] = Counter()
        self._judged_by: Views | None = None
        """The views that what is held was last judged by."""
        self._looking: asyncio.TimerHandle | None = None
        self._second, self._taken = 0, Counter[str]()
        self._connections: Counter[str] = Counter()
        self._room = asyncio.Semaphore(TO_UNBOUND)
        self._rooms: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """By payer, for as long as somebody holds or waits for a place."""

    def take_questions(self) -> None:
        """From pods, by UDP."""
        for query, peer in _packets(self._listener, BIGGEST_QUERY):
            if not self._config.admits(peer[0]) or self._too_many(peer[0]):
                continue
            try:
                self._take(query, peer)
            except Malformed:
                with contextlib.suppress(Malformed):
                    self._send(dns_message.no_question(query, REFUSED), peer)

    def _too_many(self, source: str) -> bool:
        if (second := int(time.monotonic())) != self._second:
            self._second, self._taken = second, Counter()
        payer, of_class = self._judged.payer(source)
        self._taken[payer] += 1
        return self._taken[payer] > (MOST_OF_A_CLASS if of_class else MOST_A_SECOND)

    def take_answers(self) -> None:
        """From unbound, by UDP."""
        for reply, _ in _packets(self._upstream, _BIGGEST):
            with contextlib.suppress(Malformed):
                number = dns_message.id_of(reply)
                asked = self._asked.get(number)
                if asked is None:
                    continue
                answer = self._judged.answer(asked.query, reply, asked.peer[0], asked.question)
                if answer is not None:
                    del self._asked[number]
                    self._send(dns_message.with_id(answer, dns_message.id_of(asked.query)), asked.peer)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Questions by TCP, one after another (RFC 7766)."""
        source = (writer.get_extra_info("peername") or ("",))[0]  # none: it has gone already
        payer = self._judged.payer(source)[0] if source and self._config.admits(source) else ""
        if not payer or self._connections.total() >= MOST_CONNECTIONS or self._connections[payer] >= MOST_OF_ONE:
            writer.transport.abort()
            return
        self._connections[payer] += 1
        try:
            while True:
                async with asyncio.timeout(IDLE):
                    query = await _read(reader)
                if self._too_many(source):
                    return
                answer = await self._by_tcp(query, source)
                writer.write(len(answer).to_bytes(2) + answer)
                async with asyncio.timeout(IDLE):
                    await writer.drain()
        except (OSError, TimeoutError, EOFError, Malformed):
            pass
        finally:
            writer.transport.abort()  # whoever doesn't take an answer must not keep it here
            self._connections -= Counter({payer: 1})

    async def _by_tcp(self, query: bytes, source: str) -> bytes:
        try:
            if len(query) > BIGGEST_QUERY:
                raise Malformed("longer than any question")
            asked = dns_message.question(query)
        except Malformed:
            return dns_message.no_question(query, REFUSED)
        until = Deadline(HOLD)
        while (verdict := self._judged.question(source, asked)) is Verdict.WAIT:
            if not await until.pause_async(AGAIN):
                return dns_message.refusal(query, SERVFAIL)
        if verdict is Verdict.HIDE:
            return self._judged.hidden(query, asked)
        try:
            reply = await self._unbound_by_tcp(query, self._judged.payer(source)[0])
        except (OSError, TimeoutError, EOFError):
            return dns_message.refusal(query, SERVFAIL)
        answer = self._judged.answer(query, reply, source, asked, tcp=True)
        return answer or dns_message.refusal(query, SERVFAIL)

    async def _unbound_by_tcp(self, query: bytes, payer: str) -> bytes:
        own = self._rooms.setdefault(payer, asyncio.Semaphore(TO_UNBOUND_OF_ONE))
        async with asyncio.timeout(ANSWERED), own, self._room:
            reader, writer = await asyncio.open_connection(*self._config.unbound)
            try:
                writer.write(len(query).to_bytes(2) + query)
                return await _read(reader)
            finally:
                writer.transport.abort()

    def _take(self, query: bytes, peer: Peer) -> None:
        asked = dns_message.question(query)
        verdict = self._judged.question(peer[0], asked)
        if verdict is Verdict.WAIT:
            self._hold(query, peer, asked)
        else:
            self._decided(verdict, query, peer, asked)

    def _decided(self, verdict: Verdict, query: bytes, peer: Peer, asked: Question) -> None:
        if verdict is Verdict.HIDE:
            self._send(self._judged.hidden(query, asked), peer)
            return
        self._number = (self._number + 1) % ON_THE_WAY
        self._asked[self._number] = _Asked(peer, query, asked)
        self._pass(dns_message.with_id(query, self._number))

    def _pass(self, query: bytes) -> None:
        """To unbound; while that is away a question is lost, and whoever asks will ask again."""
        for _ in range(2):
            try:
                self._upstream.send(query)
            except ConnectionRefusedError:  # the last one's end, told only now; this one has not been sent
                continue
            except OSError:
                pass
            return

    def _hold(self, query: bytes, peer: Peer, asked: Question) -> None:
        if len(self._held) >= MOST_HELD or self._held_of[peer[0]] >= MOST_HELD_OF_ONE:
            self._send(dns_message.refusal(query, SERVFAIL), peer)
            return
        self._held.append(_Held(peer, query, asked, Deadline(HOLD)))
        self._held_of[peer[0]] += 1
        self._look_later()

    def _look_later(self) -> None:
        if self._looking is None and self._held:
            self._looking = asyncio.get_running_loop().call_later(AGAIN, self._look)

    def _look(self) -> None:
        """At what is held: who is known now, and for whom it is too late."""
        self._looking = None
        views = self._judged.views()
        changed, self._judged_by = views is not self._judged_by, views
        held, self._held, self._held_of = self._held, [], Counter()
        for one in held:
            verdict = self._judged.question(one.peer[0], one.question) if changed else Verdict.WAIT
            if verdict is not Verdict.WAIT:
                self._decided(verdict, one.query, one.peer, one.question)
            elif one.until.passed:
                self._send(dns_message.refusal(one.query, SERVFAIL), one.peer)
            else:
                self._held.append(one)
                self._held_of[one.peer[0]] += 1
        self._look_later()

    def _send(self, packet: bytes, peer: Peer) -> None:
        with contextlib.suppress(OSError):  # no way to it, or no room: a packet that is lost
            self._listener.sendto(packet, peer)


def _packets(sock: socket.socket, size: int) -> Iterator[tuple[bytes, Peer]]:
    """What has arrived; a socket that others have closed the way to (unbound is restarted) has nothing."""
    for _ in range(AT_ONCE):
        try:
            yield sock.recvfrom(size)
        except OSError:
            return


async def _read(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))


@contextlib.contextmanager
def sockets(config: Config) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The one that pods ask, and the one to unbound."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream,
    ):
        for one in (listener, upstream):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            one.setblocking(False)
        listener.bind(config.listen)
        upstream.connect(config.unbound)
        yield listener, upstream


async def serve(config: Config) -> None:
    """Until it is cancelled."""
    loop = asyncio.get_running_loop()
    with sockets(config) as (listener, upstream):
        gate = Gate(config, listener, upstream)
        connections = await asyncio.start_server(gate.connection, *config.listen, limit=_BIGGEST + 2)
        loop.add_reader(listener, gate.take_questions)
        loop.add_reader(upstream, gate.take_answers)
        try:
            await asyncio.Event().wait()
        finally:
            connections.close()
            loop.remove_reader(listener)
            loop.remove_reader(upstream)


def become(user: str) -> None:
    """Give up root's rights for those of ``user``, for good."""
    if os.geteuid() != 0:
        return
    found = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(found.pw_gid)
    os.setuid(found.pw_uid)


async def _until_told(config: Config) -> None:
    serving = asyncio.ensure_future(serve(config))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def main() -> None:
    """The program."""
    config = Config.read(Path(sys.argv[1]))
    become(config.user)
    asyncio.run(_until_told(config))


if __name__ == "__main__":
    main()
