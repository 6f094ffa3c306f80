"""A proxy between nodisk and a real API server that spoils answers by plan: resets, loses, truncates, delays, refuses.

It ends TLS as the API server would, with the API server's own certificate: what is spoiled is a request or its answer,
not bytes. Who shows a client certificate is forwarded as the administrator, who shows a token with that token.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import re
import socket
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import yaml
from tests.api.apiserver import ControlPlane


class Fault(StrEnum):
    """What happens to one request."""

    NONE = "none"
    RESET = "reset"
    """The connection breaks before the API server hears of the request."""
    LOST = "lost"
    """The API server acts, and its answer is lost."""
    CUT = "cut"
    """The API server acts, and half of its answer arrives."""
    LATE = "late"
    """The answer takes a while."""
    TOO_MANY = "429"
    UNAVAILABLE = "503"
    LEADER = "leader"
    """500: etcd has just changed its leader; nothing was written."""
    TIMEOUT = "504"
    """The API server acts, and then says that it didn't come to an end."""


Plan = Callable[[str, str], Fault]
"""(method, path with query) → what is to happen."""

_SAID = {
    Fault.TOO_MANY: (429, "TooManyRequests", "too many requests, please try again later", "0"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable", "apiserver not ready", "0"),
    Fault.LEADER: (500, "InternalError", "etcdserver: leader changed", None),
    Fault.TIMEOUT: (504, "Timeout", "Timeout: request did not complete within 1m0s", None),
}
_RUN_ID = re.compile("[0-9]{8}[0-9a-f]{4}")
"""As verify and bench have it in the names of what they make."""
_HOPS = {"connection", "transfer-encoding", "content-length", "keep-alive", "host", "accept-encoding"}


def at_random(seed: int, share: float = 0.25) -> Plan:
    """A plan that spoils about that share of all requests.

    The same seed draws the same faults: each for the first, second … request of its kind, so that it doesn't matter
    which of two threads comes first, nor what a run calls itself.
    """
    times, lock = Counter[str](), threading.Lock()
    kinds = [kind for kind in Fault if kind is not Fault.NONE]

    def plan(method: str, path: str) -> Fault:
        request = f"{method} {_RUN_ID.sub('RUN', path.partition('?')[0])}"
        with lock:
            times[request] += 1
            dice = random.Random(f"{seed} {request} {times[request]}")  # noqa: S311 - a plan that can be drawn again
        return dice.choice(kinds) if dice.random() < share else Fault.NONE

    return plan


class FaultProxy:
    """Stands at the lab's ``api.sock`` while ``standing`` lasts. ``met`` counts what happened."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plan: Plan = lambda _, __: Fault.NONE
        self.met: Counter[Fault] = Counter()
        self.lock = threading.Lock()
        pki = plane.lab_state.pki
        self._path = plane.lab_state.run / "api.sock"
        self._address = ("127.0.0.1", plane.port)
        self._serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki / "ca.crt"))
        self._serving.load_cert_chain(plane.folder / "apiserver.crt", plane.folder / "apiserver.key")
        self._serving.verify_mode = ssl.CERT_OPTIONAL
        self._bearer = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._admin = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._admin.load_cert_chain(*_credentials(plane))

    @contextlib.contextmanager
    def standing(self, plane: ControlPlane) -> Iterator[FaultProxy]:
        """In the place of the plain forwarder."""
        plane.forwarder.cut()
        self._path.unlink(missing_ok=True)
        proxy = self

        class Handler(_Handler):
            faults = proxy

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: object, client_address: object) -> None:
                """Broken connections are what this is for."""

        server = Server(str(self._path), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
            plane.forwarder.mend()

    def next(self, method: str, path: str) -> Fault:
        fault = self.plan(method, path)
        with self.lock:
            self.met[fault] += 1
        return fault

    def serving(self, plain: socket.socket) -> ssl.SSLSocket:
        return self._serving.wrap_socket(plain, server_side=True)

    def upstream(self, *, admin: bool) -> http.client.HTTPSConnection:
        context = self._admin if admin else self._bearer
        return http.client.HTTPSConnection(*self._address, context=context, timeout=90)


def _credentials(plane: ControlPlane) -> tuple[Path, Path]:
    import base64

    user = yaml.safe_load(plane.kubeconfig.read_text())["users"][0]["user"]
    files = []
    for key in ("client-certificate", "client-key"):
        path = plane.folder / f"proxy.{key}"
        path.write_bytes(base64.b64decode(user[f"{key}-data"]))
        files.append(path)
    return files[0], files[1]


class _Handler(BaseHTTPRequestHandler):
    faults: FaultProxy
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.request = self.faults.serving(self.request)
        self._up = self.faults.upstream(admin=bool(self.request.getpeercert()))
        super().setup()

    def finish(self) -> None:
        self._up.close()
        with contextlib.suppress(OSError):
            super().finish()
        self.request.close()

    def log_message(self, *_: Any) -> None:
        """Tests read the counts."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.faults.next(self.command, self.path)
        if fault is Fault.LATE:
            time.sleep(0.1)
        if fault is Fault.RESET:
            self._break()
            return
        if fault in (Fault.TOO_MANY, Fault.UNAVAILABLE, Fault.LEADER):
            self._refuse(fault)
            return
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOPS}
        self._up.request(self.command, self.path, body=body or None, headers=headers)
        answer = self._up.getresponse()
        if "watch=true" in self.path and answer.status == 200:
            self._stream(answer, fault)
            return
        data = answer.read()
        if fault is Fault.LOST:
            self._break()
            return
        if fault is Fault.TIMEOUT:
            self._refuse(fault)
            return
        self.send_response_only(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in _HOPS:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault is Fault.CUT else data)
        if fault is Fault.CUT:
            self._break()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names

    def _stream(self, answer: http.client.HTTPResponse, fault: Fault) -> None:
        """A watch, as its pieces come; a fault lets one piece through and breaks amid the next."""
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        whole = 0
        while data := answer.read1(65536):
            if fault is not Fault.NONE and whole:
                self.wfile.write(b"%x\r\n%s" % (len(data), data[: len(data) // 2]))
                self._break()
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            whole += 1
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, fault: Fault) -> None:
        status, reason, message, after = _SAID[fault]
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status}
        data = json.dumps(said | {"reason": reason, "message": message}).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        if after is not None:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _break(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
