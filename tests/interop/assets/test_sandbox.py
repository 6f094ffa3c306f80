"""Programs in namespaces of their own: what they print, how they fail, and that nothing of them survives."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.support.waits import LONG, until, until_async

from nodisk import run
from nodisk.assets import sandbox
from nodisk.errors import CommandFailed, EnvironmentProblem, ToolMissing
from nodisk.machines import processes

pytestmark = pytest.mark.interop


def test_output_goes_to_the_log_and_line_by_line_to_the_caller(tmp_path: Path) -> None:
    lines: list[str] = []
    script = 'echo one; printf "two\\rthree"; echo; echo "$EPOCH $HOME ${USER-none}"; ls /proc | grep -c "^[0-9]"'
    words = ["sh", "-c", script]
    asyncio.run(sandbox.build(words, log_file=tmp_path / "log", env={"EPOCH": "5"}, on_line=lines.append))
    assert lines[:4] == ["one", "two", "three", "5 /root none"]
    assert int(lines[4]) <= 4  # it sees its own processes only
    assert (tmp_path / "log").read_text().splitlines()[1:] == lines


def test_a_mount_inside_is_not_seen_outside(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    words = ["sh", "-c", 'mount -t tmpfs nodisk-test "$1" && touch "$1/x"', "sh", str(tmp_path / "m")]
    asyncio.run(sandbox.build(words, log_file=tmp_path / "log"))
    assert list((tmp_path / "m").iterdir()) == []
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


@pytest.mark.parametrize(
    "said",
    [
        "Certificate verification failed: The certificate is NOT trusted. The certificate issuer is unknown.",
        "SSL connection failed: error:0A000086:SSL routines::certificate verify failed / Success",
    ],
)
def test_a_mirror_whose_certificate_apt_does_not_believe_is_told_with_what_to_do(tmp_path: Path, said: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        asyncio.run(sandbox.build(["sh", "-c", 'echo "E: $1"; exit 1', "sh", said], log_file=tmp_path / "log"))
    assert "update-ca-certificates" in str(caught.value.hint)


def test_a_failure_shows_the_last_lines_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        asyncio.run(sandbox.build(["sh", "-c", "echo why >&2; exit 3"], log_file=tmp_path / "log"))
    assert caught.value.returncode == 3
    assert "why" in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("the command was: sh -c")


def test_a_full_disk_is_recognised_in_what_a_program_says(tmp_path: Path) -> None:
    words = ["sh", "-c", "echo cp: error writing x: No space left on device; exit 1"]
    with pytest.raises(EnvironmentProblem, match="is full"):
        asyncio.run(sandbox.build(words, log_file=tmp_path / "log"))


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="nodisk-has-no-such-program"):
        asyncio.run(sandbox.build(["nodisk-has-no-such-program"], log_file=tmp_path / "log"))


def test_cancelled_amid_its_start_a_program_is_dead_on_return(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, begun, real = f"86398.{time.time_ns() % 10**6}", asyncio.Event(), run.start_async

    async def slow(words: list[str | Path]) -> asyncio.subprocess.Process:
        process = await real(words)
        begun.set()
        await asyncio.sleep(0.5)  # a start that is slow
        return process

    async def go() -> None:
        task = asyncio.create_task(sandbox.build(["sleep", mark], log_file=tmp_path / "log"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(run, "start_async", slow)
    asyncio.run(asyncio.wait_for(go(), LONG))
    until(lambda: not running(mark), why=lambda: f"{running(mark)} still there")


def test_cancelled_every_descendant_is_dead_on_return(tmp_path: Path) -> None:
    mark = f"86399.{time.time_ns() % 10**6}"

    async def go() -> None:
        words = ["sh", "-c", f"setsid sleep {mark} & sleep {mark}"]
        task = asyncio.create_task(sandbox.build(words, log_file=tmp_path / "log"))
        await until_async(lambda: len(running(mark)) >= 2, every=0.02, why="sleep was not started")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(go(), LONG))
    until(lambda: not running(mark), why=lambda: f"{running(mark)} still there")


def running(mark: str) -> list[int]:
    return processes.find(["sleep", mark])
