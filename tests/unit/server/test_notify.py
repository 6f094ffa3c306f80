"""systemd's side of the server: the notifications, and the unit that is shipped."""

from __future__ import annotations

import socket
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from nodisk.server.notify import notify


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1\nSTATUS=x")
        assert sock.recv(100) == b"READY=1\nSTATUS=x"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/notify")
    notify("READY=1")


def test_the_shipped_unit_is_one_that_systemd_reads(tmp_path: Path) -> None:
    text = files("nodisk.server").joinpath("nodisk.service").read_text()
    # systemd-analyze insists that the program exists: any does.
    unit = tmp_path / "nodisk.service"
    unit.write_text(text.replace("/opt/nodisk/bin/nodisk", "/bin/true"))
    argv = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "nodisk.service" not in done.stderr, done.stderr
