"""The forwarder: loopback ports that lead to unix sockets, whole and in both directions."""

from __future__ import annotations

import errno
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.free_ports import free_port
from tests.support.waits import until

from nodisk.machines import forward


def serve_echo(path: Path) -> socket.socket:
    """A unix socket that sends back what it gets, reversed, when the sender has ended."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def work() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link:
                data = b""
                while part := link.recv(65536):
                    data += part
                link.sendall(data[::-1])

    threading.Thread(target=work, daemon=True).start()
    return listener


@contextmanager
def forwarder(folder: Path) -> Iterator[dict[str, int]]:
    argv = [sys.executable, "-m", "nodisk.machines.forward", str(folder), str(folder / "ports.json")]
    (folder / forward.RECORD).unlink(missing_ok=True)
    with subprocess.Popen(argv) as child:
        try:
            yield until(lambda: forward.ports(folder), every=0.02, why="it does not say its ports", process=child)
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0


def ask(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        answer = b""
        while part := link.recv(65536):
            answer += part
        return answer


def test_both_directions_whole_and_at_once(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096  # 1 MiB: more than any buffer in between
    api, http = serve_echo(tmp_path / "api.sock"), serve_echo(tmp_path / "http.sock")
    with api, http, forwarder(tmp_path) as ports:
        assert set(ports) == set(forward.SOCKETS)
        answers: list[bytes] = []
        threads = [threading.Thread(target=lambda: answers.append(ask(ports["api"], data))) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [data[::-1]] * 5
        assert ask(ports["http"], b"abc") == b"cba"


def test_a_server_that_is_not_up_closes_the_connection_and_the_same_ports_come_back(tmp_path: Path) -> None:
    wanted = {name: free_port() for name in forward.SOCKETS}  # which nobody is handed between the two
    (tmp_path / "ports.json").write_text(json.dumps(wanted))
    with forwarder(tmp_path) as first:
        assert first == wanted
        assert ask_quietly(first["api"]) == b""
    with forwarder(tmp_path) as second:
        assert second == first


CLOSED = (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
"""Closed amid, before or after the question."""


def ask_quietly(port: int) -> bytes:
    try:
        return ask(port, b"x")
    except OSError as error:
        if error.errno not in CLOSED:
            raise
        return b""


def test_a_record_that_is_not_json_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("{")
    assert forward.earlier_ports(tmp_path / "r") == {}
    (tmp_path / "r").write_text('{"api": 5, "http": "x", "other": 7}')
    assert forward.earlier_ports(tmp_path / "r") == {"api": 5}
