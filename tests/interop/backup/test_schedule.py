"""The server's scheduled backups, made by real commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.waits import until_async
from tests.unit.spec.labs import TEN_LINES

from nodisk.backup import schedule
from nodisk.context import LabContext
from nodisk.pki.authority import Authority
from nodisk.records import backups
from nodisk.records.database import Database
from nodisk.records.events import Event, Kind
from nodisk.spec.load import load
from nodisk.state import State

pytestmark = pytest.mark.interop


def test_made_at_once_and_alarmed_when_old(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(f"{TEN_LINES}backup: {{target: backups, schedule: hourly}}\n")
    lab, state = load(file), State(tmp_path / "state").lab("room")
    Authority(state, lab).ensure()
    said: list[str] = []
    began = time.time()

    def alarms() -> list[Event]:
        with Database(state.database) as database:
            return database.events(kinds=(Kind.ALARM,))

    async def run(come: Callable[[], bool]) -> None:
        task = asyncio.create_task(schedule.keep(LabContext(lab, file, state, None), said.append, every=0.05))
        await until_async(come, every=0.05, why=lambda: (said, alarms()))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run(lambda: bool(said)))
    assert said[0].startswith("Backup ")
    assert (tmp_path / "backups/config").exists()
    made = backups.read(state).made
    assert made is not None
    assert made >= began
    backups.note_made(state, made - 3 * 3600, "0123abcd", "")
    (tmp_path / "backups").rename(tmp_path / "gone")
    (tmp_path / "backups").write_text("not a folder")
    said.clear()
    asyncio.run(run(lambda: bool(said and alarms())))
    assert "failed and will be tried again" in said[0]
    assert "can't be a folder" in said[0]
    (alarm,) = alarms()
    assert "a later one was due" in alarm.detail


def test_alarmed_where_the_first_one_fails(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(f"{TEN_LINES}backup: {{target: backups, schedule: hourly}}\n")
    lab, state = load(file), State(tmp_path / "state").lab("room")
    Authority(state, lab).ensure()
    (tmp_path / "backups").write_text("not a folder")
    said: list[str] = []

    def alarms() -> list[Event]:
        with Database(state.database) as database:
            return database.events(kinds=(Kind.ALARM,))

    async def run() -> None:
        task = asyncio.create_task(schedule.keep(LabContext(lab, file, state, None), said.append, every=0.05))
        await until_async(lambda: said and alarms(), every=0.05, why=lambda: (said, alarms()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    (alarm,) = alarms()
    assert alarm.detail == "backup: there is no backup yet"
