"""Changing classes by pages: which command it is, who may, and what others can't make of it."""

from __future__ import annotations

import asyncio
import html
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import Browser, Room
from tests.unit.console.test_classes import class_

from nodisk.classes import plan, record, sizes
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.cli import nodisk
from nodisk.console import class_orders, security
from nodisk.console.class_orders import ClassAction, ClassOrder
from nodisk.console.errands import Errands
from nodisk.console.orders import AnyOrder, Came
from nodisk.machines.buttons.button import Outcome
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.server.own_command import Ended

SUSPEND = "/class/physics/order?action=suspend&student=jan-kowalski"
PHYSICS = plan.merge(
    None, [Person("Jan Kowalski")], name="physics", now=record.now(), size=sizes.find("small"), role="edit"
).record


@pytest.fixture
def physics(room: Room) -> Class:
    class_(room, "history", "Jan Lis")
    return class_(room, "physics", "Anna Nowak")


def teacher(room: Room, name: str = "Anna Nowak") -> Browser:
    return room.browser().sign_in(name, ConsoleRole.TEACHER)


def form(browser: Browser, count: str = "1") -> dict[str, str]:
    return {"token": security.form_token(browser.token), "count": count}


async def _refuse(order: AnyOrder) -> Ended:
    raise AssertionError("nothing must be run")


@pytest.mark.parametrize("action", ClassAction)
@pytest.mark.parametrize("every", [False, True])
def test_each_is_a_command_that_there_is(physics: Class, action: ClassAction, every: bool) -> None:
    found = class_orders.order(physics, action, ["jan-kowalski", "nobody"], every=every, days="30")
    assert found is not None
    everyone = every or action is ClassAction.EXTEND
    assert found.targets == (("jan-kowalski", "ewa-zak") if everyone else ("jan-kowalski",))
    group = nodisk.get_command(None, "class")  # type: ignore[arg-type]
    assert group is not None
    for words in (shlex.split(found.line)[1:], list(found.words)):
        command = group.get_command(None, words[1])  # type: ignore[attr-defined]
        params = command.make_context(words[1], words[2:]).params
        assert params["name"] == "physics"
        if action is ClassAction.EXTEND:
            assert params["days"] == 30
        else:
            assert set(params["student"]) in ({*found.targets}, set()), "nobody named means all"
    # What the server runs names each student, and is asked nothing.
    if action is not ClassAction.EXTEND:
        assert set(found.targets) <= set(found.words)
    assert ("--yes" in found.words) == (action is ClassAction.RESET)
    assert "--yes" not in found.line


@pytest.mark.parametrize("days", ["", "0", "-1", "1001", "1.5", "99999999999", "٣", "1 --yes", "x"])
def test_what_is_no_number_of_days(physics: Class, days: str) -> None:
    assert class_orders.order(physics, "extend", [], days=days) is None


@given(
    st.text() | st.sampled_from(list(ClassAction)),
    st.lists(st.text() | st.just("jan-kowalski"), max_size=3),
    st.text(max_size=6),
)
def test_whatever_is_asked_no_other_word_reaches_the_command(action: str, labels: list[str], days: str) -> None:
    found = class_orders.order(PHYSICS, action, labels, days=days)
    if found is not None:
        known = {"class", "physics", "--days", "--yes", *ClassAction, "jan-kowalski"}
        assert all(word in known or (word.isdecimal() and 1 <= int(word) <= 1000) for word in found.words)


def test_what_came_of_it() -> None:
    order = ClassOrder(ClassAction.ROTATE, "physics", ("jan-kowalski",), everyone=False)
    done = order.came(0, "", "warning: only until noon\ncreated 1 credentials\nwarning: and so on\n")
    assert done == (Came("physics", Outcome.CONFIRMED, "only until noon; and so on"),)
    assert order.came(0, "", "suspended: jan-kowalski\n")[0].detail == ""
    assert order.came(3, "", "x\nerror: no API\nhint: wait\n") == (Came("physics", Outcome.UNKNOWN, "no API (wait)"),)


def test_a_teacher_is_asked_first_and_told_what_came_of_it(room: Room, physics: Class) -> None:
    ran = list[tuple[str, ...]]()

    async def run(order: AnyOrder) -> Ended:
        ran.append(order.words)
        return Ended(0, "", "warning: <b>late</b>\n")

    room.console.errands = Errands(run)
    browser = teacher(room)
    assert 'name="student" value="jan-kowalski"' in browser.get("/class/physics").text
    asked = html.unescape(browser.get(SUSPEND).text)
    assert "Students: 1" in asked
    assert "nodisk class suspend physics jan-kowalski" in asked
    assert "What runs goes on" in asked
    found = re.search(r'action="(/class/physics/order[^"]*)"', asked)
    assert found is not None
    assert ran == []
    others = (teacher(room, "Jan Lis"), teacher(room, "nobody"))

    async def do() -> None:
        answer = await browser.send("POST", found[1], data=form(browser))
        assert answer.status_code == 303
        place = answer.headers["location"]
        told = (await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")).text
        assert told.endswith("event: over\ndata: \n\n")
        page = (await browser.send("GET", place)).text
        assert "confirmed: <strong>1</strong>" in page
        assert "&lt;b&gt;late" in page
        assert 'href="/class/physics"' in page
        # Another teacher can't follow it, nor see that there is anything.
        for other in others:
            assert (await other.send("GET", place)).status_code == 404
            assert (await other.send("GET", f"/live?switched={place.rpartition('/')[2]}")).status_code == 404

    asyncio.run(do())
    assert ran == [("class", "suspend", "physics", "jan-kowalski")]
    assert [line for line in room.told(Kind.DAEMON) if "suspend" in line] == [
        "console: Anna Nowak (teacher): nodisk class suspend physics jan-kowalski",
        "console: Anna Nowak (teacher): nodisk class suspend physics jan-kowalski: 1 confirmed",
    ]


def test_one_change_of_a_class_at_a_time(room: Room, physics: Class) -> None:
    async def run(order: AnyOrder) -> Ended:
        await asyncio.Event().wait()
        raise AssertionError

    room.console.errands = Errands(run)
    browser, admin = teacher(room), room.browser().sign_in("root")

    async def do() -> None:
        assert (await browser.send("POST", SUSPEND, data=form(browser))).status_code == 303
        refused = await admin.send("POST", SUSPEND.replace("suspend", "resume"), data=form(admin))
        assert refused.status_code == 409
        assert "Anna Nowak (teacher) is changing class physics" in html.unescape(refused.text)
        await room.console.errands.close()

    asyncio.run(do())


@pytest.mark.parametrize("name", ["history", "nothing"])
def test_nobody_changes_another_s_class(room: Room, physics: Class, name: str) -> None:
    room.console.errands = Errands(_refuse)
    browser, path = teacher(room), SUSPEND.replace("physics", name)
    assert browser.get(path).status_code == 404
    assert browser.post(path, data=form(browser)).status_code == 404
    viewer = room.browser().sign_in("Anna Nowak", ConsoleRole.VIEWER)
    assert viewer.get(SUSPEND).status_code == 403
    assert viewer.post(SUSPEND, data=form(viewer)).status_code == 403


def test_other_sites_and_what_was_not_confirmed(room: Room, physics: Class) -> None:
    room.console.errands = Errands(_refuse)
    browser, other = teacher(room), room.browser().sign_in("root")
    for origin in ("https://evil.example", "null", ""):
        assert browser.post(SUSPEND, data=form(browser), headers={"Origin": origin}).status_code == 403
    for data in ({}, {"count": "1"}, form(other)):
        assert browser.post(SUSPEND, data=data).status_code == 403
    assert browser.post(SUSPEND, data=form(browser, "2")).status_code == 409
    # The class has another student since it was asked: all are two now, and not the one that was confirmed.
    all_ = "/class/physics/order?action=reset&all=1"
    record.save(room.console.context.state, physics.without(physics.students[1:]))
    assert browser.post(all_, data=form(browser, "2")).status_code == 409
    for query in ("", "action=suspend", "action=suspend&student=--yes", "action=delete&all=1", "action=extend&all=1"):
        assert browser.get(f"/class/physics/order?{query}").status_code == 400
