"""The students' door in a real browser: from the card to the page, and back by a passphrase."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from tests.browser.served import EVIL, Served
from tests.support.chromium import PATIENCE, click, complaints, media, patiently, violations, wait_for

from nodisk.classes import codes, plan, record, sizes
from nodisk.classes.own import Own, Running, Used
from nodisk.classes.record import Class
from nodisk.classes.roster import Person

pytestmark = pytest.mark.browser
PHRASE = "cztery słowa na dziś"


@pytest.fixture(scope="module")
def physics(served: Served) -> Class:
    """A class in which somebody chose a name that is an attack."""
    people = [Person("Jan Kowalski", id="1"), Person(EVIL.replace("'", "").replace('"', "")[:60], id="2")]
    found = plan.merge(None, people, name="physics", now=record.now(), size=sizes.find("small"), role="edit").record
    record.save(served.state, found)
    return found


def enter(driver: Chrome, served: Served, found: Class, number: int = 0) -> None:
    """Sign in by a code, with the keyboard."""
    student, end = found.students[number], record.now() + timedelta(hours=1)
    code = codes.issue(served.database.door, found, [student], ends=end).codes[student.key]
    driver.delete_all_cookies()
    driver.get(f"{served.base}/door/physics")
    wait_for(driver, "#code").send_keys(code.lower(), Keys.TAB, PHRASE, Keys.TAB, PHRASE, Keys.ENTER)
    wait_for(driver, "h2", "Your key for kubectl")


def test_from_the_card_to_the_page_and_back(served: Served, browser: Chrome, physics: Class, tmp_path: Path) -> None:
    enter(browser, served, physics)
    assert wait_for(browser, "h1").text == "Jan Kowalski"
    assert wait_for(browser, "main li a").get_attribute("href") == "http://10.77.0.12:30080/"
    assert browser.execute_script("return document.cookie") == ""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    click(browser, "main button", "Download the key file")
    path = tmp_path / "jan-kowalski.kubeconfig"
    WebDriverWait(browser, PATIENCE, poll_frequency=0.1).until(lambda _: path.exists() and path.stat().st_size)
    assert path.read_text() == "kind: Config # jan-kowalski\n"
    click(browser, ".who button", "Sign out")
    wait_for(browser, "h2", "First time here")
    wait_for(browser, "#login").send_keys("jan-kowalski", Keys.TAB, "not the passphrase", Keys.ENTER)
    wait_for(browser, "[role=alert]", "The login or the passphrase is wrong.")
    wait_for(browser, "#login").send_keys("jan-kowalski", Keys.TAB, PHRASE, Keys.ENTER)
    wait_for(browser, "h2", "Your key for kubectl")
    browser.get(f"{served.base}/")
    wait_for(browser, "main", "Nobody is signed in here")
    complaints(browser)  # the wrong passphrase's 403 is one


def test_axe_finds_nothing_wrong(served: Served, browser: Chrome, physics: Class) -> None:
    """Every page, by day and by night, in both languages, on a phone and in a room."""
    browser.delete_all_cookies()
    found = {}
    for signed_in in (False, True):
        paths = ["/door", "/door?class=no.class", "/door/physics", "/door/none"]
        if signed_in:
            enter(browser, served, physics)
            paths = ["/door/physics"]
        for language in ("pl", "en"):
            for path in paths:
                browser.get(f"{served.base}{path}{'&' if '?' in path else '?'}lang={language}")
                for scheme, width in (("light", 1280), ("dark", 1280), ("dark", 360)):
                    browser.set_window_size(width, 900)
                    media(browser, prefers_color_scheme=scheme)
                    if bad := violations(browser):
                        found[path, language, scheme, width] = bad
    browser.set_window_size(1280, 900)
    suspended = physics.students[0].model_copy(update={"suspended": True})
    with contextlib.ExitStack() as after:
        record.save(served.state, physics.with_accounts([suspended]))
        after.callback(record.save, served.state, physics)
        browser.get(f"{served.base}/door/physics")
        wait_for(browser, "[role=alert]", "Your access is suspended")
        if bad := violations(browser):
            found["suspended", "", "", 0] = bad
    media(browser)
    complaints(browser)
    assert found == {}


def test_without_scripts(served: Served, plain: Chrome, physics: Class) -> None:
    enter(plain, served, physics)
    click(plain, ".who button", "Sign out")
    wait_for(plain, "h2", "First time here")


def test_what_the_class_is_told(served: Served, browser: Chrome, physics: Class) -> None:
    """In both languages; whatever a teacher writes is text."""
    served.database.messages.tell("physics", f"Hand in by noon.\n{EVIL}", "Anna Nowak")
    enter(browser, served, physics)
    assert wait_for(browser, "blockquote").text.startswith("Hand in by noon.\n<img")
    assert browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
    assert not browser.title.startswith("taken")
    found = {}
    for language in ("pl", "en"):
        browser.get(f"{served.base}/door/physics?lang={language}")
        wait_for(browser, "blockquote footer", "Anna Nowak")
        found[language] = violations(browser)
    served.database.messages.withdraw("physics")
    browser.get(f"{served.base}/door/physics")
    wait_for(browser, "h2", "Your key for kubectl")
    assert browser.find_elements(By.CSS_SELECTOR, "blockquote") == []
    assert found == {"pl": [], "en": []}
    assert complaints(browser) == []


def test_what_students_write_runs_nothing(served: Served, browser: Chrome, physics: Class) -> None:
    enter(browser, served, physics, 1)
    assert "<img" in wait_for(browser, "main", "ImagePullBackOff").text
    assert browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
    assert browser.title.startswith("<img "), "the name is there as it is written, and no script has put another title"
    assert complaints(browser) == []


def test_the_page_is_live(served: Served, browser: Chrome, physics: Class) -> None:
    """What the teacher says, what runs, a suspension: each on the page within two seconds, and without a reload."""
    running, asked = [Running("web-1", "Pending", 0)], served.console.own
    served.console.own = lambda *_: Own((Used("Pods", "1", "10"),), tuple(running), (), ())
    suspended = physics.students[0].model_copy(update={"suspended": True})
    with contextlib.ExitStack() as after:
        after.callback(setattr, served.console, "own", asked)
        after.callback(record.save, served.state, physics)
        after.callback(served.database.messages.withdraw, "physics")
        enter(browser, served, physics)
        browser.execute_script("window.before = 'the same page'")
        steps: tuple[tuple[str, str, Callable[[], None]], ...] = (
            ("td", "Ready", lambda: running.append(Running("api-1", "Ready", 0))),
            (
                "blockquote",
                "Hand in by noon.",
                lambda: served.database.messages.tell("physics", "Hand in by noon.", "A"),
            ),
            (
                "[role=alert]",
                "Your access is suspended.",
                lambda: record.save(served.state, physics.with_accounts([suspended])),
            ),
            ("h2", "Your key for kubectl", lambda: record.save(served.state, physics)),
        )
        for selector, text, act in steps:
            act()
            wait_for(browser, selector, text)
            assert browser.execute_script("return window.before") == "the same page"
        # The keyboard stays where it is while the page changes around it.
        browser.execute_script("document.querySelector('form[action$=kubeconfig] button').focus()")
        running.append(Running("db-1", "Ready", 0))
        wait_for(browser, "th", "db-1")
        assert browser.switch_to.active_element.text == "Download the key file"
        assert violations(browser) == []
    assert complaints(browser) == []


def test_headlamp_s_token_is_shown(served: Served, browser: Chrome, physics: Class) -> None:
    enter(browser, served, physics)
    click(browser, "main form button", "Open Headlamp")
    assert str(wait_for(browser, "#token").get_attribute("value")).startswith("eyJ")
    wait_for(browser, "dd", "physics-jan-kowalski")
    assert violations(browser) == []
    click(browser, "main a", "Back to your page")
    wait_for(browser, "h2", "Your key for kubectl")
    assert complaints(browser) == []


def test_who_is_let_in_again_sees_it_on_a_page_that_was_reloaded(
    served: Served, browser: Chrome, physics: Class
) -> None:
    suspended = physics.students[0].model_copy(update={"suspended": True})
    with contextlib.ExitStack() as after:
        after.callback(record.save, served.state, physics)
        enter(browser, served, physics)
        record.save(served.state, physics.with_accounts([suspended]))
        wait_for(browser, "[role=alert]", "Your access is suspended.")
        browser.get(f"{served.base}/door/physics")
        wait_for(browser, "[role=alert]", "Your access is suspended.")
        assert browser.find_elements(By.CSS_SELECTOR, "main form, main table") == []
        assert violations(browser) == []
        browser.execute_script("window.before = 'the same page'")
        record.save(served.state, physics)
        wait_for(browser, "h2", "Your key for kubectl")
        assert browser.execute_script("return window.before") == "the same page"
    complaints(browser)  # the closed page's 403 is one


def test_news_that_the_page_has_already_swaps_nothing(served: Served, browser: Chrome, physics: Class) -> None:
    """The first news of a page, and none of it is other: what somebody is about to click stays."""
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": COUNTED})
    pods, asked = [Running("web-1", "Ready", 0)], served.console.own
    with contextlib.ExitStack() as after:
        after.callback(setattr, served.console, "own", asked)
        after.callback(browser.execute_cdp_cmd, "Page.removeScriptToEvaluateOnNewDocument", script)
        served.console.own = lambda *_: Own((Used("Pods", "1", "10"),), tuple(pods), (), ())
        enter(browser, served, physics)
        patiently(browser, lambda: browser.execute_script("return window.news"))
        assert browser.execute_script("return window.swaps") == 0
        pods.append(Running("web-2", "Ready", 0))
        wait_for(browser, "th", "web-2")
        assert browser.execute_script("return window.swaps") == 1
        browser.get(served.link("anna"))
        click(browser, "main button", "anna")
        wait_for(browser, "h1", "Room room")
        patiently(browser, lambda: browser.execute_script("return window.news"))
        assert browser.execute_script("return window.swaps") == 0
    assert complaints(browser) == []


COUNTED = """
window.news = window.swaps = 0;
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (name, act) {
  listen.call(this, name, (event) => {
    act(event);
    if (name === "part") window.news += 1;
  });
};
new MutationObserver((found) => {
  window.swaps += found.filter((one) => one.target.dataset?.live && one.removedNodes.length).length;
}).observe(document, { subtree: true, childList: true });
"""
"""Counts the news of a page and how often its live part was swapped."""
