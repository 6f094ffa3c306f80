"""A timetable kept by the real server: ``nodisk room on`` in a lesson, the PCs' own disks outside of one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.interop.server.rooms import Room
from tests.support.waits import LONG, until

from nodisk.records.events import Kind
from nodisk.records.turns import Turned
from nodisk.spec.lessons import DAYS
from nodisk.spec.timetable import Turn

HOURS = (2, 9)
"""A lesson that goes on, and one that doesn't: hours from now to its end; both are three hours long."""


def write(room: Room, ends_in: int) -> None:
    begin, end = (datetime.now(UTC) + timedelta(hours=hours) for hours in (ends_in - 3, ends_in))
    lesson = f"{DAYS[begin.weekday()]} {begin:%H:%M}-{end:%H:%M}"
    text, _, _ = room.lab_file.read_text().partition("timetable:")
    room.lab_file.write_text(f"{text}timetable: {{lessons: ['{lesson}'], timezone: UTC}}\n")


def wait_for(what: Callable[[], bool], room: Room) -> None:
    until(what, every=0.1, why=(room.folder / "serve.log").read_text)


def said(room: Room, words: str) -> int:
    with room.database() as database:
        return sum(words in event.detail for event in database.events(kinds=(Kind.DAEMON,)))


def script(room: Room) -> str:
    return room.curl(f"{room.name}-w1", f"http://10.99.0.1/boot/{room.machine('w1').mac.hyphened}.ipxe")


def test_a_lesson_that_goes_on(empty_room: Room) -> None:
    room = empty_room
    w1 = room.machine("w1")
    room.plug("w1", str(w1.mac), str(w1.address))
    write(room, HOURS[0])
    room.start()
    wait_for(room.armed, room)
    assert said(room, "timetable: switching the room on: lesson") == 1
    assert "nodisk.nonce=" in script(room)

    # The server ends, and with it what it has begun; the next one begins it again.
    began = time.monotonic()
    assert room.stop() == 0
    assert time.monotonic() - began < LONG
    assert not room.armed()
    room.start()
    wait_for(room.armed, room)
    assert said(room, "timetable: switching the room on: lesson") == 2

    # A command wins.
    room.nodisk("room", "off", "--no-drain", "--within", "1", check=False)
    wait_for(lambda: said(room, "timetable: a command was given") == 1, room)
    assert not room.armed()
    assert "boots its own disk" in script(room)
    with room.database() as database:
        last = database.turned()
    assert last is not None
    assert (last.turn, last.by_hand) == (Turn.OFF, True)


def test_a_lesson_that_is_no_more(empty_room: Room) -> None:
    room = empty_room
    w1 = room.machine("w1")
    room.plug("w1", str(w1.mac), str(w1.address))
    write(room, HOURS[0])
    room.start()
    wait_for(room.armed, room)
    write(room, HOURS[1])
    assert room.server is not None
    room.server.send_signal(signal.SIGHUP)
    wait_for(lambda: said(room, "timetable: switching the room off: the lesson it was on for is no longer") == 1, room)
    wait_for(lambda: not room.armed(), room)
    assert "boots its own disk" in script(room)
    with room.database() as database:
        database.turn(Turned(Turn.ON, time.time(), by_hand=True))
    assert "nodisk: the lab is not armed" in script(room), "switched on by hand: the lab's own Linux"
