"""A student's terminal in a real browser. Its shell is one of this host, not of a pod: tests/api has the pod."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from tests.browser.served import EVIL, Served
from tests.support.chromium import PATIENCE, click, complaints, media, patiently, violations, wait_for
from tests.support.shells import PROMPT
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nodisk.classes import codes, plan, record, sizes
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.console import security
from nodisk.console.terminal_pods import NO_ROOM, NoTerminal
from nodisk.console.terminal_session import KEPT, WINDOW, WORDS, End, Session
from nodisk.records.door import code_digest

pytestmark = pytest.mark.browser
PHRASE = "cztery słowa na dziś"
JAN = "shells-jan-kowalski"
SIZE = "const term = document.getElementById('terminal').terminal; return [term.rows, term.cols];"


@pytest.fixture(scope="module")
def shells(served: Served) -> Class:
    people = [Person("Jan Kowalski", id="1"), Person("Ewa Żak", id="2")]
    found = plan.merge(None, people, name="shells", now=record.now(), size=sizes.find("small"), role="edit").record
    record.save(served.state, found)
    return found


@pytest.fixture
def token(served: Served, shells: Class) -> str:
    """Of a session of Jan's, for programs."""
    return session(served, shells, 0)


@pytest.fixture(autouse=True)
def _anew(served: Served) -> Iterator[None]:
    for name in list(served.shells.shells):
        served.shells.end(name)
    served.console.terminals.places.clear()
    yield
    served.shells.refusal = None
    served.console.terminals.idle = 1800


def session(served: Served, found: Class, number: int) -> str:
    student, end = found.students[number], record.now() + timedelta(hours=1)
    code = codes.issue(served.database.door, found, [student], ends=end).codes[student.key]
    door = served.database.door
    digest = code_digest(code.replace("-", ""), door.salt(found.name))
    made = door.enter_first(found.name, student.key, digest, "00:kept", credential=student.credential)
    assert made is not None
    return made


def enter(driver: Chrome, served: Served, token: str) -> None:
    """A browser with that session, at the page of its terminal."""
    driver.get(f"{served.base}/door")
    driver.delete_all_cookies()
    cookie = {"name": security.door_cookie_name(served.lab), "value": token, "secure": True, "path": "/"}
    driver.add_cookie(cookie)
    driver.get(f"{served.base}/door/shells")
    click(driver, "a.button", "Open the terminal")
    opened(driver)


def opened(driver: Chrome) -> None:
    wait_for(driver, "#terminal[data-state=open]")
    wait_for(driver, "#state", "The terminal is ready.")


def screen(driver: Chrome) -> str:
    """What the terminal shows, and what has scrolled away: by the selection of all, which both versions have."""
    return str(
        driver.execute_script(
            "const term = document.getElementById('terminal').terminal; term.selectAll();"
            "const text = term.getSelection(); term.clearSelection(); return text;"
        )
    )


def shows(driver: Chrome, text: str) -> str:
    def look() -> str | None:
        found = screen(driver)
        return found if text in found else None

    return patiently(driver, look)


def type_in(driver: Chrome, text: str) -> None:
    driver.execute_script("document.getElementById('terminal').terminal.focus()")
    ActionChains(driver).send_keys(text, Keys.ENTER).perform()


def session_of_page(served: Served) -> Session:
    """The console's end of the page's connection."""
    return next(one.current for one in served.console.terminals.places.values() if one.current is not None)


def resize(driver: Chrome, session: Session, width: int) -> None:
    """Until the page has told the console: it waits for the end of a window's resizing."""
    before = session.size
    driver.set_window_size(width, 900)
    patiently(driver, lambda: session.size != before or None)


def test_typed_keys_echo_and_the_window_s_size_arrives(served: Served, browser: Chrome, token: str) -> None:
    enter(browser, served, token)
    browser.refresh()
    opened(browser)
    type_in(browser, "echo $((40+2))-ąę")
    shows(browser, "\n42-ąę\n")
    sizes_seen = []
    for width in (700, 1280):
        resize(browser, session_of_page(served), width)
        rows, columns = browser.execute_script(SIZE)
        type_in(browser, "stty size")
        shows(browser, f"\n{rows} {columns}\n")
        sizes_seen.append(columns)
    assert sizes_seen[0] < sizes_seen[1]
    assert complaints(browser) == [], "the Content-Security-Policy holds, and every file loads"


def test_what_the_class_is_told_stands_above_the_terminal(served: Served, browser: Chrome, token: str) -> None:
    """Within two seconds, as text, and without a word lost that is typed; it goes when it is withdrawn."""
    enter(browser, served, token)
    served.database.messages.tell("shells", f"Hand in by noon. {EVIL}", "Anna Nowak")
    wait_for(browser, "[data-live] blockquote", "Hand in by noon. <img")
    type_in(browser, "echo $((40+2))-still")
    shows(browser, "\n42-still\n")
    assert browser.find_elements(By.CSS_SELECTOR, "main img") == []
    assert violations(browser) == []
    browser.refresh()
    opened(browser)
    assert "Anna Nowak" in wait_for(browser, "blockquote footer").text
    served.database.messages.withdraw("shells")
    patiently(browser, lambda: not browser.find_elements(By.CSS_SELECTOR, "blockquote") or None)
    assert complaints(browser) == []


def test_a_broken_connection_goes_on_where_it_was(served: Served, browser: Chrome, token: str) -> None:
    enter(browser, served, token)
    type_in(browser, "kept=here-it-is; echo before-$kept")
    shows(browser, "\nbefore-here-it-is\n")
    for _ in range(2):
        browser.execute_script("document.getElementById('terminal').dataset.state = 'cut'")
        served.within(lambda: cut(served))
        opened(browser)
    assert "before-here-it-is" in screen(browser)
    type_in(browser, "echo after-$kept")
    shows(browser, "\nafter-here-it-is\n")


def cut(served: Served) -> None:
    """Break the browser's connection, as a network does: nobody says goodbye. In the loop that serves."""
    for protocol in served.connections():
        if "WebSocket" in type(protocol).__name__:
            protocol.transport.abort()


def test_after_a_power_cut_there_is_a_new_one_below_what_was_shown(served: Served, browser: Chrome, token: str) -> None:
    enter(browser, served, token)
    type_in(browser, "echo last-$((1+1))-words")
    shows(browser, "\nlast-2-words\n")
    browser.execute_script("document.getElementById('terminal').dataset.state = 'cut'")

    def power_cut() -> None:
        cut(served)
        served.shells.end(JAN)

    served.within(power_cut)  # at once: the page would find the old shell if it could come back in between
    opened(browser)
    text = shows(browser, KEPT)
    assert text.index("last-2-words") < text.index(KEPT)
    type_in(browser, "echo new-$((1+2))-shell")
    shows(browser, "\nnew-3-shell\n")


def test_the_key_is_renewed_while_it_is_open(served: Served, browser: Chrome, token: str) -> None:
    """A key of two seconds: what the shell reads is another each second, in the same page and the same shell."""
    served.shells.life = 2
    try:
        enter(browser, served, token)
        type_in(browser, "mine=$$; echo first-$(cat $KEY)")
        first = int(re.search(r"first-key-(\d+)-", shows(browser, "\nfirst-key-"))[1])  # type: ignore[index]
        patiently(browser, lambda: served.shells.keys >= first + 3 or None)
        type_in(browser, "[ $mine = $$ ] && echo later-$(cat $KEY)")
        later = int(re.search(r"later-key-(\d+)-", shows(browser, "\nlater-key-"))[1])  # type: ignore[index]
        assert later >= first + 3
    finally:
        served.shells.life = 3600


def test_a_second_window_takes_over_and_the_first_is_told(
    served: Served, browser: Chrome, second: Chrome, token: str
) -> None:
    enter(browser, served, token)
    enter(second, served, token)
    wait_for(browser, "#state", WORDS[End.TAKEN])
    wait_for(browser, "#again:enabled")
    type_in(second, "echo second-$((2+2))")
    shows(second, "\nsecond-4\n")
    click(browser, "#again:enabled")
    opened(browser)
    wait_for(second, "#state", WORDS[End.TAKEN])


def test_a_flood_waits_in_its_pod(served: Served, browser: Chrome, token: str) -> None:
    """``yes`` says hundreds of megabytes a second; the page and the console hold a window of it."""
    enter(browser, served, token)
    type_in(browser, "yes a-flood-of-words")
    shows(browser, "a-flood-of-words\na-flood-of-words")
    current = session_of_page(served)
    memory = "return performance.memory.usedJSHeapSize"
    patiently(browser, lambda: current.sent > 8 * WINDOW or None)
    before = browser.execute_script(memory)
    patiently(browser, lambda: current.sent > 24 * WINDOW or None)  # it goes on
    assert current.sent - current.seen <= WINDOW + 4096
    assert served.within(lambda: len(current.place.kept.text)) <= 65536
    assert browser.execute_script(memory) - before < 60_000_000
    ActionChains(browser).key_down(Keys.CONTROL).send_keys("c").key_up(Keys.CONTROL).perform()
    type_in(browser, "")
    type_in(browser, "echo over-$((3+2))")
    shows(browser, "\nover-5\n")


def test_signing_out_ends_it_and_so_does_idleness(served: Served, browser: Chrome, shells: Class, token: str) -> None:
    enter(browser, served, token)
    served.console.terminals.idle = 1
    browser.find_element(By.ID, "again")
    browser.refresh()
    wait_for(browser, "#state", WORDS[End.IDLE])
    patiently(browser, lambda: "jan-kowalski" in served.shells.removed or None)
    served.console.terminals.idle = 1800
    click(browser, "#again:enabled")
    opened(browser)
    served.database.door.sign_out(token)
    wait_for(browser, "#state", WORDS[End.OUT])


def test_no_room_is_said_in_both_languages(served: Served, browser: Chrome, token: str) -> None:
    enter(browser, served, token)
    served.shells.refusal = NoTerminal(NO_ROOM, "exceeded quota: nodisk, requested: pods=1, used: pods=6")
    browser.get(f"{served.base}/door/shells/terminal?lang=pl")
    wait_for(browser, "#state", "nie ma miejsca na terminal")
    wait_for(browser, "#detail", "exceeded quota: nodisk")
    browser.get(f"{served.base}/door/shells/terminal?lang=en")
    wait_for(browser, "#state", NO_ROOM)
    served.shells.refusal = None
    click(browser, "#again:enabled")
    opened(browser)


def test_axe_finds_nothing_wrong_and_the_keyboard_leaves(served: Served, browser: Chrome, token: str) -> None:
    found = {}
    for language in ("pl", "en"):
        enter(browser, served, token)
        browser.get(f"{served.base}/door/shells/terminal?lang={language}")
        wait_for(browser, "#terminal[data-state=open]")
        for scheme, width in (("light", 1280), ("dark", 360)):
            browser.set_window_size(width, 900)
            media(browser, prefers_color_scheme=scheme)
            if bad := violations(browser):
                found[language, scheme, width] = bad
    browser.set_window_size(1280, 900)
    media(browser)
    click(browser, "#reader")
    type_in(browser, "echo aloud-$((5+1))")
    patiently(browser, lambda: "aloud-6" in (wait_for(browser, "#terminal").get_attribute("textContent") or "") or None)
    if bad := violations(browser):
        found["reader", "", 0] = bad
    ActionChains(browser).key_down(Keys.CONTROL).send_keys(Keys.F6).key_up(Keys.CONTROL).perform()
    assert browser.switch_to.active_element.get_attribute("id") == "reader"
    complaints(browser)
    assert found == {}


def test_without_scripts_the_page_says_how_to_use_kubectl(served: Served, plain: Chrome, token: str) -> None:
    plain.get(f"{served.base}/door")
    plain.delete_all_cookies()
    plain.add_cookie({"name": security.door_cookie_name(served.lab), "value": token, "secure": True, "path": "/"})
    plain.get(f"{served.base}/door/shells/terminal")
    wait_for(plain, "noscript pre, pre", "kubectl --kubeconfig jan-kowalski.kubeconfig get pods")


# ---- programs instead of browsers -----------------------------------------------------------------------------------


def dial(served: Served, token: str, *, origin: str = "", name: str = "shells") -> Any:
    trust = ssl.create_default_context(cafile=str(served.state.pki / "server-ca.crt"))
    trust.check_hostname = False
    url = served.base.replace("https:", "wss:") + f"/door/{name}/terminal/socket"
    cookie = {"Cookie": f"{security.door_cookie_name(served.lab)}={token}"}
    return connect(url, ssl=trust, origin=origin or served.base, additional_headers=cookie, proxy=None)  # type: ignore[arg-type]


def hello(token: str, **more: Any) -> str:
    return json.dumps({"token": security.form_token(token), "columns": 80, "rows": 24} | more)


async def until(socket: ClientConnection, text: str) -> str:
    """All bytes until that is among them."""
    said, seen = "", 0
    async with asyncio.timeout(PATIENCE):
        while text not in said:
            message = await socket.recv()
            if isinstance(message, bytes):
                said, seen = said + message.decode(errors="replace"), seen + len(message)
                await socket.send(json.dumps({"seen": seen}))
    return said


def test_who_may_not_have_it_is_refused(served: Served, shells: Class, token: str) -> None:
    other = session(served, shells, 1)

    async def refused(**how: Any) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with dial(served, **how):
                pass
        assert caught.value.response.status_code == 403

    async def tries() -> None:
        await refused(token=token, origin="https://evil.example")
        await refused(token=token, origin="null")
        await refused(token="made-up")
        await refused(token="")
        await refused(token=token, name="physics")
        for first in (hello(other), hello(token, columns=501), hello(token, rows=0), "x", '{"token": "a"}'):
            async with dial(served, token) as socket:
                await socket.send(first)
                with pytest.raises(ConnectionClosed) as caught:
                    await socket.recv()
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 1008

    asyncio.run(tries())


def test_messages_are_bounded_and_judged(served: Served, token: str) -> None:
    async def tries() -> None:
        for bad in ('{"columns": 1000, "rows": 1}', '{"seen": 9999999999}', "[]", "x" * 70_000, b"x" * 70_000):
            async with dial(served, token) as socket:
                await socket.send(hello(token))
                await until(socket, PROMPT)
                await socket.send(bad)
                async with asyncio.timeout(PATIENCE):
                    await socket.wait_closed()

    asyncio.run(tries())


def test_nothing_is_sent_to_who_shows_nothing(served: Served, token: str) -> None:
    """A browser that doesn't confirm gets a window of output; one that types without end waits."""

    async def tries() -> None:
        async with dial(served, token) as socket:
            await socket.send(hello(token))
            await until(socket, PROMPT)
            await socket.send(b"yes\n")
            got = 0
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(PATIENCE if got < WINDOW else 3):  # silence means something after that
                        got += len(await socket.recv())
                    assert got <= WINDOW + 4096
            assert got >= WINDOW

    asyncio.run(tries())
    events = [event.detail for event in served.database.events(limit=400)]
    assert any("shells/jan-kowalski opened a terminal" in text for text in events)
    assert any("shells/jan-kowalski closed a terminal" in text for text in events)
    assert not any("flood" in text or "here-it-is" in text for text in events)
