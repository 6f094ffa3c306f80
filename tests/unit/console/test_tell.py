"""A message to a class: who tells it, who reads it, for how long, and that nothing of it is run."""

from __future__ import annotations

import asyncio
import html
import json
import re
import shlex
from datetime import timedelta
from pathlib import Path

from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import Browser, Room
from tests.unit.console.test_api import ended, program, valid
from tests.unit.console.test_class_orders import PHYSICS, form, teacher
from tests.unit.console.test_classes import class_

from nodisk.classes import codes, own, record
from nodisk.classes.record import Class
from nodisk.cli import nodisk
from nodisk.console import tell_orders
from nodisk.console.tell_orders import TellAction
from nodisk.records import messages
from nodisk.records.console_access import ConsoleRole
from nodisk.records.database import Database
from nodisk.records.events import Kind

EVIL = "<script>document.title='taken'</script><img src=x onerror=alert(1)> \"'&"
PHRASE = "cztery słowa na dziś"


def student(room: Room, found: Class) -> Browser:
    """A student's browser, at the door."""
    room.console.own = lambda *_: own.Own((), (), (), ())
    one = found.students[0]
    code = codes.issue(room.database.door, found, [one], ends=record.now() + timedelta(hours=1)).codes[one.key]
    browser = room.browser()
    data = {"code": code, "passphrase": PHRASE, "again": PHRASE}
    assert browser.post(f"/door/{found.name}/first", data=data).status_code == 303
    return browser


def send(room: Room, browser: Browser, name: str, **fields: str) -> None:
    """From the form by the question to the end, by the command itself."""

    async def go() -> None:
        asked = await browser.send("POST", f"/class/{name}/tell", data=form(browser) | fields)
        assert asked.status_code == 200, asked.text
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', asked.text)
        where = re.search(r'action="(/class/[^"]*)"', asked.text)
        assert where is not None
        begun = await browser.send("POST", where[1], data={key: html.unescape(text) for key, text in hidden})
        assert begun.status_code == 303, begun.text
        place = begun.headers["location"]
        await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")
        came = (await browser.send("GET", place)).text
        assert "confirmed: <strong>1</strong>" in came, came

    asyncio.run(go())


def command(room: Room, *words: str, **how: str) -> Result:
    context = room.console.context
    where = ["--lab", str(context.file), "--state", str(context.state.state.root)]
    return CliRunner().invoke(nodisk, ["class", "tell", *words, *where], **how)  # type: ignore[arg-type]


def test_a_teacher_tells_and_students_read(room: Room) -> None:
    physics, history = class_(room, "physics", "Anna Nowak"), class_(room, "history", "Jan Lis")
    browser, one, other = teacher(room), student(room, physics), student(room, history)
    send(room, browser, "physics", text=f"Hand in by noon.\r\n--by {EVIL}")
    for page in (one.get("/door/physics").text, browser.get("/class/physics").text):
        assert "Hand in by noon.\n--by &lt;script&gt;" in page
        assert "<script>document" not in page
        assert "<img" not in page
        assert "Anna Nowak" in page
    assert "noon" not in other.get("/door/history").text
    told = [line for line in room.told(Kind.DAEMON) if "noon" in line]
    assert told[1].startswith("class physics is told by Anna Nowak: Hand in by noon.")
    assert told[0].startswith("console: Anna Nowak (teacher): nodisk class tell physics '--by=Anna Nowak' -- 'Hand in")
    send(room, browser, "physics", withdraw="1")
    assert "noon" not in one.get("/door/physics").text
    assert 'value="1">Withdraw' not in browser.get("/class/physics").text


def test_who_may_tell(room: Room) -> None:
    class_(room, "physics", "Anna Nowak")
    mine, others, viewer = teacher(room), teacher(room, "Jan Lis"), room.browser().sign_in("x", ConsoleRole.VIEWER)
    for path in ("/class/physics/tell", "/class/physics/told"):
        for browser, status in ((others, 404), (viewer, 403)):
            assert browser.post(path, data=form(browser, "2") | {"text": "x"}).status_code == status
        fine = form(mine, "2") | {"text": "x"}
        assert mine.post(path, data={"text": "x", "count": "2"}).status_code == 403
        assert mine.post(path, data=fine, headers={"Origin": "https://x"}).status_code == 403
        for text in (" \n", "x" * 501):
            assert mine.post(path, data=fine | {"text": text}).status_code == 400
    assert mine.post("/class/physics/told", data=fine | {"count": "1"}).status_code == 409
    assert room.database.messages.current("physics") is None


def test_for_how_long(tmp_path: Path) -> None:
    clock = [1000.0]
    with Database(tmp_path / "x.db", now=lambda: clock[0]) as database:
        told = database.messages
        assert told.current("k8s") is None
        told.tell("k8s", "first", "")
        clock[0] += 10
        told.tell("k8s", "second", "Anna")
        found = told.current("k8s")
        assert found is not None
        assert (found.text, found.who, found.until) == ("second", "Anna", 1010 + messages.LASTS)
        assert told.current("k8s", made=1010.5) is None, "a class before it had the same name"
        clock[0] = found.until - 1
        assert told.current("k8s") is not None
        clock[0] = found.until
        assert told.current("k8s") is None
        assert not told.withdraw("k8s")
        told.tell("k8s", "third", "")
        assert told.withdraw("k8s")
        assert told.current("k8s") is None


def test_the_command(room: Room) -> None:
    class_(room, "physics")
    assert command(room, "physics", "Hello", "--by", "Anna").stdout == "Hello\n"
    shown = json.loads(command(room, "physics", "--output", "json").stdout)["message"]
    assert (shown["text"], shown["by"]) == ("Hello", "Anna")
    assert command(room, "physics", "-", input="from\n\nstdin\n").stdout == "from\nstdin\n"
    assert "would withdraw" in command(room, "physics", "--withdraw", "--dry-run").stdout
    gone = json.loads(command(room, "physics", "--withdraw", "-o", "json").stdout)
    assert gone == {"class": "physics", "message": None}
    assert command(room, "physics").stdout == ""
    for wrong in (("physics", "x", "--withdraw"), ("physics", " "), ("physics", "x" * 501), ("none", "x")):
        assert command(room, *wrong).exit_code != 0
    state = room.console.context.state
    record.save(state, record.need(state, "physics").model_copy(update={"door": False}))
    assert command(room, "physics", "x").exit_code != 0


@given(st.text(max_size=600))
def test_what_is_kept_of_any_text(text: str) -> None:
    try:
        kept = messages.message(text)
    except ValueError:
        return
    assert 0 < len(kept) <= messages.LONGEST
    assert all(line and line.isprintable() and line == line.strip() for line in kept.split("\n"))
    assert messages.message(kept) == kept
    assert len(messages.name(text)) <= messages.LONGEST_NAME


@given(st.text(min_size=1, max_size=80), st.text(max_size=40))
def test_any_message_is_one_command(text: str, who: str) -> None:
    try:
        order = tell_orders.order(PHYSICS, text, who)
    except ValueError:
        return
    group = nodisk.get_command(None, "class")  # type: ignore[arg-type]
    assert group is not None
    found = group.get_command(None, "tell")  # type: ignore[attr-defined]
    for words in (shlex.split(order.line)[2:], list(order.words[1:])):
        given = found.make_context("tell", words[1:]).params
        assert (given["name"], given["by"], given["withdraw"]) == ("physics", order.who, False)
        assert given["text"] in (order.text, "-")
    assert order.sent.decode() == order.text
    withdrawn = tell_orders.order(PHYSICS, text, who, withdraw=True)
    assert withdrawn.action is TellAction.WITHDRAW
    assert found.make_context("tell", list(withdrawn.words[2:])).params["withdraw"]


def test_by_a_program(room: Room) -> None:
    class_(room, "physics", "Anna Nowak")
    headers, path = program(room, ConsoleRole.TEACHER, "Anna Nowak"), "/api/classes/{name}/tell"

    async def do(browser: Browser) -> None:
        address = path.format(name="physics")
        order = valid(await browser.send("POST", address, headers=headers, json={"text": "Hello"}), path, 202, "post")
        order = await ended(browser, headers, order)
        assert order["came"][0]["outcome"] == "confirmed"

    asyncio.run(do(room.browser()))
    shown = valid(room.browser().get("/api/classes/physics", headers=headers), "/api/classes/{name}")
    assert (shown["message"]["text"], shown["message"]["by"]) == ("Hello", "Anna Nowak")
    answer = room.browser().post(path.format(name="physics"), headers=headers, json={"text": ""})
    valid(answer, path, 400, "post")
