"""nodisk-peers against honest, lying, slow and dying ones, and against whatever hypothesis thinks of."""

from __future__ import annotations

import hashlib
import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.interop.node.peers_program import STEP, Content, Program, Server, compile_program, running, serving
from tests.support.free_ports import free_port
from tests.support.waits import LONG, until

pytestmark = pytest.mark.interop
DATA = hashlib.shake_128(b"peers").digest(8 * STEP + 12345)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with AddressSanitizer and UndefinedBehaviorSanitizer: a wrong access ends it."""
    flags = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    return compile_program(tmp_path_factory.mktemp("program"), *flags)


@pytest.fixture
def content(tmp_path: Path) -> Content:
    return Content(DATA, tmp_path)


@pytest.fixture
def port() -> int:
    return free_port()


@contextmanager
def peer(address: str, port: int, speak: type[socketserver.BaseRequestHandler]) -> Iterator[None]:
    """Somebody who listens where a peer would."""

    class Listener(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Listener((address, port), speak) as listener:
        threading.Thread(target=partial(listener.serve_forever, 0.05), daemon=True).start()
        yield
        listener.shutdown()


def answering(after: bytes) -> type[socketserver.BaseRequestHandler]:
    """Answers whatever is asked with these bytes."""

    class Says(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                while self.request.recv(4096):
                    self.request.sendall(after)
            except OSError:
                pass

    return Says


def everything(
    content: Content, *, lying: bool = False, stops_after: int | None = None
) -> type[socketserver.BaseRequestHandler]:
    """A peer that says it has everything; it lies, or goes silent in the midst of a chunk."""
    bits = (len(content.data) + STEP - 1) // STEP
    have = "".join(f"{(1 << min(8, bits - i)) - 1:02x}" for i in range(0, bits, 8))

    class Gives(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                while asked := self.request.recv(4096).decode():
                    if asked.startswith("HEAD"):
                        self.request.sendall(
                            f"HTTP/1.1 200 OK\r\nNodisk-Have: {have}\r\nContent-Length: 0\r\n\r\n".encode()
                        )
                        continue
                    first, last = map(int, asked.partition("bytes=")[2].partition("\r")[0].split("-"))
                    body = content.data[first : last + 1]
                    body = body[:-1] + b"\0" if lying else body
                    head = f"HTTP/1.1 206 P\r\nContent-Range: bytes {first}-{last}/{len(content.data)}\r\n"
                    head += f"Content-Length: {len(body)}\r\n\r\n"
                    self.request.sendall(head.encode() + body[:stops_after])
                    if stops_after is not None:
                        self.request.recv(1)
                        return
            except OSError:
                pass

    return Gives


@contextmanager
def fetching(
    program: Path, content: Content, port: int, peers: str = "", *, altered: bool = False
) -> Iterator[tuple[type[Server], Program]]:
    """One that fetches ``root`` beside the manifest, and leaves then."""
    with ExitStack() as stack:
        server, at = stack.enter_context(serving(content, peers, altered=altered))
        file, address = content.folder / "root", f"127.0.0.2:{port}"
        yield server, stack.enter_context(running(program, content, file, server=at, address=address, leave=True))


def test_from_the_server_alone(checked: Path, content: Content, tmp_path: Path, port: int) -> None:
    with fetching(checked, content, port) as (server, program):
        done = program.until_done()[-1].split()
        assert program.process.wait(LONG) == 0
    assert (tmp_path / "root").read_bytes() == DATA
    assert done[2:] == [str(len(DATA)), "0", "0"]
    assert server.given["bytes"] == len(DATA)


def test_what_is_there_is_not_fetched_again(checked: Path, content: Content, tmp_path: Path, port: int) -> None:
    (tmp_path / "root").write_bytes(DATA[: 3 * STEP] + b"\0" * STEP + DATA[4 * STEP :])
    with fetching(checked, content, port) as (server, program):
        program.until_done()
    assert server.given["bytes"] == STEP
    assert (tmp_path / "root").read_bytes() == DATA


def test_one_that_has_it_gives_it(checked: Path, content: Content, tmp_path: Path, port: int) -> None:
    """Where the server has nothing any more, the second takes all of it from the first."""
    with serving(content, "127.0.0.2\n127.0.0.3\n") as (server, at), ExitStack() as stack:
        first = stack.enter_context(running(checked, content, tmp_path / "1", server=at, address=f"127.0.0.2:{port}"))
        first.until_done()
        server.silent = True
        second = stack.enter_context(running(checked, content, tmp_path / "2", server=at, address=f"127.0.0.3:{port}"))
        assert second.until_done()[-1].split()[2:4] == ["0", str(len(DATA))]
        assert (tmp_path / "2").read_bytes() == DATA
        status = Path(f"/proc/{first.process.pid}/status").read_text()
        if os.geteuid() == 0:
            assert "Uid:\t65534\t65534\t65534\t65534" in status
        assert "NoNewPrivs:\t1" in status


def test_a_liar_is_named_and_never_asked_again(checked: Path, content: Content, tmp_path: Path, port: int) -> None:
    with (
        peer("127.0.0.4", port, everything(content, lying=True)),
        fetching(checked, content, port, "127.0.0.4\n") as (_, program),
    ):
        lines = program.until_done()
    assert (tmp_path / "root").read_bytes() == DATA
    bad = [line for line in lines if line.startswith("bad ")]
    assert len(bad) <= 1
    assert all(line.startswith("bad 127.0.0.4 chunk ") for line in bad)


def test_one_whose_file_is_altered_gives_what_others_throw_away(
    checked: Path, content: Content, tmp_path: Path, port: int
) -> None:
    """It checks what it has once. ``tests/vm/test_0_peers.py`` makes its liar so."""
    (tmp_path / "1").write_bytes(DATA)
    with serving(content, "127.0.0.2\n") as (server, at), ExitStack() as stack:
        liar = stack.enter_context(running(checked, content, tmp_path / "1", server=at, address=f"127.0.0.2:{port}"))
        assert liar.until_done()[-1].split()[2:4] == ["0", "0"]
        assert server.given["bytes"] == 0
        altered = DATA.replace(b"\0", b"\1")
        with (tmp_path / "1").open("r+b") as file:
            file.write(altered)
        with socket.create_connection(("127.0.0.2", port), timeout=LONG) as one:
            one.sendall(ask(content, 0, STEP - 1))
            head, body = answer(one)
        assert "206" in head.splitlines()[0]
        assert body == altered[:STEP] != DATA[:STEP]
        other = stack.enter_context(running(checked, content, tmp_path / "2", server=at, address=f"127.0.0.3:{port}"))
        lines = other.until_done()
        assert (tmp_path / "2").read_bytes() == DATA
        assert lines[-1].split()[2:4] == [str(len(DATA)), "0"]


def test_one_that_stops_in_the_midst_is_left(checked: Path, content: Content, tmp_path: Path, port: int) -> None:
    with (
        peer("127.0.0.4", port, everything(content, stops_after=1000)),
        fetching(checked, content, port, "127.0.0.4\n") as (_, program),
    ):
        program.until_done()
    assert (tmp_path / "root").read_bytes() == DATA


def test_a_server_with_another_file_is_said(checked: Path, content: Content, tmp_path: Path, port: int) -> None:
    with fetching(checked, content, port, altered=True) as (_, program):
        _, errors = program.process.communicate(timeout=LONG)
    assert program.process.returncode == 1
    assert "not what the manifest says" in errors


def test_another_manifest_is_refused(checked: Path, content: Content, tmp_path: Path, port: int) -> None:
    content.sha256 = "0" * 64
    with running(checked, content, tmp_path / "root", server=1, address=f"127.0.0.2:{port}", leave=True) as program:
        _, errors = program.process.communicate(timeout=LONG)
    assert program.process.returncode == 1
    assert "its SHA-256 is not" in errors
    assert not (tmp_path / "root").exists()


def test_the_rate_is_kept(checked: Path, content: Content, tmp_path: Path, port: int) -> None:
    """A machine that has everything gives at most so much; how much it gave in a time says so, not how long it took."""
    with serving(content) as (_, at), ExitStack() as stack:
        address = ("127.0.0.2", port)
        rate = 2 * STEP
        first = stack.enter_context(
            running(checked, content, tmp_path / "1", server=at, address=f"127.0.0.2:{port}", rate=rate)
        )
        first.until_done()
        with socket.create_connection(address, timeout=LONG) as one:
            since = time.monotonic()
            for number in range(3):
                one.sendall(ask(content, number * STEP, (number + 1) * STEP - 1))
                assert answer(one)[1] == DATA[number * STEP : (number + 1) * STEP]
        # The first may come out of what was saved up, and of the kernel's buffers.
        assert time.monotonic() - since >= 0.9


def ask(content: Content, first: int, last: int, path: str = "", head: str = "GET") -> bytes:
    return f"{head} {path or content.path} HTTP/1.1\r\nHost: x\r\nRange: bytes={first}-{last}\r\n\r\n".encode()


def answer(one: socket.socket) -> tuple[str, bytes]:
    """The head and the body of the next answer."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = one.recv(65536)
        if not more:
            return text.decode(), b""
        text += more
    head, _, body = text.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    while len(body) < length:
        body += one.recv(65536)
    return head.decode(), body


@pytest.fixture(scope="module")
def giver(
    checked: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Program, Content, tuple[str, int]]]:
    """One that has everything and runs through all of the tests that attack it."""
    folder = tmp_path_factory.mktemp("giver")
    made = Content(DATA, folder)
    at = free_port()
    with (
        serving(made) as (_, server),
        running(checked, made, folder / "root", server=server, address=f"127.0.0.9:{at}") as program,
    ):
        program.until_done()
        yield program, made, ("127.0.0.9", at)


@pytest.mark.parametrize(
    ("path", "first", "last", "status"),
    [
        ("", 0, STEP - 1, 206),
        ("", len(DATA) - 1, len(DATA) - 1, 206),
        ("", 0, len(DATA), 416),
        ("", 999_999_999_999_999, 999_999_999_999_999, 416),
        ("", 5, 4, 400),
        ("/etc/passwd", 0, 1, 404),
        ("/assets/../etc/passwd", 0, 1, 404),
        ("/" + "a" * 500, 0, 1, 400),
    ],
)
def test_it_answers_ranges_of_its_file_and_nothing_else(
    giver: tuple[Program, Content, tuple[str, int]], path: str, first: int, last: int, status: int
) -> None:
    _, content, address = giver
    with socket.create_connection(address, timeout=LONG) as one:
        one.sendall(ask(content, first, last, path))
        head, body = answer(one)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert body == (DATA[first : last + 1] if status == 206 else b"")
    assert "Nodisk-Have: ff01" in head if status in {206, 416} else "Nodisk-Have" not in head


def honest(giver: tuple[Program, Content, tuple[str, int]]) -> None:
    """Whatever was sent before: it lives and answers."""
    program, content, address = giver

    def answers() -> bool:
        with socket.create_connection(address, timeout=LONG) as one:
            one.sendall(ask(content, 7, 99))
            try:
                _, body = answer(one)
            except ConnectionResetError:
                body = b""
        return body == DATA[7:100]

    # Its places may still be held by connections that have just been closed.
    until(answers, every=0.001, why="it does not give what it has", process=program.process)


REQUEST_PARTS = st.sampled_from(
    [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"/",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"Range: bytes=0-9",
        b"Range:",
        b"bytes=",
        b"-",
        b"999999999999999999999999",
        b": ",
        b"Content-Length: 5",
        b"Connection: close",
        b"\0",
        b" ",
        b"\t",
        b"a" * 300,
    ]
)
PIECES = st.lists(REQUEST_PARTS | st.binary(max_size=40), max_size=30).map(b"".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=PIECES)
def test_no_request_ends_it(giver: tuple[Program, Content, tuple[str, int]], text: bytes) -> None:
    with socket.create_connection(giver[2], timeout=10) as one:
        try:
            one.sendall(text)
            one.shutdown(socket.SHUT_WR)
            while one.recv(65536):
                pass
        except OSError:
            pass
    honest(giver)


def test_connections_that_say_nothing_lock_nobody_out_for_long(giver: tuple[Program, Content, tuple[str, int]]) -> None:
    """One address gets three places; the others stay free."""
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(giver[2], timeout=10))
        with socket.create_connection(giver[2], timeout=LONG, source_address=("127.0.0.77", 0)) as other:
            other.sendall(ask(giver[1], 0, 9))
            assert answer(other)[1] == DATA[:10]
    honest(giver)


RESPONSE_PARTS = st.sampled_from(
    [
        b"HTTP/1.1 206 Partial Content\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 404 N\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"Content-Length: 262144\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: -1\r\n",
        b"Nodisk-Have: ff01\r\n",
        b"Nodisk-Have: " + b"f" * 1024 + b"\r\n",
        b"Nodisk-Have: zz\r\n",
        b"Content-Range: bytes 0-262143/2109497\r\n",
        b"Content-Range: bytes */5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"x" * 2000,
        b"\r",
        b"\n",
        b":",
        b"Content-Length: 99999999999999999999\r\n",
        b"Connection: close\r\n",
    ]
)
ANSWERS = st.lists(RESPONSE_PARTS | st.binary(max_size=40), max_size=12).map(b"".join)


AT_ONCE = 3
"""Programs that run at the same time: each waits two seconds for peers before it asks the server for chunks."""
ASKED_AT_ONCE = 6
"""Peers from which a program takes at the same time."""


def all_fetch(checked: Path, content: Content, port: int, lists: list[str]) -> None:
    """A program for each list of peers: each ends well, and has the file."""
    with ExitStack() as stack:
        programs = []
        for number, peers in enumerate(lists):
            _, at = stack.enter_context(serving(content, peers))
            file, address = content.folder / f"root{number}", f"127.0.0.{2 + number}:{port}"
            file.unlink(missing_ok=True)
            programs.append(
                stack.enter_context(running(checked, content, file, server=at, address=address, leave=True))
            )
        for program in programs:
            program.until_done()
            assert program.file.read_bytes() == DATA


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(ANSWERS, min_size=AT_ONCE * ASKED_AT_ONCE, max_size=AT_ONCE * ASKED_AT_ONCE))
def test_no_answer_of_a_peer_ends_it_or_spoils_the_file(
    checked: Path, content: Content, port: int, texts: list[bytes]
) -> None:
    names = [f"127.0.0.{20 + number}" for number in range(len(texts))]
    with ExitStack() as stack:
        for name, text in zip(names, texts, strict=True):
            stack.enter_context(peer(name, port, answering(text)))
        starts = range(0, len(names), ASKED_AT_ONCE)
        all_fetch(checked, content, port, ["\n".join(names[at : at + ASKED_AT_ONCE]) + "\n" for at in starts])


LISTED = st.lists(
    st.binary(max_size=60) | st.sampled_from([b"127.0.0.5:0", b"1.2.3.4.5", b"256.1.1.1", b"127.0.0.2"]), max_size=40
)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lists=st.lists(LISTED, min_size=AT_ONCE, max_size=AT_ONCE))
def test_no_list_of_peers_ends_it(checked: Path, content: Content, port: int, lists: list[list[bytes]]) -> None:
    all_fetch(checked, content, port, [b"\n".join(listed).decode("latin-1") for listed in lists])
