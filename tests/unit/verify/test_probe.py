"""The probe program against real sockets on loopback."""

from __future__ import annotations

import http.server
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.free_ports import free_port

from nodisk import run


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 404)
        self.end_headers()
        self.wfile.write(b"pod: here\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def probe(*wishes: dict[str, Any]) -> list[dict[str, Any]]:
    done = run.run([sys.executable, "-m", "nodisk.verify.probe"], stdin=json.dumps(wishes), timeout=120)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def test_answers_come_in_the_order_of_the_wishes(port: int) -> None:
    began = time.monotonic()
    good, missing, refused, later = probe(
        {"kind": "http", "host": "127.0.0.1", "port": port, "timeout": 60},
        {"kind": "http", "host": "127.0.0.1", "port": port, "timeout": 60, "path": "/no"},
        {"kind": "http", "host": "127.0.0.1", "port": free_port(), "timeout": 60},
        {"kind": "until", "host": "127.0.0.1", "port": port, "for": 60},
    )
    assert (good["ok"], good["body"]) == (True, "pod: here\n")
    assert (missing["ok"], missing["error"]) == (False, "HTTP status 404")
    assert refused["ok"] is False
    assert "refused" in refused["error"]
    assert began <= later["at"] <= time.monotonic()  # the same clock as ours


def test_waiting_for_what_never_comes_ends() -> None:
    (never,) = probe({"kind": "until", "host": "127.0.0.1", "port": free_port(), "for": 0.2})
    assert never["ok"] is False
    assert never["seconds"] < 60


def test_a_connection_that_nobody_answers_is_not_enough() -> None:
    """As kube-proxy's socket that only holds a NodePort."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as placeholder:
        wish = {"kind": "until", "host": "127.0.0.1", "port": placeholder.getsockname()[1], "for": 0.3}
        (silent,) = probe(wish)
        assert (silent["ok"], silent["error"]) == (False, "no answer")


def test_the_first_question_that_is_answered_counts() -> None:
    """Connections are closed, then refused; then a server listens, and its answers are slow."""
    number, opened = free_port(), []

    class Slow(_Handler):
        def do_GET(self) -> None:
            time.sleep(0.2)
            super().do_GET()

    def open_later(closing: socket.socket) -> None:
        with closing:
            for _ in range(5):  # so the probe has begun
                closing.accept()[0].close()
        at = time.monotonic()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", number), Slow)
        opened.append((at, server))
        server.serve_forever()

    listener = socket.create_server(("127.0.0.1", number))
    threading.Thread(target=open_later, args=(listener,), daemon=True).start()
    (found,) = probe({"kind": "until", "host": "127.0.0.1", "port": number, "for": 60})
    ((at, server),) = opened
    server.shutdown()
    server.server_close()
    assert found["ok"], found
    assert -0.2 < found["at"] - at < 10
