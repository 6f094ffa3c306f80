"""A registry with faults in front of a real one: it passes everything on, and spoils what a test asks it to spoil."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

Spoil = Callable[["Handler", int, bytes], tuple[int, bytes] | None]
"""Gets the request, and the real registry's answer; returns what is answered in its place, or None for no more than a
cut connection."""


@dataclass
class BadRegistry:
    """Use as a context manager; ``spoils``: part of a path → what is done to such a request, as often as it says."""

    real: str
    spoils: dict[str, tuple[int, Spoil]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        owner: BadRegistry = self

        class Bound(Handler):
            bad = owner

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def spoil(self, part: str, how: Spoil, times: int = 1 << 30) -> None:
        self.spoils[part] = (times, how)

    def take(self, path: str) -> Spoil | None:
        """What to do to this request, counted."""
        with self.lock:
            self.asked.append(path)
            for part, (times, how) in self.spoils.items():
                if part in path and times > 0:
                    self.spoils[part] = (times - 1, how)
                    return how
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bad: BadRegistry

    def do_GET(self) -> None:
        how = self.bad.take(self.path)
        real = http.client.HTTPConnection(self.bad.real)
        kept = {key: ", ".join(self.headers.get_all(key, [])) for key in ("Accept", "Range") if key in self.headers}
        real.request(self.command, self.path, headers=kept)
        answer = real.getresponse()
        status, body = answer.status, answer.read()
        length = answer.headers.get("Content-Length")
        headers = [(key, value) for key, value in answer.getheaders() if key not in ("Content-Length", "Date")]
        real.close()
        cut = False
        if how is not None:
            spoiled = how(self, status, body)
            cut = spoiled is None
            if spoiled is not None:
                (status, body), length = spoiled, None
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="private"')
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815 - the base class' way of names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        pass


def cut(_: Handler, __: int, ___: bytes) -> None:
    """Half of the answer, and then the connection's end."""


def lie(_: Handler, status: int, body: bytes) -> tuple[int, bytes]:
    """Other bytes than were asked for, of the same length."""
    return status, bytes(byte ^ 1 for byte in body[:-1]) + body[-1:]


def lie_in_words(_: Handler, status: int, body: bytes) -> tuple[int, bytes]:
    """Another manifest that is just as valid: one space more."""
    return status, body.replace(b"{", b"{ ", 1)


CODES = {401: "UNAUTHORIZED", 429: "TOOMANYREQUESTS"}


def answer(status: int) -> Spoil:
    """An error in place of the content."""
    body = f'{{"errors":[{{"code":"{CODES[status]}","message":"not for you"}}]}}'.encode()
    return lambda _, __, ___: (status, body)
