"""The initramfs' own fetching with nodisk-peers, by Debian's busybox: the shell around the program."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests.interop.node.peers_program import STEP, Content, Server, compile_program, running, serving
from tests.support.free_ports import free_port

from nodisk import node

pytestmark = pytest.mark.interop
DATA = hashlib.shake_128(b"initramfs").digest(5 * STEP + 77)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program(tmp_path_factory.mktemp("program"), "-static")


@pytest.fixture
def port() -> int:
    return free_port()


def fetch(server: int, port: int, content: Content, folder: Path, program: Path | None) -> tuple[int, str]:
    """The status and the lines of ``fetch_rootfs``; 9 where it gave up."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is one of the packages that make installs"
    functions = (node.DRACUT / "init").read_text(encoding="utf-8").partition("# ---- in order")[0]
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for applet in subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split():
        (bin_folder / applet).symlink_to(busybox)
    if program is not None:
        shutil.copy(program, bin_folder / "nodisk-peers")
    url = f"http://127.0.0.1:{server}"
    digest = hashlib.sha256(DATA).hexdigest()
    (folder / "cmdline").write_text(
        f"ip=127.0.0.2::10.0.0.1:255.0.0.0:w1::none nodisk.rootfs={url}{content.path} nodisk.sha256={digest}"
        f" nodisk.size={len(DATA)} nodisk.chunks={content.sha256} nodisk.peers={port}:0"
    )
    (folder / "wanted").write_bytes(DATA)
    script = f"""{functions}
export PATH={bin_folder}
say() {{ echo "$*"; }}
sleep() {{ :; }}
fail() {{ event failed "$1: $2"; exit 9; }}
mount --bind {folder}/cmdline /proc/cmdline
mount -t tmpfs run /run
mkdir -p /run/nodisk
mac=52:54:00:00:00:01 server={url} boot_id=x
fetch_rootfs
event rootfs "$came"
cmp /run/nodisk/ram/root.squashfs {folder}/wanted || exit 8
[ -z "$giver" ] || kill "$giver"
"""
    words = ["unshare", "--mount", busybox, "sh", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def details(server: type[Server]) -> list[str]:
    """What the machine reported: stage and detail."""
    fields = [dict(part.partition("=")[::2] for part in one.split("&")) for one in server.events]
    return [f"{one['stage']} {unquote(one['detail'])}".strip() for one in fields]


def test_from_a_machine_that_has_it(program: Path, tmp_path: Path, port: int) -> None:
    content = Content(DATA, tmp_path)
    with serving(content, "127.0.0.3\n") as (server, at), ExitStack() as stack:
        other = stack.enter_context(running(program, content, tmp_path / "1", server=at, address=f"127.0.0.3:{port}"))
        other.until_done()
        server.silent = True
        status, lines = fetch(at, port, content, tmp_path, program)
    assert status == 0, lines
    assert details(server) == ["rootfs 0 MiB from the server, 1 from other machines"]


@pytest.mark.parametrize("there", [True, False])
def test_from_the_server_where_there_is_nobody_or_no_program(
    program: Path, tmp_path: Path, port: int, there: bool
) -> None:
    content = Content(DATA, tmp_path)
    with serving(content) as (server, at):
        status, lines = fetch(at, port, content, tmp_path, program if there else None)
    assert status == 0, lines
    assert details(server) == ["rootfs 1 MiB from the server, 0 from other machines" if there else "rootfs"]


def test_a_manifest_that_is_not_the_command_lines_costs_nothing_but_the_help(
    program: Path, tmp_path: Path, port: int
) -> None:
    content = Content(DATA, tmp_path)
    with serving(content) as (server, at):
        server.manifest = server.manifest.replace(b"nodisk", b"NODISK")
        status, lines = fetch(at, port, content, tmp_path, program)
    assert status == 0, lines
    told = details(server)
    assert "its SHA-256 is not" in told[0]
    assert told[1:] == ["rootfs"]
