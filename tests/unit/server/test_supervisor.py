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
from nodisk.errors import EnvironmentProblem
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


def test_a_change_touches_only_what_is_made_of_something_else(tmp_path: Path) -> None:
    """One stays, one has another configuration, one another command line, one is new, one is gone."""
    conf, other = tmp_path / "conf", tmp_path / "other"
    conf.write_text("1")
    other.write_text("1")
    probed: list[str] = []

    def daemon(name: str, *reads: Path, seconds: str = "1000", version: str = "") -> Daemon:
        async def probe() -> bool:
            probed.append(version)
            return True

        return Daemon(name, ("sleep", seconds), probe, reads)

    async def run() -> None:
        supervisor = Supervisor(tmp_path, lambda _: None)
        first = [daemon("same", conf), daemon("conf", other), daemon("words"), daemon("gone")]
        assert await supervisor.change(first) == ("same", "conf", "words", "gone")
        before = supervisor.pids()
        assert await supervisor.change(first) == ()
        assert supervisor.pids() == before

        other.write_text("2")
        second = [
            daemon("new", version="second"),
            daemon("same", conf, version="second"),
            daemon("conf", other),
            daemon("words", seconds="1001"),
        ]
        assert await supervisor.change(second) == ("new", "conf", "words")
        after = supervisor.pids()
        assert after.keys() == {"new", "same", "conf", "words"}
        assert {name for name, pid in after.items() if before.get(name) == pid} == {"same"}
        with pytest.raises(ProcessLookupError):
            os.kill(before["gone"], 0)

        probed.clear()  # what was not touched is started again as the second version has it
        os.kill(after["same"], signal.SIGKILL)
        await until_async(lambda: probed == ["second"])
        await supervisor.stop()
        assert supervisor.pids() == {}

    asyncio.run(run())


def test_a_change_that_fails_leaves_alone_what_goes_on(tmp_path: Path) -> None:
    """And all can be as it was by another change."""
    same, old = Daemon("same", ("sleep", "1000"), answers), Daemon("d", ("sleep", "1000"), answers)

    async def never() -> bool:
        return False

    async def run() -> None:
        supervisor = Supervisor(tmp_path, lambda _: None)
        await supervisor.change([same, old])
        before = supervisor.pids()
        bad = Daemon("d", ("sh", "-c", "echo no such option; exit 2"), never)
        with pytest.raises(EnvironmentProblem, match=r"d ended with status 2:\nno such option"):
            await supervisor.change([same, bad, Daemon("more", ("sleep", "1000"), answers)])
        assert supervisor.pids() == {"same": before["same"]}
        assert await supervisor.change([same, old]) == ("d",)
        assert supervisor.pids()["same"] == before["same"]
        await supervisor.stop()

    asyncio.run(run())


def test_a_daemon_that_waits_to_be_started_again_is_started_by_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACKOFF", (1000,))
    daemon, said = Daemon("d", ("sleep", "1000"), answers), list[str]()

    async def run() -> None:
        supervisor = Supervisor(tmp_path, said.append)
        await supervisor.change([daemon])
        os.kill(supervisor.pids()["d"], signal.SIGKILL)
        await until_async(lambda: any("restarting in 1000 s" in line for line in said))
        assert await supervisor.change([daemon]) == ("d",)
        os.kill(supervisor.pids()["d"], 0)
        await supervisor.stop()

    asyncio.run(run())


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
