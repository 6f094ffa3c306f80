"""The console and the students' door beside a room that really boots, with nothing but browsers and power switches.

From machines that are off to a class at work, in the order of a first day: each test goes on where the last one ended.
The documentation's pictures are taken on the way (``tests/support/pictures.py``).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.support.select import Select
from tests.browser.test_terminal import screen, type_in
from tests.support.chromium import chromium, click, texts, wait_for
from tests.support.pictures import take
from tests.vm import sheet
from tests.vm.driver import Driver, lab_of_its_own
from tests.vm.faults import damaged, flip

from nodisk.assets import built
from nodisk.classes import record
from nodisk.console.terminal_session import KEPT
from nodisk.machines.virtual import Virtual
from nodisk.spec.load import load

pytestmark = [pytest.mark.vm, pytest.mark.apart]

STRANGER = "52:54:00:97:00:16"
LAB = """\
name: vmtest-eyes
network: {subnet: 10.97.0.0/24, server: 10.97.0.1}
os: {kernel: cloud}
machines:
  - {name: cp1, mac: "52:54:00:97:00:0b", address: 10.97.0.11, role: control-plane, memory: 2GiB}
  - {name: w1, mac: "52:54:00:97:00:15", address: 10.97.0.21, memory: 2GiB}
"""
ANOTHER = f'  - {{name: w2, mac: "{STRANGER}", address: 10.97.0.22, memory: 1GiB}}\n'
NAME, PHRASE = "chem", "cztery słowa na dziś"
FOLLOW = """\
window.seen = {};
setInterval(() => {
  for (const tile of document.querySelectorAll(".tile")) {
    const look = tile.classList[1], seen = window.seen[tile.querySelector("a").innerText] ||= [];
    if (seen[seen.length - 1] !== look) seen.push(look);
  }
}, 200);
"""
"""Notes each tile's looks, one after another, as long as the page is not loaded again."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A lab that is armed, and all of whose machines are off."""
    with lab_of_its_own(tmp_path_factory.mktemp("vmtest-eyes"), LAB) as driver:
        driver("build", timeout=1500)
        driver.start_server()
        driver("arm")
        yield driver


def link(room: Driver, *words: str) -> str:
    return str(json.loads(room("console", *words, "--output", "json").stdout)["link"])


@pytest.fixture(scope="module")
def key_hash(room: Driver) -> str:
    """Of the key that the console shows."""
    where = urlsplit(link(room))
    pem = ssl.get_server_certificate((str(where.hostname), int(where.port or 0)))
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


@pytest.fixture(scope="module")
def admin(room: Driver, key_hash: str) -> Iterator[Chrome]:
    with chromium(key_hash=key_hash) as driver:
        driver.get(link(room))
        click(driver, "main button", "Sign in as root (admin)")
        wait_for(driver, "h1", "Room vmtest-eyes")
        yield driver


@pytest.fixture(scope="module")
def second(room: Driver, key_hash: str) -> Iterator[Chrome]:
    with chromium(key_hash=key_hash) as driver:
        driver.get(link(room, "invite", "Anna Nowak", "--role", "admin"))
        click(driver, "main button", "Sign in as Anna Nowak (admin)")
        wait_for(driver, "h1", "Room vmtest-eyes")
        yield driver


@pytest.fixture(scope="module")
def jan(key_hash: str) -> Iterator[Chrome]:
    with chromium(key_hash=key_hash) as driver:
        yield driver


@pytest.fixture(scope="module")
def ewa(key_hash: str) -> Iterator[Chrome]:
    with chromium(key_hash=key_hash) as driver:
        yield driver


def open_page(driver: Chrome, path: str) -> None:
    where = urlsplit(driver.current_url)
    driver.get(f"{where.scheme}://{where.netloc}{path}")


@contextmanager
def beside(driver: Chrome, path: str) -> Iterator[None]:
    """Another page in a tab of its own; the first one stays as it is."""
    first = driver.current_window_handle
    address = driver.current_url
    driver.switch_to.new_window("tab")
    try:
        where = urlsplit(address)
        driver.get(f"{where.scheme}://{where.netloc}{path}")
        yield
    finally:
        driver.close()
        driver.switch_to.window(first)


def on_page(driver: Chrome, look: Callable[[], Any]) -> Callable[[], bool]:
    """A condition for ``Driver.wait``: a page that is live may change while it is read."""

    def true() -> bool:
        try:
            return bool(look())
        except WebDriverException:
            return False

    return true


def has(driver: Chrome, selector: str, text: str) -> Callable[[], bool]:
    return on_page(driver, lambda: any(text in one.text for one in driver.find_elements("css selector", selector)))


def order(admin: Chrome, action: str, name: str = "") -> None:
    """Switch a machine, or all, by the pages, as far as the answer."""
    open_page(admin, f"/machine/{name}" if name else "/")
    Select(wait_for(admin, "form#orders select")).select_by_value(action)
    click(admin, ".orders button", "With this machine" if name else "With all")
    click(admin, "main button", "Do it")
    wait_for(admin, "[role=status]", "confirmed: ")


def test_a_boot_is_watched_from_off_to_ready(room: Driver, admin: Chrome, second: Chrome) -> None:
    """By one administrator, while the other switches the machines on; nobody loads a page again."""
    assert texts(admin, ".tile .state") == ["○ never seen", "○ never seen"]
    admin.execute_script(FOLLOW)
    order(second, "on")

    def looks() -> dict[str, list[str]]:
        noted: dict[str, list[str]] = admin.execute_script("return window.seen")
        return noted

    room.wait(lambda: [one[-1] for one in looks().values()] == ["ready", "ready"], "both tiles are ready")
    seen = looks()
    for name in ("cp1", "w1"):
        assert (seen[name][0], seen[name][-1]) == ("off", "ready"), seen
        # Emulated machines are slower than a PC may be: some are called silent on their way.
        assert "under-way" in seen[name], seen
        assert set(seen[name]) <= {"off", "under-way", "silent", "ready"}, seen
    open_page(admin, "/machine/w1")
    stages = texts(admin, "main tbody th")
    assert [one for one in ("dhcp", "ipxe", "kernel", "rootfs", "config", "os", "enrolled", "joined", "ready")
            if one not in stages] == []  # fmt: skip
    wait_for(admin, "h2", "Pods (")
    assert wait_for(admin, ".printed").text.strip()
    take(admin, "machine.png")


def test_a_stranger_is_adopted_by_one_of_two(room: Driver, admin: Chrome, second: Chrome) -> None:
    """A machine that nobody wrote down is switched on, and shows up; two want it, and one gets it."""
    both = room.file.with_name("both.yaml")
    both.write_text(LAB + ANOTHER)  # only to have QEMU run it: the lab's server doesn't know it
    power = Virtual(load(both), both, room.context().state).power
    machine = power.lab.machines[-1]
    power.on(machine)
    try:
        open_page(admin, "/unknown")

        def shown() -> bool:
            admin.refresh()
            return STRANGER in admin.find_element("css selector", "main").text

        room.wait(on_page(admin, shown), "the page shows the stranger")
    finally:
        power.cut(machine)  # it is in iPXE, which has no ear for the power button
    open_page(second, "/unknown")
    for one in (admin, second):
        wait_for(one, "input[name=name]").send_keys("w2", Keys.ENTER)
        wait_for(one, "code", f"nodisk machines adopt {STRANGER} w2")
    click(admin, "main button", "Do it")
    wait_for(admin, "[role=status]", f"w2: {STRANGER}")
    asked = second.current_url
    click(second, "main button", "Do it")

    def told() -> bool:
        said = second.find_element("css selector", "body").text
        if "vmtest-eyes" not in said:  # nginx says that the server starts: as good as no answer
            second.get(asked)
        return "it is w2" in said

    room.wait(on_page(second, told), "the other one is told whose it is")
    open_page(admin, "/")
    room.wait(has(admin, ".tile > a", "w2"), "the room has a tile for it")
    assert STRANGER in room.file.read_text()


def test_a_damaged_root_file_system_is_said_on_its_tile(room: Driver, admin: Chrome) -> None:
    image, _ = built.facts(room.context().state.state, room.context().lab)
    before = room.boot_ids()
    with damaged(room, image.rootfs, flip):
        order(admin, "retry", "w1")
        open_page(admin, "/")
        room.wait(has(admin, ".tile.failed", "SHA-256"), "w1's tile says what failed")
        assert "w1" in wait_for(admin, ".tile.failed").text
        take(admin, "room.png")
        take(admin, "phone.png")
    room.await_ready("w1", before=before)
    room.wait(has(admin, ".tile.ready", "w1"), "w1's tile is ready again")


def takes_pods(room: Driver) -> bool:
    """Whether the worker does: Kubernetes takes its taint away some seconds after it is Ready."""
    return room.kubectl("get", "node", "w1")["spec"].get("taints") is None


def test_a_class_is_made_on_the_pages(room: Driver, admin: Chrome) -> None:
    room.wait(lambda: takes_pods(room), "w1 takes pods")
    open_page(admin, "/classes/new")
    wait_for(admin, "#name").send_keys(NAME)
    wait_for(admin, "#roster").send_keys("Jan Kowalski\nEwa Lis")
    Select(wait_for(admin, "#size")).select_by_visible_text("tiny")
    days = wait_for(admin, "#days")
    days.clear()
    days.send_keys("2")
    click(admin, "main button", "See what it would be")
    wait_for(admin, "code", f"nodisk class create {NAME}")
    click(admin, "main button", "Do it (2)")
    room.wait(has(admin, "[role=status]", "confirmed: 1"), "the class is made", seconds=1200)
    open_page(admin, f"/class/{NAME}")
    assert texts(admin, "main tbody th") == ["Jan Kowalski", "Ewa Lis"]


def enter(room: Driver, student: Chrome, label: str) -> None:
    """Sign in by the code on the card, and choose a passphrase."""
    said = room("class", "codes", NAME, label, "--print")
    printed = Path(found(r"wrote 1 cards to (.+?);", said.stdout + said.stderr))
    card = printed.read_text(encoding="utf-8")
    printed.unlink()  # handed out
    address, code = found(rf"(https://[^<\s]+/door/{NAME})", card), found(r'class="code">([^<]+)<', card)
    student.get(address)
    wait_for(student, "#code").send_keys(code, Keys.TAB, PHRASE, Keys.TAB, PHRASE, Keys.ENTER)
    wait_for(student, "h2", "Your key for kubectl")
    click(student, "a.button", "Open the terminal")


def shows(room: Driver, student: Chrome, pattern: str) -> str:
    """What the terminal shows, once it matches: an emulated machine takes its time."""
    room.wait(on_page(student, lambda: re.search(pattern, screen(student))), f"the terminal shows {pattern}")
    return screen(student)


def opened(room: Driver, student: Chrome) -> None:
    ready = on_page(student, lambda: student.find_elements("css selector", "#terminal[data-state=open]"))
    room.wait(ready, "the terminal is open")
    shows(room, student, r"\$\s*\Z")


def step(room: Driver, word: str) -> str:
    """The commands of the step of Jan's sheet that has this word."""
    out = record.need(room.context().state, NAME).out
    assert out is not None
    steps = sheet.steps(Path(out, "jan-kowalski.en.html").read_text())
    return next(one.commands for one in steps if word in one.commands)


def found(pattern: str, text: str) -> str:
    """The only group of the pattern's first match."""
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def test_a_student_follows_the_sheet_in_the_browser(room: Driver, jan: Chrome) -> None:
    """From the card to the echo service of their own, with the sheet's own lines."""
    enter(room, jan, "jan-kowalski")
    opened(room, jan)
    deploy, expose = step(room, "create deployment"), step(room, "kubectl expose")
    for line in deploy.splitlines():
        type_in(jan, line)
    shows(room, jan, r"echo-\S+ +1/1 +Running(.|\n)+echo-\S+ +1/1 +Running")
    for line in expose.splitlines()[:-1]:
        type_in(jan, line)
    port = found(r"--port=(\d+)", expose)
    type_in(jan, f"curl -s --retry 300 --retry-delay 1 --retry-connrefused http://echo:{port}/")
    shows(room, jan, r"\npod: ")
    take(jan, "terminal.png")
    jan.execute_script("document.getElementById('terminal').dataset.mine = 'yes'")


def test_a_typo_is_explained_to_both(room: Driver, admin: Chrome, jan: Chrome) -> None:
    """An image's name with two letters exchanged: the class's page says so, and the student's own."""
    image = found(r"--image=(\S+)", step(room, "create deployment"))
    type_in(jan, "kubectl scale deployment echo --replicas=1")  # the terminal and two of them fill the quota
    shows(room, jan, r"\ndeployment.apps/echo scaled")
    type_in(jan, f"kubectl create deployment web --image={image.replace('echo', 'ecoh')}")
    open_page(admin, f"/class/{NAME}")

    def told() -> bool:  # by a page that is live
        return "can't be pulled" in admin.find_element("css selector", "main").text

    room.wait(on_page(admin, told), "the class's page says what fails")
    take(admin, "class.png")
    with beside(jan, f"/door/{NAME}"):
        room.wait(has(jan, "main", "can't be pulled"), "the student's page says so, too")
        take(jan, "student.png")
    type_in(jan, "kubectl delete deployment web")
    shows(room, jan, r'"web" deleted')


def test_another_student_gets_their_own_and_not_that_one(room: Driver, ewa: Chrome) -> None:
    enter(room, ewa, "ewa-lis")
    opened(room, ewa)
    type_in(ewa, f"kubectl get pods; kubectl -n {NAME}-jan-kowalski exec terminal -- true")
    said = shows(room, ewa, r"Forbidden")
    assert f'in the namespace "{NAME}-jan-kowalski"' in said.replace("\n", "")
    assert "echo-" not in said


def test_a_power_cut_with_a_terminal_open_and_back(room: Driver, admin: Chrome, jan: Chrome) -> None:
    """The page was never loaded again: below what it showed there is a new shell, and the echo runs again."""
    type_in(jan, "echo last-$((1+1))-words")
    shows(room, jan, r"\nlast-2-words")
    before = room.boot_ids()
    room("arm")  # what the first boot was armed for is over by now, and w1 would not enrol
    order(admin, "retry", "w1")
    room.await_ready("w1", before=before)
    said = shows(room, jan, re.escape(KEPT[:40]))
    assert said.index("last-2-words") < said.index(KEPT[:40])
    opened(room, jan)
    type_in(jan, "kubectl rollout status deployment/echo && echo back-$((40+2))")
    shows(room, jan, r"\nback-42")
    assert jan.execute_script("return document.getElementById('terminal').dataset.mine") == "yes"
