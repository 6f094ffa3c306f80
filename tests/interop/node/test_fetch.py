"""The initramfs' own fetching, by Debian's busybox, against a server that breaks off or alters."""

from __future__ import annotations

import hashlib
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.waits import LONG

from nodisk import node

pytestmark = pytest.mark.interop
CONTENT = bytes(range(256)) * 8192


class Faulty(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; ``mode`` says what goes wrong; ``seen`` holds the Range of every GET and every event."""

    mode = ""
    seen: list[str]

    def do_GET(self) -> None:
        offset = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in self.headers else 0
        self.seen.append(f"GET {offset}")
        body = CONTENT[offset:]
        self.send_response(206 if offset else 200)
        if offset:
            self.send_header("Content-Range", f"bytes {offset}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.mode == "broken" and not offset:
            body = body[: len(body) // 3]
        if self.mode == "altered":
            body = b"X" + body[1:]
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.seen.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def server() -> Iterator[tuple[type[Faulty], int]]:
    handler = type("Handler", (Faulty,), {"seen": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield handler, httpd.server_address[1]
        httpd.shutdown()


def fetch(port: int, folder: Path) -> subprocess.CompletedProcess[str]:
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is one of the packages that make installs"
    functions = (node.DRACUT / "init").read_text(encoding="utf-8").partition("# ---- in order")[0]
    url = f"http://127.0.0.1:{port}"
    digest = hashlib.sha256(CONTENT).hexdigest()
    line = f"nodisk.rootfs={url}/assets/x/root nodisk.sha256={digest} nodisk.size={len(CONTENT)}"
    (folder / "cmdline").write_text(line)
    for applet in subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split():
        (folder / applet).symlink_to(busybox)
    script = f"""{functions}
export PATH={folder}
say() {{ echo "$*"; }}
sleep() {{ :; }}
fail() {{ event failed "$1: $2"; exit 9; }}
mount --bind {folder}/cmdline /proc/cmdline
mount -t tmpfs run /run
mkdir -p /run/nodisk
mac=52:54:00:00:00:01 server={url} boot_id=x
fetch_rootfs
cmp /run/nodisk/ram/root.squashfs {folder}/wanted
"""
    (folder / "wanted").write_bytes(CONTENT)
    words = ["unshare", "--mount", busybox, "sh", "-c", script]
    return subprocess.run(words, capture_output=True, text=True, timeout=LONG, check=False)


def test_a_transfer_that_breaks_off_is_resumed(server: tuple[type[Faulty], int], tmp_path: Path) -> None:
    handler, port = server
    handler.mode = "broken"
    done = fetch(port, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one for one in handler.seen if one.startswith("GET")] == ["GET 0", f"GET {len(CONTENT) // 3}"]


def test_altered_content_is_never_kept(server: tuple[type[Faulty], int], tmp_path: Path) -> None:
    handler, port = server
    handler.mode = "altered"
    done = fetch(port, tmp_path)
    assert done.returncode == 9, done.stdout + done.stderr
    assert [one for one in handler.seen if one.startswith("GET")] == ["GET 0"] * 6
    assert "stage=failed" in handler.seen[-1]
    # "SHA-256", percent-encoded: the reason names what was wrong.
    assert "%53%48%41%2d%32%35%36" in handler.seen[-1]
