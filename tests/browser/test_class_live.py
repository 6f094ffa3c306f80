"""A class's page in a real browser: it stays live, disturbs nobody who works on it, and fits on a phone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from tests.browser.served import EVIL, Served
from tests.support.chromium import click, complaints, patiently, violations, wait_for

from nodisk.classes import plan, record, sizes
from nodisk.classes.own import Together, Used
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.classes.trouble import Kind as TroubleKind
from nodisk.classes.trouble import Trouble
from nodisk.records import printed
from nodisk.records.console_access import ConsoleRole
from nodisk.values import Mac, Stage

pytestmark = pytest.mark.browser

LONG = "anamewithoutanyspace" * 8
JAN, EWA = "student-jan-kowalski", "student-ewa-zak"


@pytest.fixture(scope="module")
def physics(served: Served) -> Class:
    people = [Person("Jan Kowalski", id="1"), Person("Ewa Żak", id="2")]
    teachers = ("Anna Nowak",)
    made = plan.merge(
        None, people, name="physics", now=record.now(), size=sizes.find("small"), role="edit", teachers=teachers
    ).record
    record.save(served.state, made)
    return made


@pytest.fixture
def says(served: Served, physics: Class) -> Iterator[Callable[[Together], None]]:
    """What the API says of the class from now on; at first that nothing fails and nothing is used."""
    before, now = served.console.together, [Together()]
    served.console.together = lambda *_: now[0]
    yield lambda more: now.__setitem__(0, more)
    served.console.together = before
    record.save(served.state, physics)
    served.database.messages.withdraw("physics")


def fails(text: str = "can't be pulled", *, of: str = "deployment/web") -> Trouble:
    return Trouble("physics-ewa-zak", of, TroubleKind.IMAGE, text, "a typo in ngnix? nginx is known", 2)


def enter(driver: Chrome, served: Served, name: str = "Anna Nowak", path: str = "/class/physics") -> None:
    driver.delete_all_cookies()
    driver.get(served.link(name, ConsoleRole.TEACHER))
    click(driver, "main button", name)
    wait_for(driver, "h1", "Room room")
    driver.get(f"{served.base}{path}")
    wait_for(driver, "h1", "physics")


def suspended(found: Class) -> Class:
    return found.with_accounts([found.students[1].model_copy(update={"suspended": True})])


CHANGED = """
window.same = true;
window.changed = [];
new MutationObserver((found) => {
  for (const one of found) if (one.target.id !== "") window.changed.push(one.target.id);
}).observe(document.querySelector("main"), { subtree: true, childList: true });
"""
"""Notes the elements in which something was put in anew, by id."""


def changed(driver: Chrome) -> list[str]:
    """Since the last call."""
    found: list[str] = driver.execute_script("return window.changed.splice(0)")
    return list(dict.fromkeys(found))


def test_what_happens_to_students_is_on_every_teacher_s_page(
    served: Served, browser: Chrome, second: Chrome, physics: Class, says: Callable[[Together], None]
) -> None:
    """A suspension, the quota, what fails, a message, a sign-in: each without a reload, and only where it is."""
    for one in (browser, second):
        enter(one, served)
        one.execute_script(CHANGED)
    ewa = physics.students[1].key
    used, alone = {ewa: (Used("Pods", "7", "10"),)}, physics.without([physics.students[0]])
    steps: tuple[tuple[str, str, list[str], Callable[[], object]], ...] = (
        (f"#{EWA}", "suspended", [EWA], lambda: record.save(served.state, suspended(physics))),
        (f"#{EWA}", "Pods 7/10", [EWA], lambda: says(Together((), used))),
        ("#fails td", "deployment/web", ["fails"], lambda: says(Together((fails(EVIL),), used))),
        ("#told", "By noon.", ["told"], lambda: served.database.messages.tell("physics", f"By noon. {EVIL}", "Anna")),
        (f"#{EWA} time", "", [EWA], lambda: _signs_in(served, ewa)),
        (
            "#students h2",
            "(1)",
            ["students"],
            lambda: record.save(served.state, alone),
        ),
    )
    for selector, text, where, act in steps:
        act()
        for one in (browser, second):
            wait_for(one, selector, text)
            assert one.execute_script("return window.same"), "the page was loaded anew"
            assert changed(one) == where
    assert browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
    assert "taken" not in browser.title
    assert violations(browser) == []
    assert complaints(browser) + complaints(second) == []


def _signs_in(served: Served, account: str) -> None:
    served.database.door.issue("physics", {account: "digest"}, ends=4e9)
    assert served.database.door.enter_first("physics", account, "digest", "00:kept", credential=1)


def test_nobody_who_works_on_the_page_is_disturbed(
    served: Served, browser: Chrome, physics: Class, says: Callable[[Together], None]
) -> None:
    """Ticks, the keyboard's place and a half-written message stay; nothing is read out but that nobody knows."""
    enter(browser, served)
    click(browser, f"#{EWA} input")
    click(browser, f"#{JAN} input")
    wait_for(browser, "#text").send_keys("Hand in by")
    browser.execute_script(f"document.querySelector('#{EWA} input').focus()")
    browser.execute_script(CHANGED)
    record.save(served.state, suspended(physics))
    wait_for(browser, f"#{EWA}", "suspended")
    assert browser.switch_to.active_element.get_attribute("value") == "ewa-zak"
    assert [one.is_selected() for one in browser.find_elements(By.CSS_SELECTOR, "input[name=student]")] == [True, True]
    says(Together((fails(),)))
    wait_for(browser, "#fails td", "deployment/web")
    assert browser.switch_to.active_element.get_attribute("value") == "ewa-zak"
    assert wait_for(browser, "#text").get_attribute("value") == "Hand in by"
    # A region that is live for who hears the page would read out all of it whenever a figure changes.
    assert browser.find_elements(By.CSS_SELECTOR, "main [aria-live], main [role=status], main [role=alert]") == []
    # The keyboard goes on from where it is.
    ActionChains(browser).send_keys(Keys.SPACE).perform()
    assert not wait_for(browser, f"#{EWA} input").is_selected()
    assert complaints(browser) == []


def test_the_first_news_swaps_nothing(
    served: Served, browser: Chrome, physics: Class, says: Callable[[Together], None]
) -> None:
    says(Together((fails(),), {one.key: (Used("Pods", "2", "10"),) for one in physics.students}))
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": COUNTED})
    with contextlib.ExitStack() as after:
        after.callback(browser.execute_cdp_cmd, "Page.removeScriptToEvaluateOnNewDocument", script)
        enter(browser, served)
        patiently(browser, lambda: browser.execute_script("return window.news >= 4"))
        assert browser.execute_script("return window.swaps") == 0
        assert browser.execute_script("return window.sources") == 1, "one stream for all of the page"
    assert complaints(browser) == []


COUNTED = """
window.news = window.swaps = window.sources = 0;
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (name, act) {
  listen.call(this, name, (event) => {
    act(event);
    if (name === "piece") window.news += 1;
  });
};
window.EventSource = class extends EventSource {
  constructor(address) {
    super(address);
    window.sources += 1;
  }
};
new MutationObserver((found) => {
  window.swaps += found.filter((one) => one.target.closest?.("[data-live]") && one.removedNodes.length).length;
}).observe(document, { subtree: true, childList: true });
"""
"""Counts a page's streams, their news, and how often something of it was swapped."""


def test_who_teaches_it_no_more_is_led_away_and_loses_no_words(
    served: Served, browser: Chrome, physics: Class, says: Callable[[Together], None]
) -> None:
    """A page on which somebody writes stays as it is, gets nothing more, and is left once the text is sent or taken."""
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": COUNTED})
    with contextlib.ExitStack() as after:
        after.callback(browser.execute_cdp_cmd, "Page.removeScriptToEvaluateOnNewDocument", script)
        enter(browser, served)
        patiently(browser, lambda: browser.execute_script("return window.news >= 4"))
        wait_for(browser, "#text").send_keys("Hand in by")
        record.save(served.state, physics.without(physics.teachers))
        says(Together((fails("a secret of others"),)))
        patiently(browser, lambda: browser.execute_script("return window.sources >= 2"))
        assert wait_for(browser, "#text").get_attribute("value") == "Hand in by"
        assert "a secret of others" not in wait_for(browser, "main").text
        wait_for(browser, "#text").clear()
        wait_for(browser, "main", "there is no such class, or it isn't yours")
    complaints(browser)  # the stream's and the page's 404


def test_on_a_phone_tables_move_and_the_page_does_not(
    served: Served, browser: Chrome, physics: Class, says: Callable[[Together], None]
) -> None:
    """Of every page that has a table; and a word is in one piece wherever there is room for it in one."""
    _things_with_long_names(served)
    says(Together((fails(), fails(LONG, of=f"deployment/{LONG}")), {}))
    browser.delete_all_cookies()
    browser.get(served.link("root"))
    click(browser, "main button", "root")
    wait_for(browser, "h1", "Room room")
    too_wide, stops = dict[str, object](), dict[tuple[str, int], int]()
    with contextlib.ExitStack() as after:
        after.callback(browser.set_window_size, 1280, 900)
        for width in (360, 1280):
            browser.set_window_size(width, 900)
            for path in PAGES:
                browser.get(f"{served.base}{path}")
                wait_for(browser, "main h1")
                if wide := browser.execute_script(WIDER):
                    too_wide[f"{path} at {width}"] = wide
                # A table that can be moved is one that the keyboard gets to, and no other is.
                patiently(browser, lambda: not browser.execute_script(WRONG_STOPS))
                stops[path, width] = browser.execute_script(STOPS)
                if path == "/class/physics":
                    for word in ("deployment/web", "active", "Namespace"):
                        assert browser.execute_script(LINES, word) == 1, word
                    assert int(browser.execute_script(LINES, f"deployment/{LONG}")) > 1, "it fits nowhere"
        assert too_wide == {}
        assert (stops["/classes", 1280], stops["/class/physics", 360] > 0) == (0, True)
        # By keyboard too; what is below stays where it was moved to.
        browser.set_window_size(360, 900)
        browser.get(f"{served.base}/class/physics")
        wait_for(browser, "#fails td", "deployment/web")
        browser.execute_script("document.querySelector('#fails .table').focus()")
        browser.execute_script(WATCH)
        ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
        patiently(browser, lambda: browser.execute_script(SETTLED))
        moved = browser.execute_script(MOVED)
        assert moved > 0
        says(Together((fails(), fails("now", of=f"deployment/{LONG}")), {}))
        wait_for(browser, "#fails td", "now")
        assert browser.execute_script(MOVED) == moved
        assert browser.execute_script("return document.activeElement.matches('#fails .table')")
        assert violations(browser) == []
    assert complaints(browser) == []


PAGES = (
    "/machine/w2",
    "/activity",
    "/classes",
    "/class/physics",
    "/cluster",
    "/reports",
    "/backups",
    "/upgrade",
    "/unknown",
)
WIDER = """
const seen = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth <= seen) return null;
const wide = [...document.querySelectorAll("main *")].filter((one) => !one.closest(".table"));
return wide.filter((one) => one.getBoundingClientRect().right > seen + 1).map((one) => one.outerHTML.slice(0, 100));
"""
"""What is wider than the page, if the page can be moved sideways."""
LINES = """
const text = arguments[0], walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const at = walk.currentNode.data.indexOf(text);
  if (at < 0 || walk.currentNode.data.trim() !== text) continue;
  const range = document.createRange();
  range.setStart(walk.currentNode, at);
  range.setEnd(walk.currentNode, at + text.length);
  return new Set([...range.getClientRects()].map((one) => one.top)).size;
}
return 0;
"""
"""Lines on which a cell's text is."""
STOPS = "return document.querySelectorAll('.table[tabindex]').length"
WRONG_STOPS = """
const moves = (one) => one.scrollWidth > one.clientWidth;
const wrong = (one) => moves(one) !== one.hasAttribute("tabindex") && one !== document.activeElement;
return [...document.querySelectorAll(".table")].filter(wrong).map((one) => one.getAttribute("aria-label"));
"""
"""Tables that the keyboard stops at, though they can't be moved, or can be moved, and it doesn't."""
MOVED = "return document.querySelector('#fails .table').scrollLeft"
WATCH = "document.querySelector('#fails .table').onscrollend = () => { window.settled = true; }"
SETTLED = "return window.settled"
"""Whether it has been moved since `WATCH`, and moves no more."""


def _things_with_long_names(served: Served) -> None:
    for stage in (Stage.DHCP, Stage.IPXE, Stage.KERNEL, Stage.READY):
        served.report("w2", stage)
    served.report("w2", Stage.FAILED, LONG)
    (machine,) = (one for one in served.lab.machines if str(one.name) == "w2")
    served.database.printed.put(machine.mac, printed.lines(LONG))
    said = {"manufacturer": LONG, "product": LONG, "serial": LONG}
    served.database.sightings.see(Mac.parse("8c:ec:4b:00:00:05"), said=said)
    served.state.reports.mkdir(parents=True, exist_ok=True)
    report = {"time": LONG, "counts": {"ok": 1, LONG: 1}}
    (served.state.reports / "verify-20261130T091500Z.json").write_text(json.dumps(report))


def test_without_scripts(served: Served, plain: Chrome, physics: Class, says: Callable[[Together], None]) -> None:
    """The page says that it stays as it is, and has a link to load it again."""
    enter(plain, served)
    says(Together((fails(),)))
    click(plain, "main a", "Load it again")
    wait_for(plain, "#fails td", "deployment/web")
    complaints(plain)
