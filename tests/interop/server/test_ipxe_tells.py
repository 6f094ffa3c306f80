"""iPXE itself, on a QEMU machine that lab.yaml doesn't know: what it tells, with nobody at its keyboard."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.unit.spec.labs import TEN_LINES

from nodisk import run
from nodisk.plan import boot
from nodisk.records import sightings
from nodisk.spec.load import parse
from nodisk.values import Mac

pytestmark = pytest.mark.interop

MAC = Mac.parse("52:54:00:aa:bb:01")
UUID = "4c4c4544-0042-3510-8052-b4c04f4a4e31"
WITHIN = 180.0
"""Seconds from power-on to iPXE's request; without KVM on a busy host."""


@contextlib.contextmanager
def server() -> Iterator[tuple[int, queue.Queue[str]]]:
    """Serves the menu to whoever asks; the paths that are asked for."""
    asked: queue.Queue[str] = queue.Queue()
    script = boot.unknown_script(parse(TEN_LINES, file="lab.yaml"), MAC).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(script)))
            self.end_headers()
            self.wfile.write(script)
            asked.put(self.path)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield http.server_port, asked
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@contextlib.contextmanager
def machine(port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A BIOS machine whose network has the lab's server, at whose port 80 is ours."""
    smbios = "type=1,manufacturer=Dell & Sons+ / #1,product=OptiPlex=7010?,serial=A%20 B,uuid=" + UUID
    # 10.77.0.1, the lab's server, can't be the emulated router itself.
    net = (
        "user,id=n,net=10.77.0.0/24,host=10.77.0.2,dns=10.77.0.3,dhcpstart=10.77.0.66,"
        f"bootfile=http://10.77.0.1/boot/{MAC.hyphened}.ipxe,"
        f"guestfwd=tcp:10.77.0.1:80-cmd:socat STDIO TCP:127.0.0.1:{port}"
    )
    words = ["qemu-system-x86_64", "-machine", "pc,accel=tcg", "-cpu", "qemu64", "-m", "256", "-display", "none"]
    words += ["-serial", "none", "-monitor", "none", "-boot", "n", "-smbios", smbios]
    words += ["-netdev", net, "-device", f"e1000,netdev=n,mac={MAC}"]
    process = run.start(words, log_file=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_it_tells_by_itself_what_it_is(tmp_path: Path) -> None:
    with server() as (port, asked), machine(port, tmp_path / "qemu.log") as process:
        try:
            assert asked.get(timeout=WITHIN) == f"/boot/{MAC.hyphened}.ipxe"
            told = urlsplit(asked.get(timeout=WITHIN))
        except queue.Empty:
            pytest.fail(f"nothing was asked; QEMU: {process.poll()} {(tmp_path / 'qemu.log').read_text()}")
    assert told.path == f"/boot/{MAC.hyphened}.ipxe"
    said = sightings.said(dict(parse_qsl(told.query)))
    assert said["manufacturer"] == "Dell & Sons+ / #1"
    assert said["product"] == "OptiPlex=7010?"
    assert said["serial"] == "A%20 B"
    assert said["uuid"] == UUID
    assert said["platform"] == "pcbios"
    assert said["chip"] == "82540em"
    assert said["busid"] == "01:80:86:10:0e"
