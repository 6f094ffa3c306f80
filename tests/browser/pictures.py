"""The pictures of README.md and docs/: what they are called, and the room of which they are taken.

The room is made up and its clock stands still, so that a picture changes when a page does. What its machines report is
recorded as the server records it, and the pages are the console's own. ``python tools/pictures.py`` writes the files.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

from selenium.webdriver import Chrome
from tests.browser.served import Served, served_in
from tests.support.chromium import chromium, click, media, wait_for

from nodisk.classes import codes, plan, record, sizes
from nodisk.classes.own import Link, Own, Running, Used
from nodisk.classes.record import Class
from nodisk.classes.roster import from_names
from nodisk.classes.trouble import Kind as TroubleKind
from nodisk.classes.trouble import Trouble
from nodisk.console.common import Console
from nodisk.machines.asked import Api, Asked, NodeView
from nodisk.values import Stage

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
MOMENT = datetime(2027, 1, 11, 8, 5, tzinfo=UTC)
WIDE, PHONE = 1200, 390
HEIGHT = 860
"""Of a window, and of a picture at most: what is further down is not on it."""
TEACHER = "Anna Nowak"
_ROW, _SEATS = 5, 15
_READY = tuple(stage for stage in Stage if stage is not Stage.FAILED)
_WAYS: tuple[tuple[Stage, ...], ...] = (
    *(_READY,) * 8, _READY[:8], _READY[:8], _READY[:7], _READY[:6], _READY[:5], (*_READY[:4], Stage.FAILED), (),
)  # fmt: skip
"""What each machine has reported."""
_TOOK = (0, 13, 3, 4, 7, 9, 6, 11, 8, 0)
"""Seconds for each stage since the one before."""
_REASON = "rootfs: the squashfs could not be mounted"
_NAMES = "Jan Kowalski,Ewa Lis,Olga Mazur,Piotr Zając,Zofia Wójcik,Adam Nowicki"


@dataclass(slots=True)
class Clock:
    """It stands still until it is set."""

    at: float = field(default_factory=MOMENT.timestamp)

    def __call__(self) -> float:
        return self.at

    def date(self) -> datetime:
        """The same as classes have it."""
        return datetime.fromtimestamp(self.at, UTC)


@dataclass(frozen=True, slots=True)
class Picture:
    """A page, as somebody sees it."""

    path: str
    says: str
    """Text that is on it."""
    width: int = WIDE
    most: int = HEIGHT
    """Its height at most; a page full of text makes a large file."""
    door: bool = False
    """Whether it is a student's."""


PICTURES = {
    "room.png": Picture("/", "pc12"),
    "machine.png": Picture("/machine/pc05", "Median of the room"),
    "class.png": Picture("/class/k8s", "deployment/web", most=740),
    "student.png": Picture("/door/k8s", "Your key for kubectl", door=True),
    "phone.png": Picture("/", "pc12", width=PHONE),
}


def _lab() -> str:
    machines = [
        f"  - {{name: {name}, mac: 52:54:00:00:01:{number:02x}, address: 10.77.0.{10 + number}, role: {role}, "
        f'seat: "{1 + (number - 1) // _ROW},{1 + (number - 1) % _ROW}"}}'
        for number, (name, role) in enumerate(_machines(), 1)
    ]
    return "\n".join(["name: b12", "network: {subnet: 10.77.0.0/24, server: 10.77.0.1}", "machines:", *machines, ""])


def _machines() -> list[tuple[str, str]]:
    return [("cp1", "control-plane"), *((f"pc{number:02}", "worker") for number in range(1, _SEATS))]


@contextmanager
def taken_in(folder: Path) -> Iterator[Callable[[str], bytes]]:
    """What takes the picture of a name, as PNG."""
    clock = Clock()
    ready = {name: NodeView("True", "v1.36.2", name) for name, _ in _machines()[:8]}
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(record, "now", clock.date))
        answer = Asked(Api.ANSWERS, ready, "API answers")
        served = stack.enter_context(served_in(folder, _lab(), answer=answer, clock=clock, prepare=_prepare))
        _boot(served, clock)
        found = _class()
        record.save(served.state, found)
        driver = stack.enter_context(chromium(key_hash=served.key_hash))
        media(driver, prefers_color_scheme="light")
        driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        _sign_in(driver, served, found)
        yield lambda name: _shot(driver, served, PICTURES[name])


def _boot(served: Served, clock: Clock) -> None:
    """Half of the room is ready, one has failed, and one was never switched on; each began a second after another."""
    for number, ((name, _), way) in enumerate(zip(_machines(), _WAYS, strict=True)):
        at = MOMENT.timestamp() - 80 + number
        for index, stage in enumerate(way):
            at += _TOOK[index] * (1 + number % 3 / 8)
            clock.at = at
            served.report(name, stage, _REASON if stage is Stage.FAILED else "", boot_id=name)
    clock.at = MOMENT.timestamp()


def _class() -> Class:
    end, now = MOMENT + timedelta(days=120), MOMENT
    people = from_names(_NAMES)
    found = plan.merge(
        None, people, name="k8s", now=now, size=sizes.find("medium"), role="edit", expires=end, teachers=(TEACHER,),
        storage="2Gi",
    ).record  # fmt: skip
    keyed = [one.model_copy(update={"expires": end}) for one in found.students]
    return found.with_accounts([*keyed[:4], keyed[4].model_copy(update={"suspended": True}), keyed[5]])


def _prepare(console: Console) -> None:
    def trouble(found: Class, number: int) -> Trouble:
        words = "the image 10.77.0.1:5000/ngnix:1.27 can't be pulled: the registry has none of that name"
        hint = "did you mean nginx? Names are in kubectl get deployment web -o yaml"
        return Trouble(found.namespace(found.students[number]), "deployment/web", TroubleKind.IMAGE, words, hint, 2)

    used = (Used("CPU (limits)", "500m", "2"), Used("Memory", "256Mi", "4Gi"), Used("Pods", "3", "20"))
    pods = (Running("hello-7c5f-x2x8k", "Ready", 0), Running("web-6d4b-9tq2z", "ImagePullBackOff", 0))
    links = (Link("hello", "http://10.77.0.12:30080/"),)
    console.failing = lambda _, found: (trouble(found, 0),)
    console.own = lambda _, found, __: Own(used, pods, links, (trouble(found, 0),))


def _sign_in(driver: Chrome, served: Served, found: Class) -> None:
    """At the console and at the door: the two sessions know nothing of each other."""
    driver.get(served.link("Jan Lis"))
    click(driver, "main button", "Sign in as")
    wait_for(driver, "h1", "Room")
    code = codes.issue(served.database.door, found, [found.students[0]], ends=MOMENT + timedelta(days=1))
    driver.get(f"{served.base}/door/k8s")
    wait_for(driver, "#code").send_keys(code.codes[found.students[0].key])
    for box in ("#new", "#once-more"):
        wait_for(driver, box).send_keys("four plain words here")
    click(driver, "main button", "Set the passphrase")
    wait_for(driver, "h2", "Your key")


def _shot(driver: Chrome, served: Served, picture: Picture) -> bytes:
    phone = picture.width == PHONE
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": picture.width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": phone},
    )
    driver.get(f"{served.base}{picture.path}")
    wait_for(driver, "main", picture.says)
    # No box has the keyboard, and a page that is shorter leaves no white below it.
    tall = driver.execute_script(
        "document.activeElement.blur(); return Math.ceil(document.querySelector('main').getBoundingClientRect().bottom)"
    )
    clip = {"x": 0, "y": 0, "width": picture.width, "height": min(tall, picture.most), "scale": 1}
    return base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})["data"])
