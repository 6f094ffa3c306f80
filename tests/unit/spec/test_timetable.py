"""``timetable:``: read with line and column, and its moments in zones whose clocks jump."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.spec.labs import lab

from nodisk.errors import SpecError
from nodisk.spec import timetable as tt
from nodisk.spec.lessons import DAY, DAYS, DaysOff, Lead, Lesson, Zone
from nodisk.spec.load import examine, parse
from nodisk.spec.model_timetable import Outside, Timetable

WARSAW = ZoneInfo("Europe/Warsaw")
ZONES = ("Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago", "UTC")
"""An hour and half an hour, both hemispheres, a jump at midnight, one below standard time in winter, and none."""

lessons = st.builds(
    Lesson,
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    st.integers(0, DAY - 1),
    st.integers(1, DAY - 1),
)
texts = st.one_of(st.text(max_size=40), st.from_regex(r"[a-zM,-]{3,9} [0-9]{1,2}:[0-9]{2}-[0-9]{1,2}:[0-9]{2}"))


def table(*words: str, except_: str = "", lead: str = "15m") -> Timetable:
    data = {"lessons": list(words), "except": except_.split(), "timezone": "Europe/Warsaw", "lead": lead}
    return Timetable.model_validate(data)


@given(lessons)
def test_a_lesson_prints_as_it_is_read(lesson: Lesson) -> None:
    assert Lesson.parse(str(lesson)) == lesson


@given(texts)
def test_any_text_is_a_lesson_or_says_what_to_do(text: str) -> None:
    for kind in (Lesson, DaysOff, Zone, Lead):
        with contextlib.suppress(ValueError):
            assert kind.parse(str(kind.parse(text))) == kind.parse(text)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("mon 10:15-12:00", "mon 10:15-12:00"),
        ("Monday 8:00 - 9:30", "mon 08:00-09:30"),
        ("wed, mon 8:00–9:30", "mon,wed 08:00-09:30"),
        ("tue-thu,sat 8:00-9:00", "tue,wed,thu,sat 08:00-09:00"),
        ("sat-mon 8:00-9:00", "mon,sat,sun 08:00-09:00"),
        ("fri 22:00-01:00", "fri 22:00-01:00"),
        ("fri 22:00-00:00", "fri 22:00-24:00"),
        ("sun 00:00-24:00", "sun 00:00-24:00"),
    ],
)
def test_spellings(text: str, means: str) -> None:
    assert str(Lesson.parse(text)) == means


def test_one_in_lab_yaml() -> None:
    text = """\
timetable:
  lessons:
    - mon 10:15-12:00
    - fri 22:00-01:00   # over midnight
  except: [2026-12-21..2027-01-06, 2026-11-11]
  timezone: Europe/Warsaw
"""
    made = parse(lab(top=text), file="x").timetable
    assert made is not None
    assert [str(off) for off in made.except_] == ["2026-12-21..2027-01-06", "2026-11-11"]
    assert (made.lead, made.outside, str(made.timezone)) == (Lead(15), Outside.DISK, "Europe/Warsaw")
    assert parse(lab(), file="x").timetable is None


@pytest.mark.parametrize(
    ("inside", "at", "problem"),
    [
        ("[mon 10:15-25:00]", "mon", "lessons[0]: '25:00' is not a time of day"),
        ("[mon 8:00-9:00, mon 10:15]", "mon 10", "lessons[1]: 'mon 10:15' is not a lesson; write DAY BEGIN-END"),
        ("[mon,wed 8:00-9:00]", "mon", "lessons[0]: 'mon' is a day without hours; write DAY BEGIN-END; within [ ],"),
        ("[lundi 8:00-9:00]", "lundi", "lessons[0]: 'lundi' is not a day; one of mon, tue"),
        ("[mon 8:00-8:00]", "mon", "lessons[0]: 'mon 8:00-8:00' begins and ends at once"),
        ("[mon 24:00-8:00]", "mon", "lessons[0]: a lesson can't begin at 24:00"),
        ("[]", "[]", "lessons: there are no lessons"),
        (
            "[tue 8:00-9:00, mon-fri 8:30-9:30]",
            "mon",
            "lessons[1]: mon,tue,wed,thu,fri 08:30-09:30 overlaps the lesson on",
        ),
        ("[mon 0:10-0:20, sun 23:00-0:11]", "sun", "lessons[1]: sun 23:00-00:11 overlaps the lesson on line"),
        ("[mon 8:00-16:00, mon 9:00-10:00, mon 11:00-12:00]", "mon 11", "lessons[2]: mon 11:00-12:00 overlaps"),
        ("[mon-sun 0:20-24:00]", "[mon", "lessons: the room would never be off"),
        ("[mon 8:00-9:00], except: [2026-02-30]", "2026", "except[0]: '2026-02-30' is not a day of the calendar"),
        ("[mon 8:00-9:00], except: [2027-01-06..2026-12-21]", "2027", "ends before it begins"),
        ("[mon 8:00-9:00], except: [monday]", "monday", "except[0]: 'monday' is not a date; write 2026-11-11"),
        ("[mon 8:00-9:00], timezone: Mars/Olympus", "Mars", "'Mars/Olympus' is not a time zone; a name such as Europe"),
        ("[mon 8:00-9:00], timezone: ../../etc/passwd", "..", "is not a time zone"),
        ("[mon 8:00-9:00], lead: 5h", "5h", "lead: '5h' is too long; at most 2h"),
        ("[mon 8:00-9:00], lead: soon", "soon", "lead: 'soon' is not a time; use a form like 15m"),
        ("[mon 8:00-9:00], outside: windows", "windows", "write `disk`"),
        ("[mon 8:00-9:00], holidays: [2026-11-11]", "holidays", "here it is called `except`"),
        ("[mon 8:00-9:00], tz: UTC", "tz", "here it is called `timezone`"),
    ],
)
def test_a_problem_has_its_line_and_what_to_do(inside: str, at: str, problem: str) -> None:
    wrong = f"timetable: {{lessons: {inside}}}"
    text = lab(top=wrong)
    place = f"lab.yaml:{text.splitlines().index(wrong) + 1}:{wrong.index(at) + 1}: timetable."
    with pytest.raises(SpecError) as raised:
        parse(text, file="lab.yaml")
    assert any(line.startswith(place) and problem in line for line in raised.value.message.splitlines()), (
        raised.value.message
    )


def test_a_list_and_another_tools_word() -> None:
    _, (problem,) = examine(lab(top="timetable:\n- mon 10:15-12:00"), file="x")
    assert problem.hint == "put the lessons below `lessons:`"
    _, (problem,) = examine(lab(top="schedule: {lessons: [mon 10:15-12:00]}"), file="x")
    assert problem.hint == "here it is called `timetable`"
    _, (problem,) = examine(lab(top="timetable: {except: [2026-01-01]}"), file="x")
    assert problem.message == "'lessons' is missing"


def walls(timetable: Timetable, after: datetime, count: int) -> list[tuple[str, str]]:
    found = islice(tt.sittings(timetable, WARSAW, after), count)
    return [
        tuple(f"{moment.astimezone(WARSAW):%a %d %H:%M%z}" for moment in (one.begins, one.ends))  # type: ignore[misc]
        for one in found
    ]


SPRING, AUTUMN = datetime(2027, 3, 27, 12, tzinfo=UTC), datetime(2027, 10, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lesson", "after", "begins", "ends"),
    [
        ("sun 10:00-11:00", SPRING, "Sun 28 10:00+0200", "Sun 28 11:00+0200"),
        ("sun 02:15-02:45", SPRING, "Sun 28 03:15+0200", "Sun 28 03:45+0200"),  # both in the gap: as much later
        ("sun 02:30-03:15", SPRING, "Sun 28 03:30+0200", "Sun 28 04:15+0200"),  # its begin: it keeps its length
        ("sun 01:00-02:30", SPRING, "Sun 28 01:00+0100", "Sun 28 03:30+0200"),  # its end
        ("sat 23:00-04:00", SPRING, "Sat 27 23:00+0100", "Sun 28 04:00+0200"),  # over all of it: four hours
        ("sun 02:15-02:45", AUTUMN, "Sun 31 02:15+0200", "Sun 31 02:45+0200"),  # the first of both
        ("sun 02:30-03:30", AUTUMN, "Sun 31 02:30+0200", "Sun 31 03:30+0100"),
        ("sat 23:00-04:00", AUTUMN, "Sat 30 23:00+0200", "Sun 31 04:00+0100"),  # six hours
    ],
)
def test_a_night_in_which_the_clocks_change(lesson: str, after: datetime, begins: str, ends: str) -> None:
    assert walls(table(lesson), after, 1) == [(begins, ends)]


def test_days_off_are_those_on_which_a_lesson_begins() -> None:
    timetable = table("fri 22:00-01:00", except_="2026-12-18..2027-01-01 2027-01-09")
    after = datetime(2026, 12, 10, tzinfo=UTC)
    assert [f"{one.day}" for one in islice(tt.sittings(timetable, WARSAW, after), 3)] == [
        "2026-12-11",
        "2027-01-08",  # it ends on the 9th
        "2027-01-15",
    ]
    assert len(list(tt.sittings(table("mon 8:00-9:00", except_="2000-01-01..2999-12-31"), WARSAW, after))) == 0


def test_a_break_is_part_of_the_window_up_to_twice_the_lead() -> None:
    after = datetime(2026, 11, 29, tzinfo=UTC)
    timetable = table("mon 8:00-9:00", "mon 9:30-10:00", "mon 10:31-11:00", "mon 11:00-12:00")
    found = [(f"{one.on:%H:%M}", f"{one.off:%H:%M}") for one in islice(tt.windows(timetable, WARSAW, after), 2)]
    assert found == [("06:45", "09:00"), ("09:16", "11:00")], "UTC; the clock on the wall is an hour ahead"


days = st.dates(date(2020, 1, 1), date(2037, 12, 31))
zones = st.sampled_from(ZONES).map(ZoneInfo)


@st.composite
def tables(draw: st.DrawFn) -> Timetable:
    """Right ones: no overlap, and a pause."""
    leads = st.integers(0, 120).map(Lead)
    made = Timetable.model_construct(
        lessons=tuple(draw(st.lists(lessons, min_size=1, max_size=3))), except_=(), timezone=None, lead=draw(leads)
    )
    if any(tt.problems(made)):  # one that is right for certain, of the same first lesson
        first = made.lessons[0]
        short = Lesson(first.days, first.begin, min(first.length, DAY - 241))
        made = made.model_copy(update={"lessons": (short,)})
    return made


@given(tables(), zones, days)
def test_no_change_is_lost_or_doubled_in_any_week(timetable: Timetable, where: ZoneInfo, day: date) -> None:
    after = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    end = after + timedelta(days=8)
    found = list(takewhile(lambda one: one.begins < end, tt.sittings(timetable, where, after)))
    assert len({(one.day, one.lesson) for one in found}) == len(found)
    assert found == sorted(found, key=lambda one: one.begins)
    wanted = {
        (after.date() + timedelta(days=number), lesson)
        for number in range(2, 6)  # by any zone's calendar between the two ends
        for lesson in timetable.lessons
        if (after.date() + timedelta(days=number)).weekday() in lesson.days
    }
    assert wanted <= {(one.day, one.lesson) for one in found}
    for one in found:
        assert one.begins < one.ends
        wall = datetime(one.day.year, one.day.month, one.day.day) + timedelta(minutes=one.lesson.begin)  # noqa: DTZ001
        shown = one.begins.astimezone(where).replace(tzinfo=None)
        if shown != wall:  # then the clock on the wall never shows it
            assert wall.replace(tzinfo=where).utcoffset() != wall.replace(tzinfo=where, fold=1).utcoffset()
            assert one.ends - one.begins == timedelta(minutes=one.lesson.length)
    changes = list(takewhile(lambda one: one.at < end, tt.changes(timetable, where, after)))
    for earlier, later in pairwise(changes):
        assert earlier.at < later.at
        assert earlier.turn is not later.turn


@given(tables(), zones, days, st.integers(0, 7 * 24 * 60))
def test_a_moments_state_is_that_of_the_last_change(
    timetable: Timetable, where: ZoneInfo, day: date, minutes: int
) -> None:
    """Whenever it is asked: so a server that was away sees the same windows as one that ran."""
    before = datetime(day.year, day.month, day.day, tzinfo=UTC)
    moment = before + timedelta(minutes=minutes)
    passed = list(takewhile(lambda one: one.at <= moment, tt.changes(timetable, where, before - timedelta(days=15))))
    window = tt.window_at(timetable, where, moment)
    assert (window is not None) == (bool(passed) and passed[-1].turn is tt.Turn.ON)
    if window is not None:
        assert window.on == passed[-1].at
        assert all(window.on <= one.begins < one.ends <= window.off for one in window.sittings)
        assert window.on + timetable.lead.delta == window.sittings[0].begins


def test_the_servers_own_zone(tmp_path: Path) -> None:
    assert tt.server_zone(tmp_path / "absent") is UTC
    (tmp_path / "bad").write_text("no zone")
    assert tt.server_zone(tmp_path / "bad") is UTC
    (tmp_path / "cut").write_bytes(b"TZif2")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert [tt.server_zone(tmp_path / name) for name in ("cut", "loop")] == [UTC, UTC]
    whole = Path("/usr/share/zoneinfo/Europe/Warsaw")
    (tmp_path / "localtime").symlink_to(whole)
    assert str(tt.server_zone(tmp_path / "localtime")) == "Europe/Warsaw"
    (tmp_path / "copy").write_bytes(whole.read_bytes())
    found = tt.server_zone(tmp_path / "copy")
    assert datetime(2026, 7, 1, tzinfo=found).utcoffset() == timedelta(hours=2)


def test_a_time_zone_cut_off_anywhere_ends_as_utc(tmp_path: Path) -> None:
    data = Path("/usr/share/zoneinfo/Europe/Warsaw").read_bytes()
    # Behind the last newline but one, zoneinfo alone would never come back.
    for length in (*range(0, len(data), 97), *range(len(data) - 40, len(data))):
        (tmp_path / "cut").write_bytes(data[:length])
        assert tt.server_zone(tmp_path / "cut") is UTC, length


def test_days_are_named() -> None:
    assert [Lesson.parse(f"{day} 8:00-9:00").days for day in DAYS] == [(number,) for number in range(7)]


def test_the_docs_example() -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/timetable.md").read_text(encoding="utf-8")
    made = parse(lab(top=page.partition("```yaml\n")[2].partition("```")[0]), file="x").timetable
    assert made is not None
    assert [str(lesson) for lesson in made.lessons] == ["mon 10:15-12:00", "wed,thu 08:00-09:30", "fri 22:00-01:00"]
    assert made.model_copy(update={"timezone": None}) == Timetable.model_validate(
        {"lessons": made.lessons, "except": made.except_}
    ), "the rest is as without it"
