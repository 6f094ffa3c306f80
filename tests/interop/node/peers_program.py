"""The real nodisk-peers, compiled for the tests, and honest and dishonest ones to talk to."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from nodisk.assets.work import RECIPES
from nodisk.plan import chunks

SOURCES = RECIPES / "peers"
STEP = chunks.SMALLEST


def compile_program(folder: Path, *flags: str) -> Path:
    """The program; with warnings as errors, as the image's recipe compiles it."""
    program = folder / f"nodisk-peers{'-'.join(('', *flags)).replace('=', '-').replace(',', '-')}"
    words = ["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-o", str(program)]
    subprocess.run([*words, *map(str, sorted(SOURCES.glob("*.c")))], check=True, capture_output=True, text=True)
    return program


@dataclass
class Content:
    """A file and its manifest."""

    data: bytes
    folder: Path
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        text = chunks.manifest(io.BytesIO(self.data).read, len(self.data))
        (self.folder / "root.chunks").write_text(text, encoding="ascii")
        self.sha256 = hashlib.sha256(text.encode()).hexdigest()

    @property
    def path(self) -> str:
        return f"/assets/{hashlib.sha256(self.data).hexdigest()}/root.squashfs"


class Server(http.server.BaseHTTPRequestHandler):
    """The server as far as the program asks it: ranges, and the list of peers. ``given`` counts bytes."""

    protocol_version = "HTTP/1.1"
    content: Content
    peers: str = ""
    given: Counter[str]
    manifest: bytes
    events: list[str]
    altered = False
    silent = False
    """Whether it has no chunks any more, only the list."""

    def do_GET(self) -> None:
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if self.path == "/peers":
            body = self.peers.encode()
            self.send_response(200)
        elif self.path.endswith("/root.chunks"):
            body = self.manifest
            self.send_response(200)
        elif self.path == self.content.path and not found and not self.silent:
            body = self.content.data
            self.send_response(200)
        elif self.path == self.content.path and found and not self.silent:
            first, last = map(int, found.groups())
            body = self.content.data[first : last + 1]
            body = b"X" + body[1:] if self.altered else body
            self.given["bytes"] += len(body)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.content.data)}")
        else:
            body = b""
            self.send_response(404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.events.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextmanager
def serving(content: Content, peers: str = "", *, altered: bool = False) -> Iterator[tuple[type[Server], int]]:
    manifest = (content.folder / "root.chunks").read_bytes()
    found = {"content": content, "peers": peers, "altered": altered, "manifest": manifest}
    found |= {"given": Counter(), "events": []}
    handler = type("Handler", (Server,), found)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=partial(httpd.serve_forever, 0.05), daemon=True).start()
        yield handler, httpd.server_address[1]
        httpd.shutdown()


@dataclass
class Program:
    """One that runs: its lines, until it ends."""

    process: subprocess.Popen[str]
    file: Path

    def lines(self) -> Iterator[str]:
        """Its lines as they come."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield line.rstrip("\n")

    def until_done(self) -> list[str]:
        """Its lines, the last of them ``done …``; raises AssertionError if it ended without."""
        found = []
        for line in self.lines():
            found.append(line)
            if line.startswith("done "):
                return found
        self.process.wait()
        raise AssertionError(
            f"ended with {self.process.returncode}: {found} {self.process.stderr and self.process.stderr.read()}"
        )


@contextmanager
def running(
    program: Path, content: Content, file: Path, *, server: int, address: str, rate: int = 0, leave: bool = False
) -> Iterator[Program]:
    """The program, fetching ``file``; ended afterwards. The rights of ``file`` are taken before it gives up its own."""
    words = [program, file, content.folder / "root.chunks", content.sha256, f"127.0.0.1:{server}", address, rate]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                [*map(str, words), *(["leave"] if leave else [])],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # The search for leaks starts a process, which this program may not.
                env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
            )
        )
        stack.callback(process.kill)
        yield Program(process, file)
