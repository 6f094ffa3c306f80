"""nodisk-peers as it gives layers of container images: whole blobs by their digest, and nothing else."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.interop.node.peers_program import compile_program
from tests.support.free_ports import free_port
from tests.support.waits import LONG

from nodisk.waiting import Deadline, until

pytestmark = pytest.mark.interop
DATA = hashlib.shake_128(b"a layer").digest(3_000_001)  # alike in each of the processes that collect tests
LAYER = hashlib.sha256(DATA).hexdigest()
SECRET = b"not for others"


@dataclass
class Giver:
    folder: Path
    address: tuple[str, int]
    process: subprocess.Popen[str]

    def ask(self, path: str, method: str = "GET", **headers: str) -> httpx2.Response:
        url = f"http://{self.address[0]}:{self.address[1]}"
        with httpx2.Client(timeout=LONG, trust_env=False) as client:
            return client.request(method, url + path, headers=headers)

    def raw(self, request: bytes) -> bytes:
        """What comes until it closes."""
        with socket.create_connection(self.address, timeout=LONG) as wire:
            wire.sendall(request)
            wire.shutdown(socket.SHUT_WR)
            found = bytearray()
            try:
                while piece := wire.recv(1 << 16):
                    found += piece
            except ConnectionResetError:  # it had not read all that was sent
                pass
            return bytes(found)


@contextmanager
def running(program: Path, folder: Path, rate: int = 0) -> Iterator[Giver]:
    port = free_port()
    words = [str(program), "layers", str(folder / "sha256"), f"127.0.0.1:{port}", str(rate)]
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:

        def answers() -> bool:
            assert process.poll() is None, process.stderr and process.stderr.read()
            with socket.socket() as wire:
                return wire.connect_ex(("127.0.0.1", port)) == 0

        try:
            assert until(answers, Deadline(LONG), every=0.05)
            yield Giver(folder, ("127.0.0.1", port), process)
            assert process.poll() is None, process.stderr and process.stderr.read()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("store")
    made.chmod(0o700)  # as containerd's: only root comes here by its path
    (made / "sha256").mkdir()
    (made / "sha256" / LAYER).write_bytes(DATA)
    (made / "secret").write_bytes(SECRET)
    (made / "sha256" / ("b" * 64)).symlink_to(made / "secret")
    (made / "sha256" / ("c" * 64)).mkdir()
    os.mkfifo(made / "sha256" / ("d" * 64))
    (made / "sha256" / ("e" * 64)).write_bytes(b"")
    (made / "sha256" / ("A" * 64)).write_bytes(SECRET)
    (made / "sha256" / "short").write_bytes(SECRET)
    return made


@pytest.fixture(scope="module")
def giver(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Giver]:
    program = compile_program(
        tmp_path_factory.mktemp("program"), "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
    )
    with running(program, folder) as made:
        yield made


def test_whole_and_from_somewhere_on(giver: Giver) -> None:
    whole = giver.ask(f"/blobs/sha256:{LAYER}")
    assert (whole.status_code, whole.content) == (200, DATA)
    for header, first, last in (
        ("1000-", 1000, len(DATA) - 1),
        ("5-9", 5, 9),
        ("3000000-9999999", 3_000_000, 3_000_000),
    ):
        part = giver.ask(f"/blobs/sha256:{LAYER}", Range=f"bytes={header}")
        assert (part.status_code, part.content) == (206, DATA[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert giver.ask(f"/blobs/sha256:{LAYER}", Range=f"bytes={len(DATA)}-").status_code == 416
    head = giver.ask(f"/blobs/sha256:{LAYER}", "HEAD")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(DATA)), b"")


@pytest.mark.parametrize(
    "path",
    [
        *(f"/blobs/sha256:{letter * 64}" for letter in "abcdeA"),
        *(
            "/",
            "/blobs/",
            "/blobs/sha256:",
            "/blobs/sha256:short",
            f"/blobs/sha256:{LAYER}/",
            f"/blobs/sha256:{LAYER}?x",
        ),
        *("/blobs/sha256:../secret", f"/blobs/sha256:{'../' * 20}etc", f"/v2/x/blobs/sha256:{LAYER}", f"/{LAYER}"),
    ],
)
def test_nothing_else(giver: Giver, path: str) -> None:
    answer = giver.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert SECRET not in answer


def test_it_has_nobodys_rights(giver: Giver) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root")
    status = Path(f"/proc/{giver.process.pid}/status").read_text()
    assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert "NoNewPrivs:\t1" in status


def test_no_faster_than_it_may(folder: Path, tmp_path: Path) -> None:
    with running(compile_program(tmp_path), folder, rate=1_500_000) as limited:
        began = time.monotonic()
        assert limited.ask(f"/blobs/sha256:{LAYER}").content == DATA
        assert time.monotonic() - began > 1.8


PIECES = st.sampled_from(
    [
        b"GET ",
        b"HEAD ",
        b"/blobs/sha256:",
        LAYER.encode(),
        b" HTTP/1.1\r\n",
        b"Range: bytes=",
        b"0-",
        b"-",
        b"9" * 15,
        b"\r\n",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES | st.binary(max_size=20), max_size=12).map(b"".join))
def test_whatever_is_asked_it_goes_on(giver: Giver, request_bytes: bytes) -> None:
    giver.raw(request_bytes)
    assert giver.ask(f"/blobs/sha256:{LAYER}", "HEAD").status_code == 200
