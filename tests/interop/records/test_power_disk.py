"""The disk of a server that is a machine: killed, it has what was flushed, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.power_machine import Disk
from tests.support.waits import until

pytestmark = pytest.mark.interop


def test_what_was_not_flushed_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "disk.img"
    file.write_bytes(bytes(1 << 20))
    disk = Disk(file, tmp_path)
    steps = ("write -P 1 0 4096", "flush", "write -P 2 4096 4096", "read -P 2 4096 4096", "sleep 600000")
    words = [
        "stdbuf",
        "-oL",
        "qemu-io",
        "-f",
        "raw",
        "-t",
        "writeback",
        *(word for step in steps for word in ("-c", step)),
    ]
    said = tmp_path / "said"
    with said.open("wb") as out, subprocess.Popen([*words, f"nbd:unix:{tmp_path / 'disk.sock'}"], stdout=out) as client:
        try:
            until(lambda: b"read 4096/4096" in said.read_bytes(), why=said.read_text)
            assert file.read_bytes() == b"\1" * 4096 + bytes((1 << 20) - 4096)
            disk.cut()
        finally:
            client.kill()
            disk.cut()
    assert file.read_bytes() == b"\1" * 4096 + bytes((1 << 20) - 4096)
