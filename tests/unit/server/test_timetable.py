"""The timetable's loop, on a clock that runs fast; the record and the switch are the real ones, the room is not there.

What is due (``records.turns``) is tested by what the loop does: a server that is away, a command meanwhile, a clock
that is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.support.waits import until_async
from tests.unit.spec.labs import TEN_LINES

from nodisk.records.database import Database
from nodisk.records.turns import Due, Plan, Turned
from nodisk.server import room_switch
from nodisk.server.timetable import LONGEST, Keeper, Outcome, Result
from nodisk.spec.model_timetable import Timetable
from nodisk.spec.timetable import Turn

WARSAW = ZoneInfo("Europe/Warsaw")
SETTLE = 20
"""Rounds of the event loop in which every task comes to its next sleep."""


def at(text: str) -> datetime:
    """A time of the clock on the wall of Warsaw."""
    return datetime.fromisoformat(text).replace(tzinfo=WARSAW).astimezone(UTC)


@dataclass
class FastClock:
    """Time passes only while every task sleeps, and then at once."""

    time: datetime
    jump: timedelta = timedelta()
    """How far the clock on the wall is set off the one that sleeps."""
    sleeps: int = 0
    waiting: list[tuple[datetime, int, asyncio.Future[None]]] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time + self.jump

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.sleeps += 1
        done = asyncio.get_running_loop().create_future()
        heapq.heappush(self.waiting, (self.time + timedelta(seconds=seconds), self.sleeps, done))
        await done

    async def run(self, until: datetime) -> None:
        while True:
            for _ in range(SETTLE):
                await asyncio.sleep(0)
            if not self.waiting or self.waiting[0][0] > until:
                self.time = until
                return
            self.time, _, done = heapq.heappop(self.waiting)
            if not done.done():
                done.set_result(None)


@dataclass
class Room:
    """A lab's record, a fast clock, and what the timetable did."""

    plan: Plan
    database: Database
    clock: FastClock
    did: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    """What comes of the next attempts; then all are done."""
    takes: float = 180.0
    """Seconds."""
    longest: float = 1800.0
    """Half an hour in place of a minute, so that weeks take seconds; not where a clock is set."""

    async def act(self, due: Due) -> Result:
        try:
            await self.clock.sleep(self.takes)
        except asyncio.CancelledError:
            self.did.append(f"{self.clock.time.astimezone(WARSAW):%a %d %b %H:%M} {due.turn} cancelled")
            raise
        began = self.clock.time.astimezone(WARSAW) - timedelta(seconds=self.takes)
        self.did.append(f"{began:%a %d %b %H:%M} {due.turn}")
        return self.results.pop(0) if self.results else Result(Outcome.DONE)

    def say(self, text: str) -> None:
        assert text.startswith("timetable: ")
        self.said.append(text.removeprefix("timetable: "))

    def serve(self, until: str, *also: Callable[[], Awaitable[None]]) -> list[str]:
        """Serve until then; what was done meanwhile."""
        asyncio.run(self._serve(at(until), also))
        did, self.did = self.did, []
        return did

    async def _serve(self, until: datetime, also: tuple[Callable[[], Awaitable[None]], ...]) -> None:
        self.clock.waiting.clear()
        keeper = Keeper(self.plan, self.database, self.act, self.say, self.clock, self.longest)
        tasks = [asyncio.ensure_future(keeper.run()), *(asyncio.ensure_future(one()) for one in also)]
        await self.clock.run(until)
        assert not tasks[0].done()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def away(self, until: str) -> None:
        """The server is down until then."""
        self.clock.time = at(until)

    def by_hand(self, turn: Turn, hold: timedelta = timedelta(minutes=30)) -> None:
        """What ``nodisk room`` records."""
        now = self.clock.now().timestamp()
        on = turn is Turn.ON
        self.database.turn(Turned(turn, now, by_hand=True, hold=now + hold.total_seconds() if on else 0.0))

    def coming(self) -> tuple[datetime, Turn] | None:
        found = self.plan.next(self.clock.now(), self.database.turned())
        return None if found is None else (found.at, found.turn)

    def disk(self) -> bool:
        return self.plan.own_disk(self.clock.now(), self.database.turned())


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    with contextlib.ExitStack() as stack:

        def make(start: str, *lessons: str, except_: tuple[str, ...] = (), lead: str = "15m") -> Room:
            data = {"lessons": lessons, "except": except_, "timezone": "Europe/Warsaw", "lead": lead}
            clock = FastClock(at(start))
            database = Database(tmp_path / "nodisk.db", now=lambda: clock.now().timestamp())
            stack.callback(database.close)
            return Room(Plan.of(Timetable.model_validate(data)), database, clock)

        yield make


Make = Callable[..., Room]


def test_four_weeks_with_a_change_of_the_clocks_and_a_holiday(make: Make) -> None:
    room = make(
        "2027-03-15 06:00",
        "mon 10:15-12:00",
        "wed,fri 8:00-9:30",
        "sat 22:00-03:30",
        except_=("2027-03-29..2027-04-02",),
    )
    assert room.serve("2027-04-12 06:00") == [
        "Mon 15 Mar 10:00 on", "Mon 15 Mar 12:00 off",
        "Wed 17 Mar 07:45 on", "Wed 17 Mar 09:30 off", "Fri 19 Mar 07:45 on", "Fri 19 Mar 09:30 off",
        "Sat 20 Mar 21:45 on", "Sun 21 Mar 03:30 off",
        "Mon 22 Mar 10:00 on", "Mon 22 Mar 12:00 off",
        "Wed 24 Mar 07:45 on", "Wed 24 Mar 09:30 off", "Fri 26 Mar 07:45 on", "Fri 26 Mar 09:30 off",
        "Sat 27 Mar 21:45 on", "Sun 28 Mar 03:30 off",
        "Sat 03 Apr 21:45 on", "Sun 04 Apr 03:30 off",
        "Mon 05 Apr 10:00 on", "Mon 05 Apr 12:00 off",
        "Wed 07 Apr 07:45 on", "Wed 07 Apr 09:30 off", "Fri 09 Apr 07:45 on", "Fri 09 Apr 09:30 off",
        "Sat 10 Apr 21:45 on", "Sun 11 Apr 03:30 off",
    ]  # fmt: skip
    assert room.clock.sleeps < 28 * 48 + 26 * 40, "twice an hour, and every five seconds while it does something"
    assert room.said[:2] == ["switching the room on: lesson mon 10:15-12:00 of 2027-03-15", "the room is on"]


def test_a_server_that_is_started_amid_a_lesson(make: Make) -> None:
    room = make("2026-11-30 11:00", "mon 10:15-12:00")
    assert room.serve("2026-11-30 11:30") == ["Mon 30 Nov 11:00 on"], "it was down when the lesson began"
    assert room.serve("2026-11-30 11:40") == [], "it is on already"
    assert room.serve("2026-11-30 13:00") == ["Mon 30 Nov 12:00 off"]


def test_a_server_that_ends_while_it_switches(make: Make) -> None:
    room = make("2026-11-30 09:55", "mon 10:15-12:00")
    assert room.serve("2026-11-30 10:02") == ["Mon 30 Nov 10:02 on cancelled"]
    assert room.serve("2026-11-30 12:01") == ["Mon 30 Nov 10:02 on", "Mon 30 Nov 12:01 off cancelled"]
    assert room.serve("2026-11-30 13:00") == ["Mon 30 Nov 12:01 off"]
    assert [line for line in room.said if line.startswith("switching the room off")] == [
        "switching the room off: end of the lesson mon 10:15-12:00 of 2026-11-30",
        "switching the room off: the last attempt was not finished",
    ]


def test_a_server_that_is_down_at_the_end(make: Make) -> None:
    room = make("2026-11-30 10:00", "mon 10:15-12:00")
    room.serve("2026-11-30 11:00")
    room.away("2026-11-30 15:00")
    assert room.serve("2026-11-30 16:00") == ["Mon 30 Nov 15:00 off"]
    room.away("2026-12-07 10:00")
    room.serve("2026-12-07 11:00")
    room.away("2026-12-08 08:00")
    assert room.serve("2026-12-08 16:00") == []
    assert room.said[-1] == "the lesson ended too long ago: the room is left as it is (nodisk room off)"
    assert room.serve("2026-12-14 10:30") == ["Mon 14 Dec 10:00 on"]


def test_a_server_that_is_down_at_the_end_and_somebody_has_switched_on_since(make: Make) -> None:
    room = make("2026-11-30 10:00", "mon 10:15-12:00")
    room.serve("2026-11-30 11:00")
    room.away("2026-11-30 14:00")
    room.by_hand(Turn.ON)
    assert room.serve("2026-12-01 16:00") == []


def test_off_by_hand_during_a_lesson_holds_until_the_next(make: Make) -> None:
    room = make("2026-11-30 10:00", "mon 10:15-12:00", "mon 14:00-15:00")
    room.serve("2026-11-30 10:30")
    room.by_hand(Turn.OFF)
    assert room.disk()
    assert room.coming() == (at("2026-11-30 13:45"), Turn.ON)
    assert room.serve("2026-11-30 14:10") == ["Mon 30 Nov 13:45 on"]
    assert not room.disk()


def test_on_by_hand_outside_of_a_lesson_is_not_switched_off_early(make: Make) -> None:
    room = make("2026-11-30 13:00", "mon 10:15-12:00", "wed 8:00-9:00")
    room.by_hand(Turn.ON)
    assert not room.disk()
    assert room.serve("2026-12-02 10:00") == ["Wed 02 Dec 07:45 on", "Wed 02 Dec 09:00 off"]
    assert room.disk()


def test_on_by_hand_shortly_before_the_end_holds_for_its_time(make: Make) -> None:
    room = make("2026-11-30 10:00", "mon 10:15-12:00")
    room.serve("2026-11-30 11:50")
    room.by_hand(Turn.ON, hold=timedelta(minutes=90))
    assert room.coming() == (at("2026-11-30 13:20"), Turn.OFF)
    assert room.serve("2026-11-30 16:00") == ["Mon 30 Nov 13:20 off"]
    assert room.serve("2026-12-01 16:00") == []


def test_a_command_meanwhile_ends_what_the_timetable_does(make: Make) -> None:
    room = make("2026-11-30 09:55", "mon 10:15-12:00")
    room.takes = 900

    async def teacher() -> None:
        await room.clock.sleep(420)
        room.by_hand(Turn.OFF)

    assert room.serve("2026-11-30 13:00", teacher) == ["Mon 30 Nov 10:02 on cancelled"]
    assert room.said[-1].startswith("a command was given")


def test_what_fails_is_tried_three_times_and_what_is_missing_once(make: Make) -> None:
    room = make("2026-11-30 10:00", "mon 10:15-12:00")
    room.results = [Result(Outcome.FAILED, "port 67 is taken")] * 2 + [Result(Outcome.PARTLY, "w4: never seen")]
    assert len(room.serve("2026-11-30 11:59")) == 3
    assert [line for line in room.said if "switching" not in line] == [
        "the room could not be switched on: port 67 is taken",
        "the room could not be switched on: port 67 is taken",
        "the room is on, but: w4: never seen",
    ]
    room.results = [Result(Outcome.FAILED, "no")] * 9
    assert len(room.serve("2026-12-06 11:59")) == 3


def test_the_end_has_three_attempts_whatever_failed_before(make: Make) -> None:
    room = make("2026-11-30 11:50", "mon 10:15-12:00")
    room.results = [Result(Outcome.FAILED, "no")] * 9
    assert [turn.rpartition(" ")[2] for turn in room.serve("2026-11-30 13:00")] == ["on", "on", "off", "off", "off"]


def test_a_clock_that_is_set(make: Make) -> None:
    room = make("2026-11-30 09:00", "mon 10:15-12:00")
    room.longest = LONGEST

    async def forward() -> None:
        await room.clock.sleep(600)
        room.clock.jump = timedelta(hours=1)  # 9:10 is 10:10

    assert room.serve("2026-11-30 09:30", forward) == ["Mon 30 Nov 09:10 on"], "within a minute"
    room.clock.jump = timedelta()
    assert room.serve("2026-11-30 09:50") == [], "an hour at most: the lesson is the same one"
    assert room.serve("2026-11-30 12:10") == ["Mon 30 Nov 12:00 off"]


def test_a_step_back_over_a_change_does_nothing_twice(make: Make) -> None:
    room = make("2026-11-30 09:50", "mon 10:15-12:00")
    room.takes = 1
    room.longest = LONGEST

    async def back() -> None:
        await room.clock.sleep(602)  # 10:00:02: it is on
        room.clock.jump = timedelta(seconds=-5)

    assert room.serve("2026-11-30 11:00", back) == ["Mon 30 Nov 10:00 on"]

    async def again() -> None:
        await room.clock.sleep(3610)
        room.clock.jump -= timedelta(seconds=30)

    assert room.serve("2026-11-30 14:00", again) == ["Mon 30 Nov 12:00 off"]


def test_a_clock_that_was_years_ahead(make: Make) -> None:
    room = make("2029-12-03 10:00", "mon 10:15-12:00")
    room.serve("2029-12-03 11:00")
    room.away("2026-11-30 13:00")
    assert room.serve("2026-12-07 13:00") == ["Mon 07 Dec 10:00 on", "Mon 07 Dec 12:00 off"]


def test_a_lesson_that_lab_yaml_has_no_more(make: Make) -> None:
    room = make("2026-11-30 10:00", "mon 10:15-12:00")
    room.serve("2026-11-30 11:00")
    room.plan = Plan.of(
        room.plan.timetable.model_copy(update={"lessons": make("2026-01-01", "tue 8:00-9:00").plan.timetable.lessons})
    )
    assert room.serve("2026-11-30 12:00") == ["Mon 30 Nov 11:00 off"]
    assert "no longer in lab.yaml" in room.said[-2]


def test_outside_of_lessons_a_machine_boots_its_own_disk(make: Make) -> None:
    room = make("2026-11-30 09:59", "mon 10:15-12:00")
    assert room.disk()
    room.away("2026-11-30 10:00")
    assert not room.disk()
    room.away("2026-11-30 12:00")
    assert room.disk()
    lab = room.plan.timetable.model_validate({"lessons": ["mon 10:15-12:00"], "outside": "lab"})
    assert not Plan.of(lab).own_disk(room.clock.now(), None)


def test_the_commands_words() -> None:
    due = Due(Turn.ON, None, until=at("2026-11-30 12:00"))
    assert room_switch.arguments(due, at("2026-11-30 10:00")) == ["room", "on", "--by-timetable", "--for", "1800s"]
    assert room_switch.arguments(due, at("2026-11-30 11:50"))[-1] == "600s"
    assert room_switch.arguments(due, at("2026-11-30 12:00"))[-1] == "60s"
    assert room_switch.arguments(Due(Turn.OFF, None), at("2026-11-30 12:00")) == ["room", "off", "--by-timetable"]


@pytest.mark.parametrize(
    ("status", "output", "means"),
    [
        (0, "28 machines Ready", Result(Outcome.DONE)),
        (6, "w4\nerror: 1 of 2 machines\n  w4: late\nhint: x", Result(Outcome.PARTLY, "1 of 2 machines w4: late")),
        (4, "error: the server is not running", Result(Outcome.FAILED, "the server is not running")),
        (-9, "", Result(Outcome.FAILED, "it ended with status -9")),
        (1, "", Result(Outcome.PARTLY, "it ended with status 1")),
    ],
)
def test_what_a_status_means(status: int, output: str, means: Result) -> None:
    assert room_switch.result(status, output) == means


def test_the_command_itself_is_run(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(TEN_LINES)
    act = room_switch.room_switch(tmp_path / "lab.yaml", tmp_path / "state")
    result = asyncio.run(act(Due(Turn.ON, None, until=datetime.now(UTC) + timedelta(hours=1))))
    assert result == Result(Outcome.FAILED, "the server of room is not running, or not ready yet")


def test_the_command_ends_with_the_server(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lab.yaml")  # nobody writes into it, so that the command can't be over before the server is
    act = room_switch.room_switch(tmp_path / "lab.yaml", tmp_path / "state")

    def runs() -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # one that has just ended
                words = path.read_bytes()
                if b"--by-timetable" in words and bytes(tmp_path) in words:
                    return True
        return False

    async def serve() -> None:
        doing = asyncio.ensure_future(act(Due(Turn.OFF, None)))
        await until_async(lambda: runs() or doing.done(), why="no command was begun")
        doing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await doing
        assert doing.cancelled()

    asyncio.run(serve())
    assert not runs()
