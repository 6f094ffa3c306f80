"""``nodisk timetable``, and what ``status`` and ``check`` say of the timetable."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from tests.unit.spec.labs import lab

from nodisk.check import timetable as check
from nodisk.check.findings import Finding
from nodisk.cli import nodisk
from nodisk.context import LabContext
from nodisk.machines import status, status_table
from nodisk.records.database import Database
from nodisk.records.turns import Turned
from nodisk.server import unit
from nodisk.spec.lessons import DAYS
from nodisk.spec.load import parse
from nodisk.spec.timetable import Turn
from nodisk.state import State

WARSAW = ZoneInfo("Europe/Warsaw")
TODAY = datetime.now(WARSAW)
"""Once: if midnight comes meanwhile, tomorrow's lesson is still the next one."""


def tomorrow(days: int = 1) -> datetime:
    return TODAY + timedelta(days=days)


def written(folder: Path, *, zone: str = ", timezone: Europe/Warsaw", off: str = "") -> Path:
    """A lab with a lesson of tomorrow's day of the week, and with days off."""
    words = f"timetable: {{lessons: ['{DAYS[tomorrow().weekday()]} 10:15-12:00']{zone}, except: [{off}]}}"
    file = folder / "lab.yaml"
    file.write_text(lab(top=words))
    return file


def call(folder: Path, *words: str) -> Result:
    where = ["--lab", str(folder / "lab.yaml"), "--state", str(folder / "state")]
    return CliRunner().invoke(nodisk, ["timetable", *words, *where])


def test_the_next_lessons(tmp_path: Path) -> None:
    written(tmp_path)
    done = call(tmp_path)
    assert done.exit_code == 0, done.output
    first, _, *rows = done.output.splitlines()
    day = f"{tomorrow():%a %Y-%m-%d}"
    assert first.startswith(f"Next: the room is switched on {day} 10:00 (Europe/Warsaw time). But the server is")
    assert len(rows) == 10
    assert re.split(r"\s{2,}", rows[0].strip()) == [day, "10:15-12:00", "10:00", "12:00"]


def test_a_week_with_a_day_off(tmp_path: Path) -> None:
    written(tmp_path, off=f"{tomorrow():%Y-%m-%d}")
    found = json.loads(call(tmp_path, "--week", "--output", "json").output)
    (lesson,) = found["lessons"]
    assert lesson["day_off"] is True
    assert (lesson["on"], lesson["date"]) == (None, f"{tomorrow():%Y-%m-%d}")
    assert found["next"]["time"][:10] == f"{tomorrow(8):%Y-%m-%d}"
    assert "day off" in call(tmp_path, "--week").output
    assert "day off" not in call(tmp_path).output


def test_what_was_done_by_hand_is_shown(tmp_path: Path) -> None:
    file = written(tmp_path)
    state = State(tmp_path / "state").lab("room")
    state.database.parent.mkdir(parents=True)
    with Database(state.database) as database:
        database.turn(Turned(Turn.ON, time.time(), by_hand=True))
    found = json.loads(call(tmp_path, "--output", "json").output)
    assert (found["room"]["turn"], found["room"]["by"]) == ("on", "command")
    assert found["next"]["turn"] == "on", "for a lesson, which then ends it"
    seen = status.collect(LabContext(parse(file.read_text(), file=file), file, state, None), wait=0.1)
    assert status.to_json(seen)["timetable"] == found["next"]
    assert f"the timetable switches the room on {tomorrow():%a %Y-%m-%d} 10:00" in status_table.summary(seen)


def test_no_timetable(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(lab())
    done = call(tmp_path)
    assert done.exit_code != 0
    assert "has no timetable" in str(done.exception)


def checked(file: Path, root: Path, *, virtual: bool = False) -> list[Finding]:
    return check.timetable(parse(file.read_text(), file=file), file, virtual=virtual, service=unit.Service(root))


def test_check(tmp_path: Path) -> None:
    file = written(tmp_path)
    service, power = checked(file, tmp_path)
    assert "not installed as a service" in service.message
    assert power.message.startswith("cp1, w1: no `power:`")
    target = unit.Service(tmp_path)
    target.path.parent.mkdir(parents=True)
    target.path.write_text(unit.render(["/usr/bin/python3"], Path("/another/lab.yaml"), tmp_path))
    assert "serves another lab.yaml" in checked(file, tmp_path)[0].message
    target.path.write_text(unit.render(["/usr/bin/python3"], file, tmp_path))
    file.write_text(re.sub(r"(address: 10.77.0.1[12][^}]*)}", r"\1, power: {kind: wake-on-lan}}", file.read_text()))
    (fine,) = checked(file, tmp_path)
    assert fine.message == f"the room is next switched on {tomorrow():%a %Y-%m-%d} 10:00"
    assert checked(file, tmp_path, virtual=True) == [fine]


def test_check_asks_for_a_time_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, zone="")
    monkeypatch.setattr("nodisk.spec.timetable.server_zone", lambda: UTC)
    (found,) = checked(file, tmp_path, virtual=True)
    assert "the server's own time zone, which is UTC" in found.message
