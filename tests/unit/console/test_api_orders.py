"""The API's orders for many machines, unknown ones and codes: each by its command itself, for those who may."""

from __future__ import annotations

import asyncio
import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import W1, Room
from tests.unit.console.test_api import ended, program, valid
from tests.unit.console.test_class_cards import THREE
from tests.unit.console.test_class_orders import form, teacher

from nodisk.assets.addon_listing import Listed
from nodisk.classes import handouts
from nodisk.classes.own import Together
from nodisk.classes.record import Class
from nodisk.classes.trouble import Kind as TroubleKind
from nodisk.classes.trouble import Trouble
from nodisk.console.errands import Errands
from nodisk.console.orders import AnyOrder
from nodisk.kube import addon_sets
from nodisk.kube.errors import Unreachable
from nodisk.records import remarks
from nodisk.records.console_access import ConsoleRole
from nodisk.records.door import code_digest
from nodisk.records.events import Kind
from nodisk.server.own_command import Ended
from nodisk.spec.load import load
from nodisk.values import Mac, Stage

NEW, NEVER = Mac.parse("8c:ec:4b:00:00:05"), Mac.parse("8c:ec:4b:00:00:07")
EVIL = "<script>alert(1)</script>"
CARDS, CODES = "/api/classes/physics/cards", "/api/classes/physics/codes"
CARDS_SHAPE, CODES_SHAPE = "/api/classes/{name}/cards", "/api/classes/{name}/codes"


@pytest.fixture
def stranger(room: Room) -> Mac:
    room.database.sightings.see(NEW, address=IPv4Address("10.77.0.50"), said={"product": EVIL})
    return NEW


def done(room: Room, headers: dict[str, str], path: str, shape: str, body: dict[str, Any]) -> Any:
    """Order it, and follow it to its end: the answer that says what came of it."""

    async def do() -> Any:
        browser = room.browser()
        begun = await browser.send("POST", path, headers=headers, json=body)
        order = valid(begun, shape, 202, "post")
        await browser.send("GET", f"/live?switched={order['number']}")
        return await ended(browser, headers, order)

    return asyncio.run(do())


async def _refuse(order: AnyOrder) -> Ended:
    raise AssertionError("nothing must be run")


def test_notes_on_many_pcs(room: Room) -> None:
    room.report(Stage.READY)
    headers, note = program(room), f"no picture {EVIL}"
    body = {"action": "broken", "machines": ["w1", "cp1"], "note": f"  {note}\n"}
    order = done(room, headers, "/api/notes", "/api/notes", body)
    assert order["command"] == f"nodisk machines broken --all --note '{note}'"
    assert [(one["name"], one["outcome"]) for one in order["came"]] == [("cp1", "confirmed"), ("w1", "confirmed")]
    told = valid(room.browser().get("/api/status", headers=headers), "/api/status")["machines"]
    assert {one["broken"]["note"] for one in told} == {note}
    order = done(room, headers, "/api/notes", "/api/notes", {"action": "mended", "machines": ["w1"]})
    assert order["command"] == "nodisk machines broken w1 --mended"
    assert [str(mac) for mac in room.database.remarks.all(remarks.Kind.BROKEN)] == ["52:54:00:00:00:01"]
    assert "console: script (admin): nodisk machines broken w1 --mended: 1 confirmed" in room.told(Kind.DAEMON)


def test_the_next_boot_of_many(room: Room) -> None:
    headers, path = program(room), "/api/next-boot"
    order = done(room, headers, path, path, {"action": "once", "entry": "disk", "all": True})
    assert (order["command"], order["targets"]) == ("nodisk next-boot --all disk --once", ["cp1", "w1"])
    told = valid(room.browser().get(path, headers=headers), path)
    assert {one["name"]: one["next_boot"] for one in told["machines"]} == {"cp1": "disk, once", "w1": "disk, once"}
    assert "disk" in told["entries"]
    done(room, headers, path, path, {"action": "clear", "machines": ["cp1"]})
    assert set(room.database.next_boots.all()) == {W1}
    told = valid(room.browser().get(path, headers=program(room, ConsoleRole.VIEWER, "screen")), path)
    assert {one["name"]: one["next_boot"] for one in told["machines"]} == {"cp1": None, "w1": "disk, once"}


def test_an_unknown_machine_is_ignored_and_then_adopted(room: Room, stranger: Mac) -> None:
    reloads: list[str] = []
    room.console.reload = lambda: reloads.append("reload")
    headers, shape = program(room), "/api/unknown/{mac}/ignore"
    path = shape.format(mac=stranger)
    assert done(room, headers, path, shape, {"action": "ignore"})["command"] == f"nodisk machines ignore {stranger}"
    (one,) = valid(room.browser().get("/api/unknown", headers=headers), "/api/unknown")["machines"]
    assert one["ignored"]
    done(room, headers, path, shape, {"action": "show_again"})
    assert room.database.remarks.all(remarks.Kind.IGNORED) == {}

    shape = "/api/unknown/{mac}/adopt"
    answer = room.browser().post(shape.format(mac=stranger), headers=headers, json={"name": "front", "seat": "1,2"})
    told = valid(answer, shape, 200, "post")
    assert (told["name"], told["seat"]) == ("front", "1,2")
    (found,) = (one for one in load(room.console.context.file).machines if one.mac == stranger)
    assert (str(found.name), str(found.address)) == ("front", told["address"])
    assert reloads == ["reload"]
    line = f"nodisk machines adopt {stranger} front --seat 1,2"
    assert told["command"] == line
    assert f"console: script (admin): {line}: front, {found.address}" in room.told(Kind.DAEMON)
    # Somebody who is late is told so, and the server is left alone.
    late = room.browser().post(shape.format(mac=stranger), headers=headers, json={})
    assert "it is front" in valid(late, shape, 409, "post")["error"]
    assert reloads == ["reload"]


def test_what_fails_and_add_ons(room: Room, physics: Class) -> None:
    """What the API says of them; where it is away, that is said, and not that nothing fails."""
    fails = Trouble("physics-jan-kowalski", "deployment/web", TroubleKind.IMAGE, f"{EVIL} can't be pulled", "a typo?")
    room.console.together = lambda *_: Together((fails,))
    row = addon_sets.Row("headlamp", addon_sets.State.BROKEN, "headlamp 0.45.0", EVIL)
    room.console.addons = lambda *_: (Listed(row, "1 of 1 mirrored"),)
    anna, admin = program(room, ConsoleRole.TEACHER, "Anna Nowak"), program(room)
    path, shape = "/api/classes/physics/troubles", "/api/classes/{name}/troubles"
    assert valid(room.browser().get(path, headers=anna), shape) == {"troubles": [fails.to_json()]}
    valid(room.browser().get(path, headers=program(room, ConsoleRole.TEACHER, "Jan Lis")), shape, 404)
    (one,) = valid(room.browser().get("/api/addons", headers=admin), "/api/addons")["addons"]
    assert one == {
        "name": "headlamp",
        "state": "unreadable",
        "source": "headlamp 0.45.0",
        "problem": EVIL,
        "images": "1 of 1 mirrored",
    }

    def away(*_: object) -> Any:
        raise Unreachable("nobody runs an API here")

    room.console.together = room.console.addons = away
    assert "nobody runs an API" in valid(room.browser().get(path, headers=anna), shape, 503)["error"]
    valid(room.browser().get("/api/addons", headers=admin), "/api/addons", 503)


def test_codes_are_in_the_one_answer_that_takes_the_cards(room: Room, physics: Class, tmp_path: Path) -> None:
    anna = program(room, ConsoleRole.TEACHER, "Anna Nowak")
    shape = "/api/classes/{name}"
    before = valid(room.browser().get("/api/classes/physics", headers=anna), shape)
    assert (before["cards"], {one["door"] for one in before["members"]}) == (False, {"no code"})
    order = done(room, anna, CODES, CODES_SHAPE, {"action": "codes", "all": True})
    assert order["command"] == "nodisk class codes physics --print"
    assert order["came"] == [{"name": "physics", "outcome": "confirmed", "detail": order["came"][0]["detail"]}]
    after = room.browser().get("/api/classes/physics", headers=anna)
    found = valid(after, shape)
    assert (found["cards"], {one["door"] for one in found["members"]}) == (True, {"code not used yet"})

    # Nobody else takes them: not another's token, not a role too low, not a browser with the teacher's own session.
    path = tmp_path / "handouts" / "physics.codes.html"
    for headers, status in (
        (program(room, ConsoleRole.TEACHER, "Jan Lis"), 404),
        (program(room, ConsoleRole.VIEWER, "Anna Nowak"), 403),
    ):
        valid(room.browser().post(CARDS, headers=headers), CARDS_SHAPE, status, "post")
    browser = teacher(room)
    for data in (None, form(browser)):
        answer = browser.post(CARDS, headers={"Accept": "*/*"}, data=data)
        valid(answer, CARDS_SHAPE, 401, "post")
    assert room.browser().get(CARDS, headers=anna).status_code == 404, "an address that is opened takes nothing"
    assert path.exists()

    async def take() -> tuple[Any, Any, Any]:
        mine = await room.browser().send("POST", CARDS, headers=anna)
        again = await room.browser().send("POST", CARDS, headers=anna)
        other = await room.browser().send("POST", CARDS, headers=program(room, ConsoleRole.TEACHER, "Anna Nowak"))
        return mine, again, other

    mine, again, other = asyncio.run(take())
    told = valid(mine, CARDS_SHAPE, 200, "post")
    assert mine.headers["cache-control"] == "no-store"
    assert again.json() == told, "a program whose answer was lost asks once more"
    valid(other, CARDS_SHAPE, 404, "post")
    assert not path.exists()
    assert [one["login"] for one in told["cards"]] == ["jan-kowalski", "ewa-zak"]
    assert handouts.on_cards(told["page"]) == {one["login"]: one["code"] for one in told["cards"]}
    log = room.told(Kind.DAEMON)
    assert log.count("console: Anna Nowak (teacher) took the cards with codes of class physics") == 1
    door = room.database.door
    for one, student in zip(told["cards"], physics.students, strict=True):
        code = one["code"]
        for text in (json.dumps(order), after.text, *log):
            assert code not in text
            assert code.replace("-", "") not in text
        digest = code_digest(code.replace("-", ""), door.salted("physics"))
        assert door.enter_first("physics", student.key, digest, "00:kept", credential=student.credential) is not None

    # Who has got in needs a code no more, unless it is asked for by its name.
    room.console.errands = Errands(_refuse)
    asked = room.browser().post(CODES, headers=anna, json={"action": "codes", "all": True})
    assert "renew_codes" in valid(asked, CODES_SHAPE, 400, "post")["error"]


def test_codes_are_renewed_for_those_who_are_named(room: Room, physics: Class) -> None:
    headers = program(room)
    done(room, headers, CODES, CODES_SHAPE, {"action": "codes", "students": ["ewa-zak", "nobody", "--renew"]})

    async def take() -> dict[str, str]:
        answer = await room.browser().send("POST", CARDS, headers=headers)
        return {one["login"]: one["code"] for one in valid(answer, CARDS_SHAPE, 200, "post")["cards"]}

    first = asyncio.run(take())
    assert set(first) == {"ewa-zak"}
    order = done(room, headers, CODES, CODES_SHAPE, {"action": "renew_codes", "students": ["ewa-zak"]})
    assert order["command"] == "nodisk class codes physics ewa-zak --renew --print"
    second = asyncio.run(take())
    assert set(second) == {"ewa-zak"}
    assert second != first


@pytest.mark.parametrize(
    ("path", "bodies"),
    [
        (
            "/api/notes",
            [
                {"action": "broken", "machines": ["w1"]},
                {"action": "broken", "machines": ["w1"], "note": " \n"},
                {"action": "broken", "machines": ["w1"], "note": "x" * 201},
                {"action": "broken", "machines": ["--all"], "note": "x"},
                {"action": "ignore", "machines": ["w1"]},
                {"action": "mended"},
                {"action": "mended", "row": 9},
            ],
        ),
        (
            "/api/next-boot",
            [
                {"action": "once", "machines": ["w1"]},
                {"action": "once", "all": True, "entry": "shell"},
                {"action": "once", "all": True, "entry": "--clear"},
                {"action": "clear", "machines": ["w9", "../w1"]},
                {"action": "off", "all": True},
            ],
        ),
        (
            CODES,
            [
                {"action": "codes"},
                {"action": "codes", "students": ["--renew", "../../x", EVIL]},
                {"action": "suspend", "all": True},
                {"action": "codes", "all": True, "days": 120},
            ],
        ),
        (f"/api/unknown/{NEW}/ignore", [{"action": "--undo"}, {}]),
        (f"/api/unknown/{NEW}/adopt", [{"name": "--all"}, {"name": EVIL}, {"seat": "x"}, {"address": "10.77.0.9"}]),
        ("/api/unknown/x/ignore", [{"action": "ignore"}]),
        ("/api/unknown/..%2f..%2fx/adopt", [{}]),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_no_order(room: Room, physics: Class, stranger: Mac, path: str, bodies: list[dict[str, Any]]) -> None:
    room.console.errands, before = Errands(_refuse), room.console.context.file.read_bytes()
    headers = program(room)
    for body in (*bodies, {"more": 1}):
        answer = room.browser().post(path, headers=headers, json=body)
        # A path that leads elsewhere has no method here.
        assert answer.status_code in ((400,) if "%2f" not in path else (400, 404)), (body, answer.text)
        assert answer.json()["error"]
    assert room.console.context.file.read_bytes() == before


@pytest.mark.parametrize("what", ["ignore", "adopt"])
def test_a_machine_that_was_never_seen(room: Room, what: str) -> None:
    room.console.errands = Errands(_refuse)
    body = {"action": "ignore"} if what == "ignore" else {}
    answer = room.browser().post(f"/api/unknown/{NEVER}/{what}", headers=program(room), json=body)
    valid(answer, f"/api/unknown/{{mac}}/{what}", 404, "post")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/notes", {"action": "mended", "all": True}),
        ("/api/next-boot", {"action": "clear", "all": True}),
        (f"/api/unknown/{NEW}/ignore", {"action": "ignore"}),
        (f"/api/unknown/{NEW}/adopt", {}),
        (CODES, {"action": "renew_codes", "all": True}),
        (CARDS, {}),
    ],
)
def test_a_browser_s_session_changes_nothing_here(
    room: Room, physics: Class, stranger: Mac, path: str, body: dict[str, Any]
) -> None:
    """Not even with the form's token and from the console's own pages: a program's token is another thing."""
    room.console.errands, before = Errands(_refuse), room.console.context.file.read_bytes()
    browser = room.browser().sign_in()
    assert browser.post(path, json=body).status_code == 401
    assert browser.post(path, json=body, headers={"Origin": "https://evil.example"}).status_code == 401
    assert room.console.context.file.read_bytes() == before


@given(st.text())
def test_any_page_has_the_codes_that_are_on_it(page: str) -> None:
    assert all(isinstance(code, str) for code in handouts.on_cards(page).values())
    codes = {student.key: f"CODE-000{number}" for number, student in enumerate(THREE.students)}
    whole = handouts.cards(THREE, codes, address=page, until=page)
    assert list(handouts.on_cards(whole).values()) == list(codes.values())
