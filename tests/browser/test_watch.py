"""A teacher watches a student's terminal: real browsers on both sides, and programs that try more than to watch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from tests.browser.served import Served
from tests.browser.test_terminal import dial, enter, hello, screen, session, shows, type_in
from tests.browser.test_terminal import until as until_said
from tests.support.chromium import PATIENCE, click, complaints, media, patiently, violations, wait_for
from tests.support.shells import PROMPT
from tests.support.waits import until, until_async
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nodisk.classes import plan, record, sizes
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.console import security, terminal_watchers, watch_pages
from nodisk.console.terminal_watchers import WORDS, Left
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind

pytestmark = pytest.mark.browser
ANNA = "Anna Nowak"
NOTICE = f"{ANNA} watches this terminal."


@pytest.fixture(scope="module")
def shells(served: Served) -> Class:
    people = [Person("Jan Kowalski", id="1"), Person("Ewa Żak", id="2")]
    found = plan.merge(
        None, people, name="shells", now=record.now(), size=sizes.find("small"), role="edit", teachers=[ANNA]
    ).record
    record.save(served.state, found)
    return found


@pytest.fixture
def token(served: Served, shells: Class) -> str:
    return session(served, shells, 0)


@pytest.fixture(autouse=True)
def _anew(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_watchers, "NOTICE", PATIENCE)  # a busy host may need longer than a student's page may
    for name in list(served.shells.shells):
        served.shells.end(name)
    served.console.terminals.places.clear()


def teacher(served: Served, name: str = ANNA, role: ConsoleRole = ConsoleRole.TEACHER) -> str:
    """The token of a session of the console, for programs and browsers."""
    found = served.database.console.sign_in(served.database.console.invite(name, role, seconds=60))
    assert found is not None
    return found[0]


def at_console(driver: Chrome, served: Served, token: str, path: str) -> None:
    driver.get(f"{served.base}/door")
    driver.delete_all_cookies()
    name = security.cookie_name(served.lab)
    driver.add_cookie({"name": name, "value": token, "secure": True, "path": "/"})
    driver.get(f"{served.base}{path}")


def test_a_teacher_watches_and_the_student_sees_who(
    served: Served, browser: Chrome, second: Chrome, token: str
) -> None:
    enter(browser, served, token)
    type_in(browser, "echo before-$((40+2))")
    shows(browser, "\nbefore-42\n")
    at_console(second, served, teacher(served), "/class/shells")
    assert len(second.find_elements(By.LINK_TEXT, "Watch")) == 1, "Ewa's isn't open"
    click(second, "td a", "Watch")
    shows(second, "before-42")
    assert wait_for(browser, "#watched").text == NOTICE
    rows = "return document.getElementById('terminal').terminal.rows"
    assert second.execute_script(rows) == browser.execute_script(rows)
    type_in(browser, "echo live-$((2+1))-ąę")
    shows(second, "\nlive-3-ąę\n")
    # Keys go nowhere.
    second.execute_script("document.getElementById('terminal').terminal.focus()")
    ActionChains(second).send_keys("echo typed-by-the-teacher", Keys.ENTER).perform()
    type_in(browser, "echo still-$((3+3))")
    shows(second, "\nstill-6\n")
    assert "typed-by-the-teacher" not in screen(browser)
    # The notice stays, wherever the page is scrolled to, and as long as somebody watches.
    found = {}
    for scheme, width in (("light", 1280), ("dark", 360)):
        for name, driver in (("student", browser), ("teacher", second)):
            driver.set_window_size(width, 900)
            media(driver, prefers_color_scheme=scheme)
            if bad := violations(driver):
                found[name, scheme] = bad
    for driver in (browser, second):
        driver.set_window_size(1280, 900)
        media(driver)
    browser.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    assert wait_for(browser, "#watched").is_displayed()
    second.get(f"{served.base}/class/shells")
    wait_for(browser, "#terminal[data-state=open]")
    gone(browser)
    assert found == {}
    assert complaints(browser) == complaints(second) == []


def nobody_is_there(served: Served) -> bool:
    """The console has ended each terminal's session, which it does a moment after it has told everybody."""
    return all(one.current is None for one in list(served.console.terminals.places.values()))


def gone(driver: Chrome) -> None:
    """Nobody watches, says the page."""
    patiently(driver, lambda: driver.find_element(By.ID, "watched").get_property("textContent") == "" or None)


def test_it_ends_with_the_student_s_session_and_is_said_in_polish(
    served: Served, browser: Chrome, second: Chrome, token: str
) -> None:
    enter(browser, served, token)
    browser.get(f"{served.base}/door/shells/terminal?lang=pl")
    wait_for(browser, "#terminal[data-state=open]")
    at_console(second, served, teacher(served), "/class/shells/terminal/jan-kowalski?lang=pl")
    wait_for(browser, "#watched", f"{ANNA} ogląda ten terminal.")
    wait_for(second, "#terminal[data-state=open]")
    served.database.door.sign_out(token)
    wait_for(second, "#state", "Terminal studenta został zamknięty.")
    until(lambda: nobody_is_there(served))
    click(second, "#again:enabled")
    wait_for(second, "#state", "Ten student nie ma teraz otwartego terminala.")
    second.get(f"{served.base}/class/shells?lang=en")
    browser.get(f"{served.base}/door?lang=en")


def test_the_activity_says_who_watched(served: Served) -> None:
    def events() -> list[str]:
        return [event.detail for event in served.database.events(limit=400)]

    watches = f"console: {ANNA} (teacher) watches the terminal of shells/jan-kowalski"
    until(lambda: f"{watches} no more (closed)" in events(), why=events)
    assert watches in events()
    assert not any("before-42" in text for text in events())


# ---- programs instead of browsers -----------------------------------------------------------------------------------


def watching(served: Served, token: str, *, origin: str = "", label: str = "jan-kowalski") -> Any:
    trust = ssl.create_default_context(cafile=str(served.state.pki / "server-ca.crt"))
    trust.check_hostname = False
    url = served.base.replace("https:", "wss:") + f"/class/shells/terminal/{label}/socket"
    cookie = {"Cookie": f"{security.cookie_name(served.lab)}={token}"}
    return connect(url, ssl=trust, origin=origin or served.base, additional_headers=cookie, proxy=None)  # type: ignore[arg-type]


def hello_of_watcher(token: str) -> str:
    return json.dumps({"token": security.form_token(token)})


@contextlib.asynccontextmanager
async def student(served: Served, token: str) -> AsyncIterator[ClientConnection]:
    """A student's terminal that is at its prompt."""
    async with dial(served, token) as socket:
        await socket.send(hello(token))
        await until_said(socket, PROMPT)
        yield socket


async def notice(socket: ClientConnection, text: str) -> int:
    """The number of the notice that has that text."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await socket.recv()
            if isinstance(message, str) and (said := json.loads(message)).get("watched") == text:
                return int(said["number"])


async def ends(socket: ClientConnection) -> tuple[list[Any], int]:
    """All that is said until the connection ends, and its code."""
    said: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        try:
            while True:
                message = await socket.recv()
                said.append(message if isinstance(message, bytes) else json.loads(message))
        except ConnectionClosed as error:
            return said, error.rcvd.code if error.rcvd is not None else 0


def test_nothing_is_shown_before_the_student_s_page_shows_who_watches(
    served: Served, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tries() -> None:
        mine = teacher(served)
        async with student(served, token) as jan, watching(served, mine) as anna:
            await anna.send(hello_of_watcher(mine))
            number = await notice(jan, NOTICE)
            await jan.send(b"echo secret-$((1+1))\n")
            await until_said(jan, "secret-2")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await anna.recv()
            await jan.send(json.dumps({"told": number}))
            assert "secret-2" in await until_said(anna, "secret-2")
        # A page that never says so: nothing, with the reason.
        monkeypatch.setattr(terminal_watchers, "NOTICE", 0.5)
        async with student(served, token) as jan, watching(served, mine) as anna:
            await anna.send(hello_of_watcher(mine))
            said, code = await ends(anna)
            assert (said, code) == ([{"state": "hidden", "text": WORDS[Left.HIDDEN], "detail": ""}], 1000)
            await notice(jan, "")

    asyncio.run(tries())


def test_who_watches_can_send_nothing(served: Served, token: str) -> None:
    """Keys, a size, somebody else's answers, an answer to the notice in the student's place: each ends it."""

    async def tries() -> None:
        mine = teacher(served)
        for sent in (
            b"touch /tmp/taken\n",
            b"",
            '{"columns": 10, "rows": 10}',
            '{"told": 1}',
            '{"seen": 99999999}',
            '{"seen": 1, "columns": 2}',
            hello(token),
            "x",
            b"x" * 70_000,
        ):
            async with student(served, token) as jan, watching(served, mine) as anna:
                await anna.send(hello_of_watcher(mine))
                await jan.send(json.dumps({"told": await notice(jan, NOTICE)}))
                await until_said(anna, PROMPT)
                await anna.send(sent)
                _, code = await ends(anna)
                assert code == (1009 if len(sent) > 65_536 else 1008), sent  # RFC 6455, 7.4.1: too big; policy
                await notice(jan, "")
                await jan.send(b"echo on-$((4+4))\n")
                said = await until_said(jan, "on-8")
                assert "touch" not in said
                assert "xx" not in said

    asyncio.run(tries())
    alarms = [event.detail for event in served.database.events(kinds=(Kind.ALARM,))]
    assert any(
        f"{ANNA} (teacher) tried to send something to the terminal of shells/jan-kowalski" in one for one in alarms
    )


def test_who_may_not_watch_is_refused(served: Served, token: str) -> None:
    async def refused(token: str, **how: str) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with watching(served, token, **how):
                pass
        assert caught.value.response.status_code == 403

    async def tries() -> None:
        mine = teacher(served)
        async with student(served, token) as jan:
            await refused(teacher(served, ANNA, ConsoleRole.VIEWER))
            await refused(teacher(served, "Another Teacher"))
            await refused(token)
            await refused("made-up")
            await refused(mine, origin="https://evil.example")
            await refused(mine, label="nobody")
            for first in (hello_of_watcher(token), hello(mine), "{}", "x"):
                async with watching(served, mine) as anna:
                    await anna.send(first)
                    assert await ends(anna) == ([], 1008)
            # An administrator may; who is signed out may not any more.
            root = teacher(served, "root", ConsoleRole.ADMIN)
            async with watching(served, root) as admin:
                await admin.send(hello_of_watcher(root))
                await jan.send(json.dumps({"told": await notice(jan, "root watches this terminal.")}))
                await until_said(admin, PROMPT)
                served.database.console.sign_out(root)
                said, code = await ends(admin)
                assert (said[-1]["text"], code) == (WORDS[Left.OUT], 1000)
        await until_async(lambda: nobody_is_there(served))
        async with watching(served, mine) as anna:
            await anna.send(hello_of_watcher(mine))
            said, _ = await ends(anna)
            assert said == [{"state": "failed", "text": watch_pages.CLOSED, "detail": ""}]

    asyncio.run(tries())


def test_a_slow_watcher_holds_up_nobody_and_gets_the_end(served: Served, token: str) -> None:
    async def tries() -> None:
        mine = teacher(served)
        async with student(served, token) as jan, watching(served, mine) as anna:
            await anna.send(hello_of_watcher(mine))
            await jan.send(json.dumps({"told": await notice(jan, NOTICE)}))
            await jan.send(b"seq 200000; echo done-$((5+5))\n")
            await until_said(jan, "done-10")
            place = next(one for one in served.console.terminals.places.values() if one.current is not None)
            assert place.current is not None
            assert len(place.current.watchers.let_in[0].waiting) <= terminal_watchers.WINDOW + 8192
            said = await until_said(anna, "done-10")
            assert "\x1bc" in said, "begun anew"
            assert len(said) < 1_000_000

    asyncio.run(tries())


@pytest.mark.parametrize("path", ["/class/shells/terminal/jan-kowalski", "/class/shells/terminal/nobody"])
def test_the_page_is_for_those_who_teach(served: Served, second: Chrome, path: str) -> None:
    at_console(second, served, teacher(served, ANNA, ConsoleRole.VIEWER), path)
    wait_for(second, "main", "only teachers and administrators may see this")
    at_console(second, served, teacher(served, "Another Teacher"), path)
    wait_for(second, "main", "there is no such class, or it isn't yours")
    complaints(second)
