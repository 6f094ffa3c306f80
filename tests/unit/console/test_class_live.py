"""A class's page that is open: what it is told of its students, who is told nothing more, and what that costs."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.hostile import Found, whatever_it_is_called
from tests.unit.console.consoles import Browser, Room, room_in
from tests.unit.console.streams import PATIENCE, Event, events, told, until
from tests.unit.console.test_classes import NOW, class_

from nodisk.classes import own, plan, record, sizes
from nodisk.classes.manifests import QUOTA
from nodisk.classes.own import All, Shared, Together, Used
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.classes.trouble import Kind as TroubleKind
from nodisk.classes.trouble import Trouble
from nodisk.console import class_looks, common, live
from nodisk.console.class_looks import Look, Looks, Now
from nodisk.context import LabContext
from nodisk.kube.errors import Unreachable
from nodisk.records.console_access import ConsoleRole

PATH = "/live?class=physics&lang=en"
JAN, EWA = "student-jan-kowalski", "student-ewa-zak"
STUDENTS, WATCHERS = 100, 10


class Api:
    """What the API says of a class, and how often it was asked."""

    def __init__(self, room: Room) -> None:
        self.asked = 0
        self.says: Together | Unreachable = Together()
        self.meanwhile: Callable[[], object] = lambda: None
        """Happens while the API is asked."""
        room.console.together = self
        # No look is good enough for a second one.
        room.console.class_looks = Looks(clock=iter(range(1_000_000)).__next__)

    def __call__(self, *_: object) -> Together:
        self.asked += 1
        self.meanwhile()
        if isinstance(self.says, Unreachable):
            raise self.says
        return self.says


@pytest.fixture
def api(room: Room) -> Api:
    return Api(room)


def teacher(room: Room, name: str = "Anna Nowak") -> Browser:
    return room.browser().sign_in(name, ConsoleRole.TEACHER)


def pieces(found: list[Event], element: str) -> list[str]:
    return [event.data for event in found if event.name == "piece" and event.element == element]


def save(room: Room, found: Class) -> Callable[[], None]:
    return lambda: record.save(room.console.context.state, found)


def suspended(found: Class, number: int = 0) -> Class:
    return found.with_accounts([found.students[number].model_copy(update={"suspended": True})])


def test_what_has_changed_is_told_and_nothing_else(room: Room, physics: Class, api: Api) -> None:
    _, ewa = physics.students
    trouble = Trouble("physics-ewa-zak", "deployment/web", TroubleKind.IMAGE, "can't be pulled", "a typo?", 2)

    def says(*more: Trouble, used: str) -> Callable[[], None]:
        quotas = {ewa.key: (Used("Pods", used, "10"), Used("Memory", "0", "1Gi"))}
        return lambda: setattr(api, "says", Together(more, quotas))

    room.database.door.issue("physics", {ewa.key: "digest"}, ends=4e9)
    found = told(
        room,
        teacher(room),
        PATH,
        lambda: api.asked,
        [
            save(room, suspended(physics)),
            says(used="2"),
            says(trouble, used="2"),
            lambda: room.database.door.enter_first("physics", ewa.key, "digest", "00:kept", credential=1),
            lambda: room.database.messages.tell("physics", "Hand in by noon.", "Anna"),
        ],
    )
    # The page as it was: all of it, once. The browser swaps nothing that it has already.
    assert [event.element for event in found[:4]] == ["about", "fails", "students", "told"]
    assert [event.element for event in found[4:-1]] == [JAN, EWA, "fails", EWA, "told"]
    assert found[-1] == Event("end", "")
    assert ("suspended" in found[4].data, "Jan Kowalski" in found[4].data) == (True, True)
    assert "Pods 2/10" in found[5].data
    assert "Memory" not in found[5].data
    assert "deployment/web" in found[6].data
    assert ("<time" in found[7].data, "code not used yet" in found[5].data) == (True, True)
    assert "Hand in by noon." in found[8].data
    assert room.console.streams == 0


def test_the_page_is_what_the_stream_says_first(room: Room, physics: Class, api: Api) -> None:
    """So the first news swaps nothing: neither a tick nor the keyboard is where something is put in anew."""
    browser = teacher(room)
    page = browser.get("/class/physics?lang=en").text
    assert 'data-live="/live?class=physics&amp;lang=en"' in page
    for event in told(room, browser, PATH, lambda: api.asked, [])[:-1]:
        element, _, html = event.data.partition("\n")
        assert f'id="{element}">' in page
        assert "\n".join(page.partition(f'id="{element}">')[2].splitlines()).startswith(html)


def test_a_student_who_comes_or_goes_is_a_table_anew(room: Room, physics: Class, api: Api) -> None:
    found = told(room, teacher(room), PATH, lambda: api.asked, [save(room, physics.without(physics.students[:1]))])
    before, after = pieces(found, "students")
    assert ("Jan Kowalski" in before, "Jan Kowalski" in after, "Students (1)" in after) == (True, False, True)


def test_an_api_that_is_away_and_comes_back(room: Room, physics: Class, api: Api) -> None:
    used = {physics.students[0].key: (Used("Pods", "2", "10"),)}
    api.says = Together((), used)
    found = told(
        room,
        teacher(room),
        PATH,
        lambda: api.asked,
        [
            lambda: setattr(api, "says", Unreachable("the API is away")),
            lambda: setattr(api, "says", Together((), used)),
        ],
    )
    there, away, again = pieces(found, "fails")
    assert ("the API is away" in away, "Nothing fails." in there, there == again) == (True, True, True)
    gone, back = pieces(found, JAN)
    assert ("Pods" in gone, "Pods 2/10" in back) == (False, True)


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
@pytest.mark.parametrize("name", ["history", "nothing", "../history", ""])
def test_another_s_class_is_nobody_s(room: Room, physics: Class, role: ConsoleRole, name: str) -> None:
    browser = room.browser().sign_in("Anna Nowak", role)
    answer = browser.get("/live", params={"class": name}, headers={"Accept": "text/event-stream"})
    assert answer.status_code == (403 if role is ConsoleRole.VIEWER else 404)
    assert "Jan" not in answer.text
    assert room.console.streams == 0


def test_nobody_s_stream(room: Room, physics: Class) -> None:
    assert room.browser().get(PATH, headers={"Accept": "text/event-stream"}).status_code == 401
    room.console.streams = live.MOST_STREAMS
    assert teacher(room).get(PATH).status_code == 503


def _signed_out(room: Room, _: Class) -> None:
    room.database.console.revoke("Anna Nowak")


def _suspended(room: Room, found: Class) -> None:
    gone = [one.model_copy(update={"suspended": True}) for one in found.teachers]
    record.save(room.console.context.state, found.with_accounts(gone))


def _removed(room: Room, found: Class) -> None:
    record.save(room.console.context.state, found.without(found.teachers))


def _deleted(room: Room, _: Class) -> None:
    record.forget(room.console.context.state, "physics")


def _made_anew(room: Room, found: Class) -> None:
    class_(room, "physics", "Jan Lis")


@pytest.mark.parametrize("end", [_signed_out, _suspended, _removed, _deleted, _made_anew])
def test_who_teaches_it_no_more_is_told_nothing_more(
    room: Room, physics: Class, api: Api, end: Callable[[Room, Class], None]
) -> None:
    """Not even what the API was asked for before: it answers when they are out already."""
    browser = teacher(room)

    def meanwhile() -> None:
        if api.asked == 3:
            end(room, record.need(room.console.context.state, "physics"))
            api.says = Together((Trouble("physics-ewa-zak", "a secret", TroubleKind.CRASH, "x", ""),))

    # The records' connection is of the thread that serves, so that is where it happens.
    loop_of: list[asyncio.AbstractEventLoop] = []

    async def now() -> None:
        meanwhile()

    def in_its_thread() -> None:
        asyncio.run_coroutine_threadsafe(now(), loop_of[0]).result(PATIENCE)

    api.meanwhile = in_its_thread

    async def go() -> str:
        loop_of.append(asyncio.get_running_loop())
        room.console.stopping.clear()
        return (await asyncio.wait_for(browser.send("GET", PATH), PATIENCE)).text

    found = events(asyncio.run(go()))
    assert [event.element for event in found] == ["about", "fails", "students", "told", ""]
    assert found[-1].name == "end"
    assert not any("a secret" in event.data for event in found)
    assert room.console.streams == 0


def test_an_administrator_s_ends_with_the_class_too(room: Room, physics: Class, api: Api) -> None:
    browser = room.browser().sign_in()
    found = told(room, browser, PATH, lambda: api.asked, [lambda: _deleted(room, physics)])
    assert found[-1].name == "end"


def test_a_record_that_is_damaged_for_a_moment_ends_nothing(room: Room, physics: Class, api: Api) -> None:
    file = room.console.context.state.classes / "physics.json"
    looks = 0

    class Counted(Looks):
        async def get(self, name: str, collect: Callable[[], Awaitable[Now | None]], *, anew: bool = False) -> Any:
            nonlocal looks
            looks += 1
            return await super().get(name, collect, anew=anew)

    room.console.class_looks = Counted(clock=iter(range(1_000_000)).__next__)
    steps = [lambda: file.write_text("{"), save(room, suspended(physics))]
    found = told(room, teacher(room), PATH, lambda: looks, steps)
    assert [event.element for event in found[4:-1]] == [JAN]


def hundred(room: Room) -> Class:
    people = [Person(f"Student {number}", id=str(number)) for number in range(STUDENTS)]
    made = plan.merge(
        None, people, name="physics", now=NOW, size=sizes.find("small"), role="edit", teachers=("Anna Nowak",)
    ).record
    record.save(room.console.context.state, made)
    return made


def test_many_watchers_of_many_students_cost_one_look(room: Room) -> None:
    """Ten pages of a hundred students: in each interval the API is asked once, and each piece is written once."""
    made, browser = hundred(room), teacher(room)
    time, asked, collected, looks = [0.0], [0], [0], [0]
    used = [0]

    def answer(_: LabContext) -> All:
        asked[0] += 1
        status = {"hard": {"pods": "10"}, "used": {"pods": str(used[0])}}
        space = made.namespace(made.students[7])
        quota = {"metadata": {"name": QUOTA, "namespace": space}, "status": status}
        return All({space: [quota]}, {}, {}, {}, "10.77.0.12", datetime.now(UTC))

    shared, lock = Shared(answer, lambda: time[0]), threading.Lock()

    def together(context: LabContext, found: Class) -> Together:
        with lock:
            collected[0] += 1
        return shared.together(context, found)

    class Counted(Looks):
        async def get(self, name: str, collect: Callable[[], Awaitable[Now | None]], *, anew: bool = False) -> Any:
            looks[0] += 1
            return await super().get(name, collect, anew=anew)

    room.console.together, room.console.class_looks = together, Counted(clock=lambda: time[0])

    async def go() -> list[str]:
        room.console.stopping.clear()
        asking = [asyncio.create_task(browser.send("GET", PATH)) for _ in range(WATCHERS)]
        for step in range(4):
            before = looks[0]
            # All of them have looked more than once at what is the same.
            await until(lambda: looks[0] >= before + 5 * WATCHERS)  # noqa: B023 - at once
            assert (asked[0], collected[0]) == (step + 1, step + 1)
            used[0] += 1
            time[0] += max(class_looks.FRESH, own.FRESH)
        before = looks[0]
        await until(lambda: looks[0] >= before + 5 * WATCHERS)
        room.console.stopping.set()
        return [(await one).text for one in asking]

    for text in asyncio.run(go()):
        found = events(text)
        assert [event.element for event in found[:4]] == ["about", "fails", "students", "told"]
        assert [event.element for event in found[4:-1]] == ["student-student-7"] * 4
        assert "Pods 4/10" in found[-2].data


def test_what_takes_long_is_two_seconds_together() -> None:
    """What the API said is as old, then a look, and a page looks once a second: what it shows is younger than two."""
    assert own.FRESH + class_looks.FRESH + common.TICK < 2


def look(found: Class, **more: Any) -> Now:
    values: dict[str, Any] = {
        "found": found, "due": "", "troubles": (), "unknown": "", "quotas": {}, "seen": {}, "doors": {},
        "at_terminals": frozenset(), "message": None,
    }  # fmt: skip
    return Now(**(values | more))


def test_looks_are_shared_and_forgotten(physics: Class) -> None:
    time, collected = [0.0], [0]
    looks = Looks(clock=lambda: time[0])

    async def collect() -> Now:
        collected[0] += 1
        return look(physics, due=str(collected[0] // 3))

    async def gone() -> None:
        return None

    async def fails() -> Now:
        raise Unreachable("it is away")

    async def go() -> None:
        first = await looks.get("physics", collect)
        assert isinstance(first, Look)
        assert await looks.get("physics", collect) is first
        assert collected == [1]
        assert await looks.get("physics", collect, anew=True) is first, "nothing has changed"
        assert collected == [2]
        time[0] += class_looks.FRESH
        second = await looks.get("physics", collect)
        assert second is not first
        written = [second.written("en", lambda now, _: (now,)) for _ in range(2)]  # type: ignore[arg-type, return-value, union-attr]
        assert written[0] is written[1]
        time[0] += class_looks.FRESH
        with pytest.raises(Unreachable):
            await looks.get("physics", fails)
        assert await looks.get("physics", collect) is second
        time[0] += class_looks.FRESH
        assert await looks.get("physics", gone) is None
        time[0] += class_looks.KEPT + 1
        await looks.get("history", collect)
        assert (await looks.get("physics", collect)) is not second

    asyncio.run(go())


@whatever_it_is_called
def test_what_students_call_things_stays_text(said: str) -> None:
    """On the page and in what it is told: no text ends its event, names another element or makes a tag."""
    shapes = []
    for text in (said, "plain"):
        with tempfile.TemporaryDirectory() as folder, room_in(Path(folder)) as room:
            made = class_(room, "physics", "Anna Nowak")
            named = made.students[0].model_copy(update={"name": text})
            record.save(room.console.context.state, made.with_accounts([named]))
            api = Api(room)
            api.says = Together(
                (Trouble(text, text, TroubleKind.IMAGE, text, text, 1),), {named.key: (Used(text, text, text),)}
            )
            browser = teacher(room)
            page = browser.get("/class/physics?lang=en").text
            found = told(room, browser, PATH, lambda api=api: api.asked, [])  # type: ignore[misc]
            assert [event.element for event in found] == ["about", "fails", "students", "told", ""]
            shapes.append([Found(page).tags, *(Found(event.data).tags for event in found)])
    assert shapes[0] == shapes[1]
