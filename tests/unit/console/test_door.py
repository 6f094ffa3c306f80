"""The students' door: who gets in, and what those get who try otherwise."""

from __future__ import annotations

import asyncio
import re
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.hostile import Found, whatever_it_is_called
from tests.unit.console.consoles import Browser, Room, room_in
from tests.unit.console.streams import PATIENCE, EndsAfter, events
from tests.unit.console.test_attacks import PAGES
from tests.unit.spec.labs import TEN_LINES

from nodisk.classes import codes, plan, record, sizes
from nodisk.classes.own import Link, Own, Running, Used
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.classes.trouble import Kind as TroubleKind
from nodisk.classes.trouble import Trouble
from nodisk.console import security, tries, words
from nodisk.kube.errors import Unreachable
from nodisk.records import door
from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem
from nodisk.server.limits import RateLimit

NOW = record.now()
PHRASE = "cztery słowa na dziś"
OWN = Own((Used("Pods", "1", "10"),), (Running("web-1", "Ready", 0),), (Link("web", "http://10.77.0.12:30080/"),), ())


def class_(room: Room, name: str = "k8s", **more: object) -> Class:
    people = [Person("Jan Kowalski", id="1"), Person("Ewa Żak", id="2")]
    size = sizes.find("small")
    found = plan.merge(None, people, name=name, now=NOW, size=size, role="edit", **more).record  # type: ignore[arg-type]
    record.save(room.console.context.state, found)
    room.console.own = lambda *_: OWN
    room.console.key = lambda _, __, student: f"kind: Config # {student.label}\n"
    return found


def code_for(room: Room, found: Class, number: int = 0) -> str:
    student = found.students[number]
    made = codes.issue(room.database.door, found, [student], ends=NOW + timedelta(days=1))
    return made.codes[student.key]


def token_of(room: Room, browser: Browser) -> str:
    return browser.cookies.get(security.door_cookie_name(room.console.lab), "")


def enter_first(browser: Browser, code: str, phrase: str = PHRASE, name: str = "k8s", **more: str) -> int:
    data = {"code": code, "passphrase": phrase, "again": phrase, **more}
    return browser.post(f"/door/{name}/first", data=data).status_code


def enter(browser: Browser, phrase: str = PHRASE, login: str = "jan-kowalski", name: str = "k8s") -> int:
    return browser.post(f"/door/{name}/sign-in", data={"login": login, "passphrase": phrase}).status_code


def student(room: Room, found: Class | None = None, number: int = 0, **how: str) -> Browser:
    """A browser of one who has just set a passphrase."""
    found = class_(room) if found is None else found
    browser = room.browser(**how)
    assert enter_first(browser, code_for(room, found, number), name=found.name) == 303
    return browser


def form_of(browser: Browser, path: str = "/door/k8s") -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', browser.get(path).text)
    assert found is not None
    return found[1]


# The way in


def test_a_code_then_a_passphrase(room: Room) -> None:
    found = class_(room)
    code, browser = code_for(room, found), room.browser()
    assert "First time here" in browser.get("/door/k8s").text
    assert enter_first(browser, f" {code.lower()} ") == 303
    page = browser.get("/door/k8s")
    assert page.status_code == 200
    for text in ("Jan Kowalski", "k8s-jan-kowalski", "web-1", "http://10.77.0.12:30080/", "Download the key file"):
        assert text in page.text
    assert enter_first(room.browser(), code) == 403
    again = room.browser()
    assert enter(again, login=" Jan-Kowalski") == 303
    assert "Jan Kowalski" in again.get("/door/k8s").text
    told = room.told(Kind.DAEMON)
    assert told.count("console: door: k8s/jan-kowalski signed in") == 2
    assert code not in " ".join(told)


def test_where_images_are_pushed(tmp_path: Path) -> None:
    where = "10.77.0.1:5001/k8s-jan-kowalski/"
    with room_in(tmp_path, f"{TEN_LINES}class_registry: {{size: 20GiB}}\n") as made:
        found = class_(made)
        browser = student(made, found)
        assert where in browser.get("/door/k8s").text
        assert where + "NAZWA" in browser.get("/door/k8s?lang=pl").text
        record.save(made.console.context.state, found.model_copy(update={"role": "view"}))
        assert where not in browser.get("/door/k8s").text


def test_a_key_by_a_form(room: Room) -> None:
    browser = student(room)
    answer = browser.post("/door/k8s/kubeconfig", data={"token": form_of(browser)})
    assert answer.text == "kind: Config # jan-kowalski\n"
    assert answer.headers["content-disposition"] == 'attachment; filename="jan-kowalski.kubeconfig"'
    assert answer.headers["cache-control"] == "no-store"
    assert "console: door: k8s/jan-kowalski took a key" in room.told(Kind.DAEMON)


def test_sign_out(room: Room) -> None:
    browser = student(room)
    token = token_of(room, browser)
    assert browser.post("/door/k8s/sign-out", data={"token": form_of(browser)}).status_code == 303
    assert room.database.door.session(token) is None
    assert "First time here" in browser.get("/door/k8s").text


def test_a_code_is_not_used_up_by_a_passphrase_that_can_t_be(room: Room) -> None:
    found = class_(room)
    code, browser = code_for(room, found), room.browser()
    for phrase, again in (
        ("short", "short"),
        ("a" * 20, "a" * 20),
        (PHRASE, f"{PHRASE}!"),
        ("x" * 200, "x" * 200),
        ("", ""),
    ):
        assert enter_first(browser, code, phrase, again=again) == 400
    assert enter_first(browser, code) == 303


def test_in_polish(room: Room) -> None:
    class_(room)
    browser = room.browser()
    assert "Pierwszy raz tutaj" in browser.get("/door/k8s?lang=pl").text
    answer = browser.post("/door/k8s/first", data={"code": "x", "passphrase": "a", "again": "a"})
    assert "Wymyśl hasło o długości od 12 do 128 znaków." in answer.text
    # The other language is at an address that can be opened.
    assert 'href="/door/k8s?lang=en"' in answer.text


def test_every_word_of_the_door_has_a_polish_one() -> None:
    folder = Path(words.__file__).parent
    texts = {
        text
        for path in folder.glob("templates/door_*.html")
        for text in re.findall(r'_\("([^"]+)"\)', path.read_text())
    }
    texts |= set(re.findall(r'^[A-Z_]+ = "([^"]+)"$', (folder / "door_pages.py").read_text(), re.M)) | {tries.TOO_MANY}
    texts |= {f"Choose a passphrase of {door.SHORTEST} to {door.LONGEST} characters."}
    assert len(texts) > 30
    assert texts <= words.POLISH.keys()


def test_the_class_by_its_name(room: Room) -> None:
    class_(room)
    assert room.browser().get("/door").status_code == 200
    assert room.browser().get("/door?class=K8s").headers["location"] == "/door/k8s"
    wrong = room.browser().get("/door?class=//evil.example")
    assert (wrong.status_code, "no class" in wrong.text) == (200, True)
    assert room.browser().get("/door/k8s/first").headers["location"] == "/door/k8s"


def test_the_page_says_so_when_the_api_is_away(room: Room) -> None:
    browser = student(room)

    def away(*_: object) -> Own:
        raise Unreachable("the API is away")

    room.console.own = away
    page = browser.get("/door/k8s")
    assert (page.status_code, "the API is away" in page.text) == (200, True)


# The way out


def test_suspending_closes_the_door_with_a_word(room: Room) -> None:
    found = class_(room)
    browser, code = student(room, found), code_for(room, found, 1)
    asleep = found.with_accounts(one.model_copy(update={"suspended": True}) for one in found.students)
    record.save(room.console.context.state, asleep)
    form = security.form_token(token_of(room, browser))
    for answer in (browser.get("/door/k8s"), browser.post("/door/k8s/kubeconfig", data={"token": form})):
        assert (answer.status_code, "Your access is suspended" in answer.text) == (403, True)
        assert "web-1" not in answer.text
    assert enter(room.browser()) == 403
    assert enter_first(room.browser(), code) == 403
    record.save(room.console.context.state, found)
    assert browser.get("/door/k8s").status_code == 200
    assert enter_first(room.browser(), code) == 303  # it was not used up


def test_who_does_not_know_the_passphrase_is_not_told_who_is_suspended(room: Room) -> None:
    found = class_(room)
    student(room, found)
    record.save(
        room.console.context.state,
        found.with_accounts(one.model_copy(update={"suspended": True}) for one in found.students),
    )
    answer = room.browser().post("/door/k8s/sign-in", data={"login": "jan-kowalski", "passphrase": "something else"})
    assert "suspended" not in answer.text


@pytest.mark.parametrize("end", ["suspended", "rotated", "signed out"])
def test_an_open_page_gets_nothing_that_was_asked_for_before(room: Room, end: str) -> None:
    """The API takes seconds: who is out when it answers gets nothing of the answer."""
    found = class_(room)
    browser = student(room, found)
    changes: dict[str, dict[str, object]] = {
        "suspended": {"suspended": True},
        "rotated": {"credential": 2},
        "signed out": {},
    }
    asked, loop_of = [0], list[asyncio.AbstractEventLoop]()
    room.console.stopping = stopping = EndsAfter()

    async def out() -> None:
        record.save(
            room.console.context.state, found.with_accounts([found.students[0].model_copy(update=changes[end])])
        )
        if end == "signed out":
            room.database.door.sign_out(token_of(room, browser))
        else:
            stopping.looks = 3  # what it is told by then, it is told

    def own(*_: object) -> Own:
        asked[0] += 1
        if asked[0] < 3:
            return OWN
        asyncio.run_coroutine_threadsafe(out(), loop_of[0]).result(PATIENCE)
        return replace(OWN, pods=(Running("a-secret", "Ready", 0),))

    room.console.own = own

    async def go() -> str:
        loop_of.append(asyncio.get_running_loop())
        return (await asyncio.wait_for(browser.send("GET", "/door/k8s/live"), PATIENCE)).text

    told = events(asyncio.run(go()))
    assert (asked[0], "web-1" in told[0].data, told[-1].name) == (3, True, "end")
    assert not any("a-secret" in event.data for event in told)
    assert [("Your access is suspended" in event.data) for event in told[1:-1]] == [True] * (end == "suspended")


def test_rotating_ends_sessions_and_leaves_the_passphrase(room: Room) -> None:
    found = class_(room)
    browser, other = student(room, found), student(room, found, 1)
    old = found.students[0]
    record.save(room.console.context.state, found.with_accounts([old.model_copy(update={"credential": 2})]))
    assert "First time here" in browser.get("/door/k8s").text
    form = security.form_token(token_of(room, browser))
    assert browser.post("/door/k8s/kubeconfig", data={"token": form}).status_code == 403
    assert "Ewa Żak" in other.get("/door/k8s").text
    assert enter(room.browser()) == 303


def test_who_is_removed_is_out(room: Room) -> None:
    found = class_(room)
    browser = student(room, found)
    record.save(room.console.context.state, found.without([found.students[0]]))
    assert "First time here" in browser.get("/door/k8s").text
    assert enter(room.browser()) == 403
    record.forget(room.console.context.state, "k8s")
    assert "First time here" in browser.get("/door/k8s").text


def test_the_end_of_the_class_is_the_end(room: Room) -> None:
    found = class_(room)
    browser = student(room, found)
    record.save(room.console.context.state, found.model_copy(update={"expires": NOW - timedelta(seconds=1)}))
    assert "The class has ended." in browser.get("/door/k8s").text
    answer = room.browser().post("/door/k8s/sign-in", data={"login": "jan-kowalski", "passphrase": PHRASE})
    assert "The class has ended." in answer.text


def test_a_class_without_a_door_can_t_be_told_from_none(room: Room) -> None:
    found = class_(room)
    browser = student(room, found)
    record.save(room.console.context.state, found.model_copy(update={"door": False}))
    assert "First time here" in browser.get("/door/k8s").text
    assert enter(room.browser()) == 403
    pages = {room.browser().get(f"/door/{name}").text.replace(name, "") for name in ("k8s", "nothing")}
    assert len(pages) == 1


def test_a_damaged_record_says_nothing_of_the_server(room: Room) -> None:
    class_(room)
    (room.console.context.state.classes / "k8s.json").write_text("{")
    answer = room.browser().get("/door/k8s")
    assert answer.status_code == 503
    assert str(room.console.context.state.root) not in answer.text


# Attacks


@pytest.mark.parametrize("path", [*PAGES, "/classes", "/class/k8s", "/cluster"])
def test_a_student_reaches_nothing_of_the_console(room: Room, path: str) -> None:
    browser = student(room)
    token = token_of(room, browser)
    browser.cookies[security.cookie_name(room.console.lab)] = token
    assert browser.get(path).headers["location"] == "/sign-in"
    assert browser.get(path, headers={"Accept": "application/json"}).status_code == 401
    assert room.database.console.session(token) is None


def test_a_student_signs_nobody_out_of_the_console_and_switches_nothing(room: Room) -> None:
    browser, admin = student(room), room.browser().sign_in()
    browser.cookies[security.cookie_name(room.console.lab)] = token_of(room, browser)
    form = {"token": security.form_token(token_of(room, browser)), "count": "1"}
    assert browser.post("/switch?action=off&machine=w1", data=form).headers["location"] == "/sign-in"
    browser.post("/sign-out", data=form)
    assert admin.get("/").status_code == 200


def test_nobody_of_the_console_is_a_student(room: Room) -> None:
    class_(room)
    admin = room.browser().sign_in()
    admin.cookies[security.door_cookie_name(room.console.lab)] = admin.token
    assert "First time here" in admin.get("/door/k8s").text


def test_another_s_page_and_key(room: Room) -> None:
    found, other = class_(room), class_(room, "physics")
    jan, ewa = student(room, found), student(room, found, 1)
    assert "Ewa" not in jan.get("/door/k8s").text
    # Another class's door, where the same person may be a student too.
    assert "First time here" in jan.get("/door/physics").text
    form = security.form_token(token_of(room, jan))
    assert jan.post("/door/physics/kubeconfig", data={"token": form}).status_code == 403
    # Another's form, and another's form with one's own cookie.
    assert jan.post("/door/k8s/kubeconfig", data={"token": form_of(ewa)}).status_code == 403
    assert enter_first(room.browser(), code_for(room, other), name="k8s") == 403
    assert enter(room.browser(), name="physics") == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://10.77.0.1:6445", ""])
def test_forms_of_other_sites(room: Room, origin: str) -> None:
    found = class_(room)
    browser = student(room, found)
    token, code = token_of(room, browser), code_for(room, found, 1)
    form = {"token": security.form_token(token), "login": "jan-kowalski", "code": code, "passphrase": PHRASE}
    for what in ("first", "sign-in", "sign-out", "kubeconfig"):
        answer = browser.post(f"/door/k8s/{what}", data=form | {"again": PHRASE}, headers={"Origin": origin})
        assert answer.status_code == 403
        assert "kind: Config" not in answer.text
    assert token_of(room, browser) == token
    assert room.database.door.session(token) is not None
    assert enter_first(room.browser(), code) == 303


@pytest.mark.parametrize("what", ["sign-out", "kubeconfig"])
def test_a_form_needs_its_own_session_s_token(room: Room, what: str) -> None:
    browser = student(room)
    admin = room.browser().sign_in()
    for token in ("", "x", token_of(room, browser), security.form_token(admin.token)):
        assert browser.post(f"/door/k8s/{what}", data={"token": token}).status_code == 403
    assert browser.get(f"/door/k8s/{what}").status_code == 303  # no link does it
    assert room.database.door.session(token_of(room, browser)) is not None


def test_a_session_that_somebody_else_fixed_is_not_used(room: Room) -> None:
    name, fixed = security.door_cookie_name(room.console.lab), "attackers-own-token-of-32-letters"
    found = class_(room)
    browser = room.browser(cookies={name: fixed})
    assert enter_first(browser, code_for(room, found)) == 303
    before = token_of(room, browser)
    assert before != fixed
    assert room.database.door.session(fixed) is None
    # Signing in again ends the session before; and who signs in over another's session ends that.
    assert enter(browser) == 303
    assert token_of(room, browser) != before
    assert room.database.door.session(before) is None


def test_the_cookie_is_only_for_the_server(room: Room) -> None:
    found = class_(room)
    data = {"code": code_for(room, found), "passphrase": PHRASE, "again": PHRASE}
    cookie = room.browser().post("/door/k8s/first", data=data).headers["set-cookie"].lower()
    assert cookie.startswith("__host-nodisk-door-room=")
    for word in ("httponly", "secure", "samesite=strict", "path=/"):
        assert word in cookie
    assert "domain" not in cookie


def test_guessing_codes_is_slow_recorded_and_hinders_no_other(room: Room) -> None:
    found, guard = class_(room), room.console.door_tries
    assert (guard.addresses.burst, guard.addresses.per_second * 60) == (5, 5)
    assert (guard.classes.burst, guard.classes.per_second * 60) == (20, 20)
    room.console.door_tries = replace(guard, addresses=RateLimit(burst=5, per_second=0))
    code, attacker = code_for(room, found), room.browser(address="10.77.0.66")
    answers = [enter_first(attacker, door.new_code()) for _ in range(8)]
    assert answers == [403] * 5 + [429] * 3
    assert enter_first(attacker, code) == 429  # the right one, too: else the limit would tell which it is
    assert room.told(Kind.ALARM) == ["console: too many wrong tries at the door of class k8s"]
    assert enter_first(room.browser(address="10.77.0.50"), code) == 303


def test_a_class_has_tries_of_its_own(room: Room) -> None:
    found, physics = class_(room), class_(room, "physics")
    room.console.door_tries = replace(room.console.door_tries, classes=RateLimit(burst=3, per_second=0))
    for number in range(3):
        assert enter(room.browser(address=f"10.77.0.{60 + number}"), login="nobody") == 403
    code = code_for(room, found)
    assert enter_first(room.browser(address="10.77.0.90"), code) == 429
    assert enter_first(room.browser(address="10.77.0.90"), code_for(room, physics), name="physics") == 303
    # Classes that aren't there share theirs: naming one after another gives no more tries.
    answers = [enter(room.browser(address=f"10.77.0.{70 + n}"), name=f"no-{n}", login="x") for n in range(5)]
    assert answers == [403] * 3 + [429] * 2


def test_a_whole_class_gets_in_through_one_address(room: Room) -> None:
    found = class_(room)
    student(room, found)
    assert [enter(room.browser()) for _ in range(9)] == [303] * 9
    assert enter(room.browser(), "a wrong passphrase") == 403


def test_guesses_that_come_at_once_are_no_more_than_one_after_another() -> None:
    looked = 0

    async def look() -> None:
        nonlocal looked
        looked += 1
        await asyncio.sleep(0)

    async def at_once(guard: tries.Tries) -> list[object]:
        guesses = (guard.judge("10.77.0.66", "k8s", look) for _ in range(100))
        return await asyncio.gather(*guesses, return_exceptions=True)

    came = asyncio.run(at_once(tries.Tries(RateLimit(burst=5, per_second=0), RateLimit(burst=20, per_second=0))))
    assert looked == 5
    assert sum(isinstance(one, Problem) and one.status == 429 for one in came) == 95


def test_who_goes_away_meanwhile_was_wrong() -> None:
    async def leave(guard: tries.Tries) -> None:
        begun = asyncio.Event()

        async def look() -> str:
            begun.set()
            await asyncio.Event().wait()
            return "never"

        trying = asyncio.create_task(guard.judge("10.77.0.66", "k8s", look))
        await begun.wait()
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)

    guard = tries.Tries(RateLimit(burst=2, per_second=0), RateLimit(burst=9, per_second=0))
    for _ in range(2):
        assert not guard.over("10.77.0.66", "k8s")
        asyncio.run(leave(guard))
    assert guard.over("10.77.0.66", "k8s")
    assert not guard.over("10.77.0.67", "k8s")


def test_what_can_be_no_code_costs_no_try(room: Room) -> None:
    class_(room)
    browser = room.browser()
    assert [enter_first(browser, text) for text in ("", "x", "ABCD-234", "OOOO-1111", "a" * 3000, "ą" * 8)] == [403] * 6
    assert not room.console.door_tries.over("10.77.0.50", "k8s")


@pytest.mark.parametrize("name", ["..%2fk8s", "%2e%2e", "K8S", "default", "k8s%00", "a" * 300, "k8s.json", "<b>"])
def test_names_lead_nowhere_else(room: Room, name: str) -> None:
    class_(room)
    answer = room.browser().get(f"/door/{name}")
    assert answer.status_code in (303, 404)
    assert answer.headers.get("location", "/door") == "/door"


@pytest.mark.parametrize("path", ["/door", "/door/k8s", "/door/none/first", "/door/k8s/nothing"])
def test_every_answer_has_the_guarding_headers(room: Room, path: str) -> None:
    browser = student(room)
    for answer in (browser.get(path), browser.post(path), room.browser().get(path)):
        for name, value in security.HEADERS.items():
            assert answer.headers[name] == value, name


@whatever_it_is_called
def test_what_students_call_things_stays_text(said: str) -> None:
    shapes = []
    for text in (said, "plain"):
        with tempfile.TemporaryDirectory() as folder, room_in(Path(folder)) as room:
            found = class_(room)
            named = found.students[0].model_copy(update={"name": text})
            record.save(room.console.context.state, found.with_accounts([named]))
            trouble = Trouble("k8s-jan-kowalski", text, TroubleKind.IMAGE, text, text, 1)
            own = Own(
                (Used(text, text, text),), (Running(text, text, 1),), (Link(text, f"http://x/{text}"),), (trouble,)
            )
            room.console.own = lambda *_, own=own: own
            room.database.door.issue("k8s", {named.key: "d"}, ends=1e12)
            token = room.database.door.enter_first("k8s", named.key, "d", "00:kept", credential=1)
            assert token is not None
            browser = room.browser(cookies={security.door_cookie_name(room.console.lab): token})
            page = browser.get("/door/k8s")
            assert page.status_code == 200
            shapes.append(Found(page.text).tags)
    assert shapes[0] == shapes[1]
