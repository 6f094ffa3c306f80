"""When a scheduled backup is due, and when the last good one is too old."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.spec.labs import TEN_LINES

from nodisk.check.backup import backup as check
from nodisk.errors import SpecError, UsageError
from nodisk.records import backups
from nodisk.spec.load import parse
from nodisk.spec.model import Lab
from nodisk.state import LabState, State


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def lab(extra: str = "") -> Lab:
    return parse(f"{TEN_LINES}backup: {{target: /srv/backups, {extra}}}\n", file=Path("lab.yaml"))


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    return State(tmp_path).lab("room")


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - hypothesis wants naive ones
def test_systemds_answer_is_read(moment: datetime) -> None:
    when = moment.replace(microsecond=0, tzinfo=UTC)
    utc = f"Next elapse: {when:%a %Y-%m-%d %H:%M:%S} UTC"
    assert backups.elapse(f"  Original form: daily\n    {utc}\n       From now: 8h left\n") == when.timestamp()
    other = f"    Next elapse: Fri 2026-11-27 00:00:00 CET\n       (in UTC): {when:%a %Y-%m-%d %H:%M:%S} UTC\n"
    assert backups.elapse(other) == when.timestamp()


@given(st.text())
def test_any_answer_is_read_or_none(said: str) -> None:
    assert backups.elapse(said) is None or "UTC" in said


def test_systemd_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Warsaw")
    after = at("2026-11-28T12:00:00")
    assert backups.next_after("daily", after) == at("2026-11-28T23:00:00")
    assert backups.next_after("*-*-* *:30:00 UTC", after) == at("2026-11-28T12:30:00")
    for wrong in ("never", "2020-01-01"):
        with pytest.raises(UsageError, match=r"backup\.schedule"):
            backups.next_after(wrong, after)


def test_due_and_late(state: LabState) -> None:
    room = lab("schedule: '*-*-* 00:00:00 UTC'")
    assert not backups.due(lab(), state, 0)
    assert backups.problem(lab(), state, 0) == ""
    assert backups.due(room, state, at("2026-11-28T12:00:00"))
    assert "no backup yet" in backups.problem(room, state, at("2026-11-28T12:00:00"))
    backups.note_made(state, at("2026-11-28T12:00:00"), "0123abcd", "/srv/backups")
    assert not backups.due(room, state, at("2026-11-28T23:59:59"))
    assert backups.due(room, state, at("2026-11-29T00:00:01"))
    assert backups.problem(room, state, at("2026-11-29T23:59:00")) == "", "the one that is due may be running"
    assert "a later one was due" in backups.problem(room, state, at("2026-11-30T00:00:01"))


def test_what_check_says(state: LabState) -> None:
    room, now = lab("schedule: '*-*-* 00:00:00 UTC'"), at("2026-11-28T12:00:00")

    def level(room: Lab) -> str:
        (finding,) = check(room, state, now=now)
        return str(finding.level)

    assert level(parse(TEN_LINES, file=Path("lab.yaml"))) == "ok"
    assert level(room) == "warning"
    backups.note_made(state, now, "0123abcd", "/srv/backups")
    assert level(room) == "warning", "none was proved"
    backups.note_proved(state, now, "0123abcd")
    assert level(room) == "ok"
    assert level(lab("schedule: never")) == "error"


def test_a_damaged_record_is_none(state: LabState) -> None:
    backups.note_made(state, 5, "0123abcd", "/srv/backups")
    backups.path(state).write_text("{")
    assert backups.read(state) == backups.Backups()


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ("schedule: '--help'", "no calendar event"),
        ("keep: {last: 0, daily: 0, weekly: 0, monthly: 0}", "would be kept"),
    ],
)
def test_lab_yaml_is_checked(extra: str, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        lab(extra)
