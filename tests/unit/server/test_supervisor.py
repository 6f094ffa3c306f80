"""Daemons are kept running whatever fails around them: the disk, the record of events, a start."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from pathlib import Path

import pytest
from tests.support.waits import until_async

from nodisk import cage
from nodisk.server import supervisor as module
from nodisk.server.supervisor import Daemon, Supervisor


async def answers() -> bool:
    return True


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without namespaces, which take root; and at once."""
    monkeypatch.setattr(cage, "words", lambda: ())
    monkeypatch.setattr(module, "BACKOFF", (0.01,))


def test_a_log_that_cannot_be_written_does_not_hold_up_its_daemon(tmp_path: Path) -> None:
    """/dev/full takes no byte. A daemon that nobody reads stands still when its pipe is full (64 KiB)."""
    (tmp_path / "talker.log").symlink_to("/dev/full")
    (tmp_path / "elsewhere.log").mkdir()
    lines: dict[str, list[str]] = {"talker": [], "elsewhere": []}

    async def run() -> None:
        supervisor = Supervisor(tmp_path, lambda _: None)
        program = ("sh", "-c", "seq 1 50000; exec sleep 1000")
        await supervisor.start([Daemon(name, program, answers, on_line=lines[name].append) for name in lines])
        await until_async(lambda: all(heard and heard[-1] == "50000" for heard in lines.values()))
        await supervisor.stop()

    asyncio.run(run())


def test_a_full_log_is_turned_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LOG", 100)
    with module.Log(tmp_path / "d.log") as log:
        for number in range(30):
            log.write(b"line %d\n" % number)
    assert (tmp_path / "d.log").read_bytes().endswith(b"line 29\n")
    assert 0 < (tmp_path / "d.log.1").stat().st_size < 120


def test_a_start_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    failures = [OSError(errno.ENOMEM, "Cannot allocate memory"), RuntimeError("no such thing")]
    probes = [ValueError("a probe's own mistake")]
    real, ended = cage.start, tmp_path / "ended"
    ends_once = f"[ ! -e {ended} ] || exec sleep 1000; echo words; while [ ! -e {ended} ]; do sleep 0.02; done"

    async def run() -> None:
        async def failing(argv: list[str | Path]) -> asyncio.subprocess.Process:
            if failures:
                raise failures.pop(0)
            return await real(argv)

        async def probe() -> bool:
            if running and probes:
                raise probes.pop()
            return True

        running = False
        supervisor = Supervisor(tmp_path, said.append)
        await supervisor.start([Daemon("d", ("sh", "-c", ends_once), probe)])
        running = True
        monkeypatch.setattr(cage, "start", failing)
        log = tmp_path / "d.log"
        await until_async(
            lambda: log.exists() and "words" in log.read_text()
        )  # else the first one finds it too, and stays
        ended.touch()
        await until_async(lambda: "d is running again" in said)
        await supervisor.stop()

    asyncio.run(run())
    assert said[: said.index("d is running again")] == [
        "d ended (status 0): words; restarting in 0.01 s",
        "d could not be started: Cannot allocate memory; restarting in 0.01 s",
        "d could not be started: RuntimeError: no such thing; restarting in 0.01 s",
        "d could not be started: ValueError: a probe's own mistake; restarting in 0.01 s",
    ]


def test_a_record_that_fails_stops_no_keeper(tmp_path: Path) -> None:
    """As SQLite does on a full disk."""
    told: list[str] = []

    def note(text: str) -> None:
        told.append(text)
        raise OSError(errno.ENOSPC, "No space left on device")

    async def run() -> None:
        supervisor = Supervisor(tmp_path, note)
        await supervisor.start([Daemon("d", ("sleep", "1000"), answers)])
        for times in (1, 2):
            os.kill(supervisor.pids()["d"], signal.SIGKILL)
            await until_async(lambda times=times: told.count("d is running again") == times)  # type: ignore[misc]
        await supervisor.stop()

    asyncio.run(run())
