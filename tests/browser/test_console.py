"""The console in a real browser: what people see, with mouse, keyboard or screen reader, and what attackers get."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from tests.browser.served import EVIL, Served
from tests.support.chromium import click, complaints, media, patiently, texts, violations, wait_for

from nodisk.classes import plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.console import common, snapshot
from nodisk.records import printed
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.values import Mac, Stage

pytestmark = pytest.mark.browser

ORDERS = (
    "/switch?action=off&all=1",
    "/switch?action=once&all=1",
    "/switch?action=once&all=1&entry=disk",
    "/switch?action=broken&row=1",
    "/switch?action=broken&row=1&note=no+picture",
    "/class/physics/order?action=suspend&all=1",
    "/class/physics/order?action=renew_codes&all=1",
    "/backups/order?action=backup",
)
"""Pages that ask what is still to be said, or for a confirmation: of many machines, a class, its codes, the lab."""


@pytest.fixture(scope="module", autouse=True)
def _happened(served: Served) -> None:
    """A room in which something of everything has happened; texts of machines and rosters are an attacker's."""
    for stage in (Stage.DHCP, Stage.IPXE, Stage.KERNEL, Stage.ROOTFS, Stage.CONFIG, Stage.READY):
        served.report("cp1", stage)
    served.report("w1", Stage.ROOTFS)
    served.report("w2", Stage.FAILED, EVIL)
    (machine,) = (one for one in served.lab.machines if str(one.name) == "w2")
    served.database.printed.put(machine.mac, printed.lines(f"{EVIL} login:"))
    served.database.record(Kind.ALARM, EVIL, source="10.77.0.66")
    served.database.record(Kind.ALARM, f"backup: {EVIL}", source="serve")
    people = [Person("Jan Kowalski", id="1"), Person(EVIL.replace("'", "").replace('"', "")[:60], id="2")]
    found = plan.merge(
        None, people, name="physics", now=record.now(), size=sizes.find("small"), role="edit", teachers=("Anna",)
    )
    record.save(served.state, found.record.model_copy(update={"out": str(served.state.handouts / "physics")}))
    served.state.reports.mkdir(parents=True)
    report = {"time": EVIL, "counts": {"ok": 1, EVIL: 1}}
    (served.state.reports / "verify-20261130T091500Z.json").write_text(json.dumps(report))
    (served.state.reports / "bench-20261130-100000.html").write_text(EVIL)


def open_link(driver: Chrome, served: Served, name: str) -> None:
    driver.delete_all_cookies()
    driver.get(served.link(name))
    click(driver, "main button", name)
    wait_for(driver, "h1", "Room room")


def press(driver: Chrome, key: str) -> None:
    """A key, to whatever has the focus."""
    ActionChains(driver).send_keys(key).perform()


def focused(driver: Chrome) -> tuple[str, str, str]:
    """Tag, outline and text of what has the focus."""
    tag, outline, text = driver.execute_script(
        "const one = document.activeElement; return [one.tagName, getComputedStyle(one).outlineStyle, one.innerText]"
    )
    return tag, outline, text


def test_a_link_signs_in_once(served: Served, browser: Chrome) -> None:
    link = served.link("Anna Nowak")
    browser.get(link)
    click(browser, "main button", "Sign in as Anna Nowak (admin)")
    wait_for(browser, "h1", "Room room")
    assert texts(browser, ".tile > a") == ["cp1", "w1", "w2", "w3", "w4"]
    assert browser.execute_script("return document.cookie") == ""
    click(browser, ".who button", "Sign out")
    wait_for(browser, "main", "Nobody is signed in here")
    browser.get(link)
    wait_for(browser, "[role=alert]", "used, expired or wrong")
    browser.get(served.base)
    wait_for(browser, "main", "Nobody is signed in here")


def test_a_machine_by_its_tile(served: Served, browser: Chrome) -> None:
    open_link(browser, served, "anna")
    click(browser, ".tile > a", "cp1")
    wait_for(browser, "h1", "cp1 ✔ ready")
    assert texts(browser, "main tbody th") == ["dhcp", "ipxe", "kernel", "rootfs", "config", "ready"]
    click(browser, "a[rel=next]", "w1")
    wait_for(browser, "h1", "w1 ▶ under way")


def test_axe_finds_nothing_wrong(served: Served, browser: Chrome) -> None:
    """Every page, by day and by night, in both languages, on a phone and in a room."""
    browser.delete_all_cookies()
    found = {}
    paths = ["/sign-in", "/sign-in?code=wrong"]
    for signed_in in (False, True):
        if signed_in:
            open_link(browser, served, "anna")
            paths = [
                "/",
                "/?show=off",
                "/machine/w2",
                "/machine/w4",
                "/activity",
                "/classes",
                "/classes/new",
                "/class/physics",
                "/reports",
            ]
            paths += ["/backups", "/upgrade", "/cluster", "/no", "/unknown", "/unknown?show=ignored", *ORDERS]
        for path in paths:
            browser.get(f"{served.base}{path}")
            if path in ORDERS:
                wait_for(browser, "main form button")
            for scheme in ("light", "dark"):
                media(browser, prefers_color_scheme=scheme)
                if bad := violations(browser):
                    found[path, scheme] = bad
    media(browser)
    browser.get(f"{served.base}/?lang=pl")
    wait_for(browser, "h1", "Sala room")
    browser.set_window_size(360, 700)
    for path in ("/", "/machine/w2", "/class/physics", "/classes/new", "/cluster", "/backups", "/unknown", *ORDERS):
        browser.get(f"{served.base}{path}")
        if bad := violations(browser):
            found[path, "phone, Polish"] = bad
    browser.set_window_size(1280, 900)
    browser.get(f"{served.base}/?lang=en")
    assert found == {}


def test_axe_would_find_what_is_wrong(browser: Chrome) -> None:
    with other_site('<html><p style="color: #ccc; background: #fff">pale</p><img src="/x">') as address:
        browser.get(address)
        found = {line.partition(":")[0] for line in violations(browser)}
    assert found >= {"color-contrast", "image-alt", "html-has-lang"}
    complaints(browser)


def test_a_second_browser_sees_it_too(served: Served, browser: Chrome, second: Chrome) -> None:
    open_link(browser, served, "anna")
    open_link(second, served, "jan")
    for one in (browser, second):
        one.execute_script("window.same = true")
    # The keyboard stays where it is while the page changes under it.
    browser.execute_script("document.querySelector('.tile > a[href=\"/machine/w3\"]').focus()")
    served.report("w3", Stage.FAILED, "no such rootfs")
    for one in (browser, second):
        wait_for(one, ".tile.failed", "no such rootfs")
        assert one.execute_script("return window.same")
    assert focused(browser)[2] == "w3"
    # What it takes beside the network: the records are read this often, and pages look this often.
    assert snapshot.FRESH + common.TICK <= 2
    # Signed out by somebody else: nothing more is told, and the page leads to the sign-in by itself.
    served.database.console.revoke("jan")
    wait_for(second, "main", "Nobody is signed in here")


def test_the_slowest_is_named_with_a_guess(served: Served, browser: Chrome) -> None:
    """From what it prints, within two seconds; in both languages."""
    open_link(browser, served, "anna")
    wait_for(browser, ".slowest", "The slowest: w1, rootfs")
    (machine,) = (one for one in served.lab.machines if str(one.name) == "w1")
    served.database.printed.put(machine.mac, ("nodisk: no carrier on eth0 after 30 seconds: is the cable in?",))
    wait_for(
        browser, ".slowest", "(perhaps its cable or the switch's port: it printed that its network card has no link)"
    )
    bad = violations(browser)
    browser.get(f"{served.base}/?lang=pl")
    wait_for(browser, ".slowest", "(może kabel albo port przełącznika: wypisał, że karta sieciowa nie ma połączenia)")
    bad += violations(browser)
    browser.get(f"{served.base}/?lang=en")
    assert bad == []
    complaints(browser)


def test_machines_are_switched(served: Served, browser: Chrome) -> None:
    """By ticks, which survive what changes under them; the command itself runs, and fails: no card has that address."""
    open_link(browser, served, "anna")
    for name in ("w1", "w4"):
        click(browser, f"input[value={name}]")
    served.report("w3", Stage.FAILED, "changed meanwhile")
    wait_for(browser, ".tile", "changed meanwhile")
    Select(wait_for(browser, "select")).select_by_value("wake")
    click(browser, ".orders button", "With the ticked ones")
    wait_for(browser, "main", "Machines: 2")
    wait_for(browser, "code", "nodisk power wake w1 w4")
    bad = violations(browser)
    click(browser, "main button", "Do it (2)")
    wait_for(browser, "[role=status]", "unknown: 2")
    wait_for(browser, "tr.failed td:nth-child(3)", "10.77.0.1")
    assert bad + violations(browser) == []
    browser.get(f"{served.base}/activity")
    wait_for(browser, "main td", "anna (admin): nodisk power wake w1 w4: 2 unknown")
    # A row, all, and one from its own page, its next boot too: nothing but the question.
    for path, button, line in (
        ("/", "With row 1", "nodisk power on cp1 w1 w2"),
        ("/", "With all", "nodisk power on --all"),
        ("/machine/w2", "With this machine", "nodisk power on w2"),
        ("/machine/w2", "Choose the next boot, once", "nodisk next-boot w2 lab --once"),
    ):
        browser.get(f"{served.base}{path}")
        click(browser, ".orders button", button)
        assert wait_for(browser, "code").text == line
    complaints(browser)


def test_the_next_boot_of_many(served: Served, browser: Chrome) -> None:
    """What is still to be said is asked for; the command itself notes it."""
    open_link(browser, served, "anna")
    Select(wait_for(browser, "select")).select_by_value("once")
    click(browser, ".orders button", "With row 1")
    wait_for(browser, "main", "Machines: 3")
    Select(wait_for(browser, "#entry")).select_by_value("disk")
    bad = violations(browser)
    click(browser, "main button", "Go on")
    wait_for(browser, "code", "nodisk next-boot cp1 w1 w2 disk --once")
    wait_for(browser, "[role=note]", "Nothing is switched now.")
    bad += violations(browser)
    click(browser, "main button", "Do it (3)")
    wait_for(browser, "[role=status]", "confirmed: 3")
    browser.get(f"{served.base}/machine/w1")
    wait_for(browser, "main dd", "disk, once")
    browser.get(f"{served.base}/switch?action=broken&all=1&lang=pl")
    wait_for(browser, "h1", "Oznacz jako uszkodzony")
    bad += violations(browser)
    browser.get(f"{served.base}/switch?action=clear&all=1&lang=en")
    click(browser, "main button", "Do it (5)")
    wait_for(browser, "[role=status]", "confirmed: 5")
    assert bad == []
    complaints(browser)


def test_a_class_is_changed(served: Served, browser: Chrome) -> None:
    """By ticks and by a number of days; the command itself runs, and fails: there is no API."""
    open_link(browser, served, "anna")
    browser.get(f"{served.base}/class/physics")
    click(browser, "main input[name=student]")
    Select(wait_for(browser, "select")).select_by_value("reset")
    click(browser, ".orders button", "With the ticked ones")
    wait_for(browser, "main", "Students: 1")
    wait_for(browser, "[role=note]", "is deleted")
    assert wait_for(browser, "code").text.startswith("nodisk class reset physics ")
    bad = violations(browser)
    click(browser, "main button", "Do it (1)")
    wait_for(browser, "[role=status]", "unknown: 1")
    assert bad + violations(browser) == []
    click(browser, "main p a", "Back to the class")
    days = wait_for(browser, "input[name=days]")
    days.clear()
    days.send_keys("90", Keys.ENTER)
    wait_for(browser, "code", "nodisk class extend physics --days 90")
    complaints(browser)


def test_codes_are_made_and_their_cards_taken(served: Served, browser: Chrome) -> None:
    """By the command itself. The cards are shown once; a reader of the class's page sees who waits for what."""
    open_link(browser, served, "anna")
    browser.get(f"{served.base}/class/physics")
    wait_for(browser, "main td", "no code")
    Select(wait_for(browser, "select")).select_by_value("codes")
    click(browser, ".orders button", "With all")
    wait_for(browser, "[role=note]", "Each gets a code for the first sign-in.")
    wait_for(browser, "code", "nodisk class codes physics --print")
    bad = violations(browser)
    click(browser, "main button", "Do it (2)")
    wait_for(browser, "[role=status]", "new codes: 2")
    bad += violations(browser)
    click(browser, "main a.button", "To the cards")
    wait_for(browser, "main td", "code not used yet")
    bad += violations(browser)
    complaints(browser)
    click(browser, "main form button", "Show the cards, to print them")
    codes = texts(browser, "main li .code")
    assert len(set(codes)) == 2
    assert wait_for(browser, "main li").value_of_css_property("border-left-style") == "dashed", "its own style counts"
    bad += violations(browser)
    assert browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
    assert complaints(browser) == []
    browser.get(f"{served.base}/class/physics?lang=pl")
    wait_for(browser, "main td", "kod jeszcze nieużyty")
    assert browser.find_elements(By.CSS_SELECTOR, "#cards") == []
    browser.get(f"{served.base}/activity?lang=en")
    wait_for(browser, "main td", "took the cards with codes of class physics")
    assert not any(code in wait_for(browser, "main").text for code in codes)
    assert bad == []
    complaints(browser)


def test_a_class_is_told_something(served: Served, browser: Chrome) -> None:
    """It is on the class's page and, by tests/browser/test_door.py, on its students'."""
    open_link(browser, served, "anna")
    browser.get(f"{served.base}/class/physics")
    wait_for(browser, "#text").send_keys(f"Hand in by noon. {EVIL}")
    click(browser, "main button", "Tell the class")
    wait_for(browser, "blockquote", "Hand in by noon. <img")
    bad = violations(browser)
    click(browser, "main button", "Do it (2)")
    wait_for(browser, "[role=status]", "confirmed: 1")
    click(browser, "main p a", "Back to the class")
    wait_for(browser, "blockquote", "anna, ")
    assert "taken" not in browser.title
    bad += violations(browser)
    browser.get(f"{served.base}/class/physics?lang=pl")
    wait_for(browser, "h2", "Wiadomość do studentów")
    bad += violations(browser)
    browser.get(f"{served.base}/class/physics?lang=en")
    click(browser, "main button", "Withdraw the message")
    click(browser, "main button", "Do it (2)")
    wait_for(browser, "[role=status]", "confirmed: 1")
    click(browser, "main p a", "Back to the class")
    wait_for(browser, "h2", "Message to the students")
    assert browser.find_elements(By.CSS_SELECTOR, "blockquote") == []
    assert bad == []
    complaints(browser)


def test_a_class_is_made(served: Served, browser: Chrome) -> None:
    """A wrong name is said at its field; the command itself tries it, and fails in the end: there is no API."""
    open_link(browser, served, "anna")
    click(browser, "header nav a", "Classes")
    click(browser, "main a", "Make a class")
    wait_for(browser, "#name").send_keys("physics")
    wait_for(browser, "#roster").send_keys("Jan Kowalski")
    click(browser, "main button", "See what it would be")
    wait_for(browser, "#name-wrong", "There is a class of that name already.")
    bad = violations(browser)
    browser.get(f"{served.base}/classes/new?lang=pl")
    wait_for(browser, "h1", "Utwórz klasę")
    bad += violations(browser)
    browser.get(f"{served.base}/classes/new?lang=en")
    wait_for(browser, "#name").send_keys("chemistry")
    wait_for(browser, "#roster").send_keys("Jan Kowalski\n<img src=x onerror=document.title=taken>")
    click(browser, "main button", "See what it would be")
    wait_for(browser, "#roster-wrong", "'<img src=x onerror=document.title=taken>' is not a name")
    bad += violations(browser)
    roster = wait_for(browser, "#roster")
    roster.clear()
    roster.send_keys("Jan Kowalski\nEwa Żak")
    click(browser, "main button", "See what it would be")
    wait_for(browser, "code", "nodisk class create chemistry --new --roster roster.csv --size small --days 120")
    assert texts(browser, "main tbody th") == ["Jan Kowalski", "Ewa Żak"]
    bad += violations(browser)
    assert "taken" not in browser.title
    click(browser, "main button", "Do it (2)")
    wait_for(browser, "[role=status]", "unknown: 1")
    assert bad + violations(browser) == []
    complaints(browser)


def test_a_roster_is_a_file_of_the_school_s_register(served: Served, browser: Chrome, tmp_path: Path) -> None:
    """Of a file in CP1250, with a name that is an attack; and of one that is no list."""
    open_link(browser, served, "anna")
    browser.get(f"{served.base}/classes/new")
    wrong = tmp_path / "plan.pdf"
    wrong.write_bytes(b"%PDF-1.4 a lesson plan")
    wait_for(browser, "#name").send_keys("biology")
    wait_for(browser, "#file").send_keys(str(wrong))
    click(browser, "main button", "See what it would be")
    wait_for(browser, "#roster-wrong", "plan.pdf is a PDF, not a list")
    bad = violations(browser)
    roster = tmp_path / "1a <img src=x onerror=document.title=1>.csv"
    roster.write_bytes("Imię i nazwisko;Klasa\r\nŻaneta Źrebięć;1a\r\nJan Kowalski;1a\r\n".encode("cp1250"))
    wait_for(browser, "#file").send_keys(str(roster))
    click(browser, "main button", "See what it would be")
    wait_for(browser, "code", "nodisk class create biology --new --roster roster.csv")
    assert texts(browser, "main tbody th") == ["Żaneta Źrebięć", "Jan Kowalski"]
    assert browser.find_elements(By.CSS_SELECTOR, "main img") == []
    browser.execute_script("window.before = 'the page that is to go'")
    click(browser, "main button", "See it again")
    patiently(browser, lambda: browser.execute_script("return window.before === undefined"))
    wait_for(browser, "main button", "Do it (2)")
    assert texts(browser, "main tbody th") == ["Żaneta Źrebięć", "Jan Kowalski"]
    assert bad + violations(browser) == []
    complaints(browser)


def test_a_backup_is_made(served: Served, browser: Chrome) -> None:
    """By the command itself: restic writes it, and the page of backups then says when it was."""
    open_link(browser, served, "anna")
    browser.get(f"{served.base}/backups")
    wait_for(browser, "dd", "none")
    click(browser, "main form button", "Make a backup")
    wait_for(browser, "code", "nodisk backup create")
    found = violations(browser)
    assert not (served.state.backup / "record.json").exists()
    click(browser, "main form button", "Do it (1)")
    wait_for(browser, "main td", "confirmed")
    wait_for(browser, "main td", "Its password is in")
    found += violations(browser)
    click(browser, "main a", "Back to the backups")
    wait_for(browser, "dd", json.loads((served.state.backup / "record.json").read_text())["id"])
    browser.get(f"{served.base}/backups/order?action=prove&lang=pl")
    wait_for(browser, "h1", "Sprawdź najnowszą kopię zapasową")
    found += violations(browser)
    browser.get(f"{served.base}/?lang=en")
    assert found == []
    assert complaints(browser) == []


def test_headlamp_s_token_is_shown_and_copied(served: Served, browser: Chrome) -> None:
    """By an administrator and a teacher, in both languages; what is shown can be copied by keyboard alone."""
    open_link(browser, served, "anna")
    found = {}
    for language, button, alone in (("pl", "Otwórz Headlamp", "do podglądu"), ("en", "Open Headlamp", "to look at")):
        browser.get(f"{served.base}/cluster?lang={language}")
        click(browser, "main form button", button)
        wait_for(browser, "dd", alone)
        for width in (1280, 360):
            browser.set_window_size(width, 900)
            if bad := violations(browser):
                found["cluster", language, width] = bad
        browser.set_window_size(1280, 900)
    assert wait_for(browser, "pre").text.endswith("port-forward service/headlamp 8080:80")
    token = wait_for(browser, "#token")
    token.send_keys(Keys.CONTROL, "a")
    shown = str(browser.execute_script("return getSelection().toString() || document.activeElement.value"))
    assert shown.startswith("eyJ")
    assert shown == token.get_attribute("value")
    assert shown not in browser.current_url
    link = wait_for(browser, "main a.button", "Open Headlamp")
    assert (link.get_attribute("href"), link.get_attribute("target")) == ("http://10.77.0.12:30466/", "_blank")
    # Loaded anew or gone back to, the page has no token: the address alone gives none.
    browser.get(browser.current_url)
    wait_for(browser, "h1", "Cluster")
    browser.delete_all_cookies()
    browser.get(served.link("Anna", ConsoleRole.TEACHER))
    click(browser, "main button", "Anna")
    wait_for(browser, "h1", "Room room")
    browser.get(f"{served.base}/class/physics")
    click(browser, "main form button", "Open Headlamp")
    wait_for(browser, "dd", "physics-jan-kowalski")
    opened = str(wait_for(browser, "main a.button", "Open Headlamp").get_attribute("href"))
    assert opened.startswith("http://10.77.0.12:30466/c/main/pods?namespace=physics-jan-kowalski")
    if bad := violations(browser):
        found["class", "en", 1280] = bad
    assert found == {}
    assert complaints(browser) == []


def test_an_alarm_is_on_top_of_every_page(served: Served, browser: Chrome) -> None:
    """Of the room's page within two seconds, of others once they are opened; it leads to the activity."""
    open_link(browser, served, "anna")
    browser.execute_script("window.same = true")
    served.database.record(Kind.ALARM, "the disk is full", source="serve")
    wait_for(browser, ".alarms", "the disk is full")
    assert browser.execute_script("return window.same")
    for path in ("/reports", "/machine/w3", "/class/physics"):
        browser.get(f"{served.base}{path}")
        wait_for(browser, ".alarms", "the disk is full")
    browser.get(f"{served.base}/reports?lang=pl")
    wait_for(browser, ".alarms a", "Alarmy z ostatniej doby")
    assert violations(browser) == []
    browser.get(f"{served.base}/reports?lang=en")
    click(browser, ".alarms a", "Alarms of the last 24 hours")
    wait_for(browser, "td", "the disk is full")


def test_an_unknown_machine_is_adopted(served: Served, browser: Chrome, second: Chrome) -> None:
    """Two administrators adopt the same machine: the second is told who it is. What it says of itself runs nothing."""
    for end in ("05", "06"):
        mac = Mac.parse(f"8c:ec:4b:00:00:{end}")
        heard = {"switch": EVIL, "port": EVIL}
        served.database.sightings.see(mac, said={"manufacturer": EVIL, "product": EVIL, "serial": EVIL, **heard})
    for one, name in ((browser, "anna"), (second, "jan")):
        open_link(one, served, name)
        click(one, "header nav a", "Unknown machines")
        for column in (3, 4, 6):  # model, serial number, switch port
            wait_for(one, f"main td:nth-child({column})", "<img")
        runs_nothing(one)
        bad = violations(one)
        wait_for(one, "input[name=name]").send_keys("teacher", Keys.ENTER)
        wait_for(one, "code", "nodisk machines adopt 8c:ec:4b:00:00:05 teacher")
        wait_for(one, "main p", f"{EVIL} {EVIL} {EVIL}")
        runs_nothing(one)
        assert bad + violations(one) == []
    click(browser, "main button", "Do it")
    wait_for(browser, "[role=status]", "teacher: 8c:ec:4b:00:00:05")
    assert violations(browser) == []
    click(second, "main button", "Do it")
    wait_for(second, "main", "it is teacher")
    browser.get(f"{served.base}/unknown")
    click(browser, "form[action='/unknown/ignore'] button", "Ignore")
    wait_for(browser, "code", "nodisk machines ignore 8c:ec:4b:00:00:05")
    bad = violations(browser)
    click(browser, "main button", "Do it (1)")
    # By the command itself, which reads lab.yaml: it is a machine of the lab by now, and no unknown one.
    wait_for(browser, "[role=status]", "unknown: 1")
    wait_for(browser, "main td", "is teacher of lab.yaml")
    click(browser, "main p a", "Back to the unknown machines")
    click(browser, "tr:last-child form[action='/unknown/ignore'] button", "Ignore")
    wait_for(browser, "code", "nodisk machines ignore 8c:ec:4b:00:00:06")
    click(browser, "main button", "Do it (1)")
    wait_for(browser, "[role=status]", "confirmed: 1")
    assert bad + violations(browser) == []
    browser.get(f"{served.base}/unknown?show=ignored")
    wait_for(browser, "main th", "8c:ec:4b:00:00:06")
    assert "8c:ec:4b:00:00:05" not in wait_for(browser, "main").text
    assert browser.title == "Unknown machines · room · nodisk"
    complaints(browser)
    complaints(second)  # the 409


def runs_nothing(driver: Chrome) -> None:
    """What an attacker wrote is there as text, and nothing of it as a part of the page."""
    assert "taken" not in driver.title
    assert driver.find_elements(By.CSS_SELECTOR, "main img, main script") == []


def test_a_broken_pc_is_noted(served: Served, browser: Chrome) -> None:
    open_link(browser, served, "anna")
    browser.get(f"{served.base}/machine/w4")
    wait_for(browser, "input[name=note]").send_keys("no picture", Keys.ENTER)
    wait_for(browser, "code", "nodisk machines broken w4 --note 'no picture'")
    bad = violations(browser)
    click(browser, "main button", "Do it (1)")
    wait_for(browser, "[role=status]", "confirmed: 1")
    click(browser, "main tbody a", "w4")
    wait_for(browser, "main dd", "no picture")
    assert bad + violations(browser) == []
    browser.get(f"{served.base}/")
    wait_for(browser, ".tile .line", "Broken: no picture")
    browser.get(f"{served.base}/machine/w4")
    click(browser, "main button", "Note that it is mended")
    wait_for(browser, "code", "nodisk machines broken w4 --mended")
    click(browser, "main button", "Do it (1)")
    wait_for(browser, "[role=status]", "confirmed: 1")
    browser.get(f"{served.base}/machine/w4")
    wait_for(browser, "input[name=note]")
    complaints(browser)


def test_without_scripts(served: Served, plain: Chrome) -> None:
    plain.get(served.link("ola"))
    click(plain, "main button", "Sign in as ola")
    wait_for(plain, "h1", "Room room")
    click(plain, ".counts a", "ready")
    patiently(plain, lambda: "show=ready" in plain.current_url)
    wait_for(plain, ".tile", "cp1")
    assert len(plain.find_elements(By.CSS_SELECTOR, ".tile")) == 1
    click(plain, "nav a", "room")
    wait_for(plain, ".tile", "w4")
    again = plain.find_element(By.CSS_SELECTOR, "meta[http-equiv=refresh]")
    assert again.get_attribute("content") == "30", "ticks are lost when the page reloads itself"
    click(plain, ".orders button", "With row 1")
    wait_for(plain, "code", "nodisk power on cp1 w1 w2")
    click(plain, "header nav a", "Classes")
    click(plain, "main th a", "physics")
    wait_for(plain, "h1", "Class physics")
    click(plain, ".who button", "Sign out")
    wait_for(plain, "main", "Nobody is signed in here")
    # Who may switch nothing has no ticks to lose: the page reloads itself every five seconds.
    plain.get(served.link("eva", ConsoleRole.VIEWER))
    click(plain, "main button", "Sign in as eva")
    wait_for(plain, "h1", "Room room")
    served.report("w4", Stage.FAILED, "seen without scripts")
    wait_for(plain, ".tile", "seen without scripts")


def test_orders_without_scripts(served: Served, plain: Chrome) -> None:
    """For many machines, with what is still to be said; codes as cards; the cluster with its add-ons."""
    plain.delete_all_cookies()
    plain.get(served.link("ola"))
    click(plain, "main button", "Sign in as ola")
    wait_for(plain, "h1", "Room room")
    Select(wait_for(plain, ".orders select")).select_by_value("once")
    click(plain, ".orders button", "With all")
    wait_for(plain, "main", "Machines: 5")
    Select(wait_for(plain, "#entry")).select_by_value("disk")
    click(plain, "main button", "Go on")
    wait_for(plain, "code", "nodisk next-boot --all disk --once")
    click(plain, "main button", "Do it (5)")
    wait_for(plain, "[role=status]", "confirmed: 5")  # the page reloads itself until then
    plain.get(f"{served.base}/switch?action=clear&all=1")
    click(plain, "main button", "Do it (5)")
    wait_for(plain, "[role=status]", "confirmed: 5")
    plain.get(f"{served.base}/switch?action=broken&row=2")
    wait_for(plain, "#note").send_keys("no picture", Keys.ENTER)
    click(plain, "main button", "Do it (1)")
    wait_for(plain, "[role=status]", "confirmed: 1")
    plain.get(f"{served.base}/switch?action=mended&row=2")
    click(plain, "main button", "Do it (1)")
    wait_for(plain, "[role=status]", "confirmed: 1")
    plain.get(f"{served.base}/class/physics/order?action=renew_codes&all=1")
    click(plain, "main button", "Do it (2)")
    wait_for(plain, "[role=status]", "new codes: 2")
    click(plain, "main a.button", "To the cards")
    click(plain, "main form button", "Show the cards, to print them")
    assert len(set(texts(plain, "main li .code"))) == 2
    plain.get(f"{served.base}/cluster")
    wait_for(plain, "main td", "1 of 1 mirrored")
    click(plain, "main form button", "Open Headlamp")
    assert str(wait_for(plain, "#token").get_attribute("value")).startswith("eyJ")
    complaints(plain)


def test_by_keyboard_alone(served: Served, browser: Chrome) -> None:
    browser.delete_all_cookies()
    browser.get(served.link("anna"))
    wait_for(browser, "main button", "anna")
    _tab_to(browser, "Sign in as anna")
    press(browser, Keys.ENTER)
    wait_for(browser, "h1", "Room room")
    _tab_to(browser, "Skip to the content")
    where = browser.execute_script("return document.activeElement.getBoundingClientRect().x")
    assert where >= 0, "who has it focused sees it"
    press(browser, Keys.ENTER)
    _tab_to(browser, "cp1")
    press(browser, Keys.ENTER)
    wait_for(browser, "h1", "cp1")
    _tab_to(browser, "Sign out")
    press(browser, Keys.ENTER)
    wait_for(browser, "main", "Nobody is signed in here")


def _tab_to(driver: Chrome, wanted: str) -> None:
    """Move the focus to the element of that text, by so many Tabs; each on the way shows that it has the focus."""
    for _ in range(40):
        press(driver, Keys.TAB)
        tag, outline, text = focused(driver)
        if tag in ("A", "BUTTON"):
            assert outline == "solid", f"nobody sees that {text} has the focus"
        if wanted in text:
            return
    raise AssertionError(f"no Tab leads to {wanted}")


def test_what_others_write_runs_nothing(served: Served, browser: Chrome) -> None:
    open_link(browser, served, "anna")
    complaints(browser)
    for path in ("/", "/machine/w2", "/activity", "/classes", "/class/physics", "/reports", "/backups", "/cluster"):
        browser.get(f"{served.base}{path}")
        wait_for(browser, "main h1")
        runs_nothing(browser)
        if path != "/classes":
            assert any("<img" in text for text in texts(browser, "main")), "the text itself is shown"
    # Nor does what arrives later: the part that is live is put in as HTML.
    browser.get(served.base)
    browser.execute_script("window.same = true")
    served.report("w1", Stage.FAILED, f"later {EVIL}")
    wait_for(browser, ".tile.failed", "later <img")
    assert "taken" not in browser.title
    assert complaints(browser) == [], "no policy of the page was broken, no file missing"


def test_no_other_site_shows_it_in_a_frame(served: Served, browser: Chrome) -> None:
    open_link(browser, served, "anna")
    with other_site(f'<iframe src="{served.base}/"></iframe><p>prize</p>') as address:
        browser.get(address)
        wait_for(browser, "p", "prize")
        browser.switch_to.frame(0)
        assert "room" not in browser.find_element(By.TAG_NAME, "html").text
        browser.switch_to.default_content()
        patiently(browser, lambda: any("frame-ancestors" in line for line in complaints(browser)))


def test_no_other_site_sends_its_forms(served: Served, browser: Chrome) -> None:
    open_link(browser, served, "anna")
    with other_site(f'<form method="post" action="{served.base}/sign-out"><button>prize</button></form>') as address:
        browser.get(address)
        click(browser, "button", "prize")
        wait_for(browser, "[role=alert]", "another site")
    browser.get(served.base)
    wait_for(browser, "h1", "Room room")
    complaints(browser)


@contextmanager
def other_site(page: str) -> Iterator[str]:
    """The address of a page elsewhere: another site than 127.0.0.1 by the browser's rules."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>other</title>{page}".encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
