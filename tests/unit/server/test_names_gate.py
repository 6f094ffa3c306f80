"""The names' gate on loopback: pods are addresses of 127.244.0.0/16, unbound is a socket that answers by a table."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, cast

import pytest
from tests.support.dns_messages import message, record
from tests.support.free_ports import free_port
from tests.support.waits import LONG, until_async

from nodisk import files
from nodisk.plan.daemons_files import configure, usual_host
from nodisk.plan.name_views import Judge, Labels, Verdict, Views, labels_of
from nodisk.server import dns_message, names_gate
from nodisk.server.dns_message import NXDOMAIN, REFUSED, SERVFAIL, encoded
from nodisk.server.names_gate import Config
from nodisk.server.names_judged import Judged, ViewsFile
from nodisk.spec.load import parse
from nodisk.waiting import Deadline

ANA, BEN, ADDON, NEW, MACHINE, SERVER = (
    "127.244.21.5",
    "127.244.21.6",
    "127.244.21.7",
    "127.244.21.8",
    "127.77.0.21",
    "127.0.0.1",
)
VIEWS = f"common default\ncommon kube-system\npod {ANA} demo-ana\npod {BEN} demo-ben\npod {ADDON} kube-system\n"
WEB = "web.demo-ana.svc.cluster.local"
ADDRESS = "3.2.96.10.in-addr.arpa"
A, PTR, CNAME, TXT = 1, 12, 5, 16
TABLE: dict[tuple[str, int], list[tuple[str, int, bytes]]] = {
    (WEB, A): [(WEB, A, b"\x0a\x60\x02\x03")],
    (WEB, TXT): [],
    (ADDRESS, PTR): [(ADDRESS, PTR, encoded(labels_of(WEB)))],
    (ADDRESS, A): [],
    ("www.example.com", A): [("www.example.com", A, b"\xc0\x00\x02\x01")],
    ("alias.example.com", A): [
        ("alias.example.com", CNAME, encoded(labels_of(WEB))),
        (WEB, A, b"\x0a\x60\x02\x03"),
    ],
    ("gone.example.com", A): [("gone.example.com", CNAME, encoded(labels_of("none.demo-ana.svc.cluster.local")))],
}


def reply(query: bytes) -> bytes:
    """unbound's."""
    asked = dns_message.question(query)
    name = b".".join(asked.name).decode()
    found = TABLE.get((name, asked.kind))
    code = NXDOMAIN if found is None or name == "gone.example.com" else 0
    records = [record(encoded(labels_of(owner)), kind, data) for owner, kind, data in found or ()]
    return message(asked.name, asked.kind, number=dns_message.id_of(query), flags=0x8180 | code, answers=records)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate gives nobody up, on however busy a host, but where a test is about that."""
    for name in ("HOLD", "ANSWERED", "IDLE"):
        monkeypatch.setattr(names_gate, name, LONG)


@dataclass
class Unbound(asyncio.DatagramProtocol):
    """By both ways on one port; ``says``: something else, for the next question."""

    asked: list[str] = field(default_factory=list)
    says: list[bytes] = field(default_factory=list)
    silent: str = ""
    """For this name, by TCP."""
    kept: list[asyncio.StreamWriter] = field(default_factory=list)
    """The connections of those that it says nothing to."""
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        for answer in self._answers(data):
            self.transport.sendto(answer, addr)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        answers = self._answers(query)
        if self.asked[-1] == self.silent:
            self.kept.append(writer)
            await reader.read()
            answers.clear()
        for answer in answers:
            writer.write(len(answer).to_bytes(2) + answer)
        await closed(writer)

    def _answers(self, query: bytes) -> list[bytes]:
        self.asked.append(b".".join(dns_message.question(query).name).decode())
        said = [dns_message.with_id(one, dns_message.id_of(query)) for one in self.says]
        self.says.clear()
        return [*said, reply(query)]


def another() -> socket.socket:
    """For UDP."""
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close it, and wait until it is."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@dataclass
class Running:
    """A gate that runs."""

    config: Config
    unbound: Unbound

    async def raw(self, source: str, query: bytes, *, tcp: bool = False) -> bytes:
        """What ``source`` gets for these bytes."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(LONG):
            if tcp:
                reader, writer = await asyncio.open_connection(*self.config.listen, local_addr=(source, 0))
                writer.write(len(query).to_bytes(2) + query)
                try:
                    return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                finally:
                    await closed(writer)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.bind((source, 0))
                sock.connect(self.config.listen)
                await loop.sock_sendall(sock, query)
                return await loop.sock_recv(sock, 4096)

    async def ask(self, source: str, name: str, kind: int = A, *, tcp: bool = False) -> tuple[int, int]:
        """The code and the number of records that ``source`` gets."""
        got = await self.raw(source, message(labels_of(name), kind, number=4711), tcp=tcp)
        found = dns_message.answer(got)
        assert (dns_message.id_of(got), found.question.name, found.question.kind) == (4711, labels_of(name), kind)
        return found.code, found.records


def config(folder: Path, unbound: int) -> Config:
    """With a port of loopback for it, and ``unbound``'s."""
    lab = parse(
        "name: room\nnetwork: {subnet: 10.77.0.0/24, server: 10.77.0.1}\n"
        "kubernetes: {source: debian, isolation: names}\nmachines:\n"
        "  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}\n",
        file=Path("lab.yaml"),
    )
    told = json.loads(configure(lab, usual_host(lab, folder, folder))["names-gate.json"])
    assert told["listen"] == ["10.77.0.1", 1053]
    told |= {"listen": ["127.0.0.1", free_port()], "unbound": ["127.0.0.1", unbound]}
    told |= {"pods": "127.244.0.0/16", "subnet": "127.77.0.0/24"}
    files.write(folder / "gate.json", json.dumps(told))
    return Config.read(folder / "gate.json")


async def listening(made: Config) -> None:
    """Return when it does."""
    deadline = Deadline(LONG)
    while True:
        try:
            _, writer = await asyncio.open_connection(*made.listen)
        except ConnectionRefusedError:
            assert await deadline.pause_async(0.01)
        else:
            await closed(writer)
            return


@contextlib.asynccontextmanager
async def gate(folder: Path, views: str | None = VIEWS) -> AsyncIterator[Running]:
    unbound, loop, port = Unbound(), asyncio.get_running_loop(), free_port()
    transport, _ = await loop.create_datagram_endpoint(lambda: unbound, ("127.0.0.1", port))
    server = await asyncio.start_server(unbound.connection, "127.0.0.1", port)
    made = config(folder, port)
    if views is not None:
        files.write(made.views, views)
    serving = asyncio.create_task(names_gate.serve(made))
    try:
        await listening(made)
        yield Running(made, unbound)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        server.close()
        transport.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*connections, return_exceptions=True)  # those that have been closed from here end


@pytest.mark.parametrize("tcp", [False, True])
def test_what_each_gets(tmp_path: Path, tcp: bool) -> None:
    async def ask() -> None:
        async with gate(tmp_path) as running:
            for who, wanted in ((ANA, 0), (BEN, NXDOMAIN), (ADDON, 0), (MACHINE, NXDOMAIN), (SERVER, 0)):
                for name, kind in ((WEB, A), (ADDRESS, PTR), ("alias.example.com", A)):
                    code, records = await running.ask(who, name, kind, tcp=tcp)
                    assert (code, bool(records)) == (wanted, not wanted), (who, name)
                assert await running.ask(who, WEB, TXT, tcp=tcp) == (wanted, 0)
                assert await running.ask(who, "www.example.com", tcp=tcp) == (0, 1)

    asyncio.run(ask())


def test_what_is_anothers_looks_like_what_is_not_there(tmp_path: Path) -> None:
    """Byte for byte, so nobody can tell which names, namespaces and addresses there are."""

    async def ask() -> None:
        async with gate(tmp_path) as running:
            for one, other, kinds in (
                (WEB, "web.no-space.svc.cluster.local", (A, TXT)),
                (ADDRESS, "4.2.96.10.in-addr.arpa", (PTR, A, TXT)),
                ("alias.example.com", "gone.example.com", (A,)),
            ):
                for kind in kinds:
                    packets = [message(labels_of(name), kind) for name in (one, other)]
                    there, not_there = [(await running.raw(BEN, packet))[len(packet) :] for packet in packets]
                    assert there == not_there, (one, kind)
            assert running.unbound.asked.count(WEB) == 0, "what the question shows is not even asked"

    asyncio.run(ask())


def test_a_new_pod_waits_until_it_is_known(tmp_path: Path) -> None:
    async def ask() -> None:
        async with gate(tmp_path) as running:
            assert await running.ask(NEW, "www.example.com") == (0, 1), "what is everybody's needs no waiting"
            udp = asyncio.create_task(running.ask(NEW, WEB))
            tcp = asyncio.create_task(running.ask(NEW, WEB, tcp=True))
            done, _ = await asyncio.wait([udp, tcp], timeout=0.3)
            assert not done
            files.write(running.config.views, f"{VIEWS}pod {NEW} demo-ana\n")
            assert [await udp, await tcp] == [(0, 1), (0, 1)]
            files.write(running.config.views, f"{VIEWS}pod {NEW} demo-ben\n")
            assert await running.ask(NEW, WEB) == (NXDOMAIN, 0), "its address is another's from the next question on"

    asyncio.run(ask())


def test_who_stays_unknown_is_told_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_gate, "HOLD", 0.2)
    monkeypatch.setattr(names_gate, "MOST_HELD_OF_ONE", 2)

    async def ask() -> None:
        async with gate(tmp_path) as running:
            for tcp in (False, True):
                assert await running.ask(NEW, WEB, tcp=tcp) == (SERVFAIL, 0)
            assert await asyncio.gather(*(running.ask(NEW, WEB) for _ in range(8))) == [(SERVFAIL, 0)] * 8
            assert running.unbound.asked == []

    asyncio.run(ask())


def test_no_pod_takes_the_others_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a namespace with many pods."""
    monkeypatch.setattr(names_gate, "MOST_OF_A_CLASS", 5)

    async def ask() -> None:
        async with gate(tmp_path, f"{VIEWS}pod {NEW} demo-ben\n") as running:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, another() as more:
                sock.bind((BEN, 0))
                more.bind((NEW, 0))
                for _ in range(100):
                    for one in (sock, more):
                        one.sendto(message(labels_of("www.example.com"), A), running.config.listen)
                assert await running.ask(ANA, WEB) == (0, 1)
            asked = running.unbound.asked.count("www.example.com")
            assert 5 <= asked < 100, "as many in each second that this took"

    asyncio.run(ask())


def test_no_pod_takes_the_others_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_gate, "MOST_OF_ONE", 1)

    async def ask() -> None:
        async with gate(tmp_path, f"{VIEWS}pod {NEW} demo-ben\n") as running:
            _, held = await asyncio.open_connection(*running.config.listen, local_addr=(BEN, 0))
            for who in (BEN, NEW):
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await running.ask(who, "www.example.com", tcp=True)
            assert await running.ask(ANA, WEB, tcp=True) == (0, 1)
            await closed(held)

    asyncio.run(ask())


@pytest.mark.parametrize("views", [None, "common default\nsomething else\n"])
def test_without_views_no_namespace_is_open(tmp_path: Path, views: str | None) -> None:
    async def ask() -> None:
        async with gate(tmp_path, views) as running:
            assert await running.ask(MACHINE, "kubernetes.default.svc.cluster.local") == (NXDOMAIN, 0)
            assert await running.ask(ANA, "www.example.com") == (0, 1)
            assert await running.ask(SERVER, WEB) == (0, 1)

    asyncio.run(ask())


def test_what_is_no_question_is_refused(tmp_path: Path) -> None:
    async def ask() -> None:
        async with gate(tmp_path) as running:
            bad = struct.pack("!6H", 9, 0x0100, 1, 0, 0, 0) + b"\x7f"
            for tcp in (False, True):
                got = await running.raw(BEN, bad, tcp=tcp)
                assert struct.unpack("!6H", got) == (9, 0x8180 | REFUSED, 0, 0, 0, 0)

    asyncio.run(ask())


def test_an_answer_to_another_question_is_none(tmp_path: Path) -> None:
    """One that comes too late, when its number has been given again."""

    async def ask() -> None:
        async with gate(tmp_path) as running:
            running.unbound.says.append(reply(message(labels_of(WEB), A)))
            assert await running.ask(BEN, "www.example.com") == (0, 1)

    asyncio.run(ask())


def test_an_answer_that_cant_be_read_or_is_cut_off_is_not_passed_on(tmp_path: Path) -> None:
    made = config(tmp_path, 53)
    files.write(made.views, VIEWS)
    judged = Judged(made.judge, ViewsFile(made.views), made.ttl)
    query = message(labels_of("www.example.com"), A)
    asked = dns_message.question(query)
    for tcp, code, flags in ((False, 0, 0x0200), (True, SERVFAIL, 0)):
        # What is cut off looks the same whatever its end is, and whether that is there.
        for cut in (0x8380, 0x8383):
            got = judged.answer(query, message(asked.name, A, flags=cut), BEN, asked, tcp=tcp)
            assert got == message(asked.name, A, flags=0x8180 | flags | code)
    alias = record(encoded(asked.name), CNAME, encoded(labels_of(WEB)))
    for cut in (0x8380, 0x8383):
        got = judged.answer(query, message(asked.name, A, flags=cut, answers=[alias]), BEN, asked)
        assert got is not None
        assert dns_message.answer(got)[1:3] == (NXDOMAIN, 0), "what has room is judged first"
    whole = message(asked.name, A, flags=0x8380)
    assert judged.answer(query, whole, ADDON, asked) == whole
    for broken in (reply(query)[:-5], message(asked.name, A), b""):
        got = judged.answer(query, broken, BEN, asked)
        assert got is not None
        assert dns_message.answer(got).code == SERVFAIL


def test_no_pod_takes_the_others_ways_to_unbound(tmp_path: Path) -> None:
    """Even if unbound answers nothing of what one asks; whoever waits has a way as soon as it is free."""

    async def ask() -> None:
        async with gate(tmp_path) as running:
            unbound, most = running.unbound, names_gate.TO_UNBOUND_OF_ONE
            unbound.silent = "www.example.com"
            slow = [asyncio.create_task(running.ask(BEN, "www.example.com", tcp=True)) for _ in range(10)]
            await until_async(lambda: len(unbound.kept) >= most)
            assert await running.ask(ANA, WEB, tcp=True) == (0, 1)
            assert unbound.asked == ["www.example.com"] * most + [WEB]
            unbound.silent = ""
            for writer in unbound.kept:
                writer.close()
            assert sorted([await one for one in slow]) == [(0, 1)] * (10 - most) + [(SERVFAIL, 0)] * most

    asyncio.run(ask())


def test_who_gets_no_answer_over_tcp_is_told_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait for a way to unbound, too."""
    monkeypatch.setattr(names_gate, "ANSWERED", 0.3)

    async def ask() -> None:
        async with gate(tmp_path) as running:
            running.unbound.silent = "www.example.com"
            slow = [running.ask(BEN, "www.example.com", tcp=True) for _ in range(names_gate.TO_UNBOUND_OF_ONE + 2)]
            assert await asyncio.gather(*slow) == [(SERVFAIL, 0)] * len(slow)

    asyncio.run(ask())


def test_no_other_network_is_served(tmp_path: Path) -> None:
    async def ask() -> None:
        async with gate(tmp_path) as running:
            with another() as sock:
                sock.bind(("127.99.0.1", 0))
                sock.sendto(message(labels_of("www.example.com"), A), running.config.listen)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await running.ask("127.99.0.1", "www.example.com", tcp=True)
            assert await running.ask(MACHINE, "gone.example.com") == (NXDOMAIN, 0)
            assert running.unbound.asked == ["gone.example.com"]

    asyncio.run(ask())


def test_a_query_that_is_too_long_is_refused(tmp_path: Path) -> None:
    async def ask() -> None:
        async with gate(tmp_path) as running:
            long = message(labels_of("www.example.com"), A, others=[record(b"\0", 41, bytes(2000))])
            assert struct.unpack_from("!6H", await running.raw(BEN, long, tcp=True))[1] & 0xF == REFUSED
            assert running.unbound.asked == []

    asyncio.run(ask())


def test_no_question_is_lost_after_unbound_is_back(tmp_path: Path) -> None:
    """The kernel tells of the packet that nobody took when the next one is sent."""
    made = config(tmp_path, 53)
    with another() as unbound, another() as upstream, another() as listener, another() as pod:
        at = ("127.0.0.1", free_port())
        unbound.bind(at)
        upstream.connect(at)
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        pod.bind((MACHINE, 0))
        running = names_gate.Gate(made, listener, upstream)
        unbound.close()
        upstream.send(b"lost")
        with another() as back:
            back.bind(at)
            back.settimeout(LONG)
            pod.sendto(message(labels_of("www.example.com"), A), listener.getsockname())
            running.take_questions()
            assert dns_message.question(back.recv(4096)).name == labels_of("www.example.com")


class Counting(Judge):
    """That counts."""

    judgements: ClassVar[list[str]] = []

    def question(self, views: Views, source: str, name: Labels) -> Verdict:
        self.judgements.append(source)
        return super().question(views, source, name)


def test_what_is_held_is_judged_again_only_by_other_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_gate, "HOLD", 0.5)
    made = config(tmp_path, 53)
    files.write(made.views, VIEWS)
    judge = Counting(made.judge.domain, made.judge.reverse, made.judge.pods, made.judge.trusted)

    async def ask() -> None:
        with another() as upstream, another() as listener, another() as pod:
            for one, at in ((listener, "127.0.0.1"), (pod, NEW)):
                one.bind((at, 0))
                one.setblocking(False)
            pod.sendto(message(labels_of(WEB), A), listener.getsockname())
            names_gate.Gate(replace(made, judge=judge), listener, upstream).take_questions()
            async with asyncio.timeout(LONG):
                answer = await asyncio.get_running_loop().sock_recv(pod, 4096)
            assert dns_message.answer(answer).code == SERVFAIL

    asyncio.run(ask())
    assert 1 <= judge.judgements.count(NEW) <= 2
