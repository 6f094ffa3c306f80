"""What perhaps holds the slowest machine up: from what is recorded, and never more than a guess."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.console import guess_words
from nodisk.context import LabContext
from nodisk.machines import guesses, status
from nodisk.machines.asked import Api, Asked
from nodisk.machines.pace import Pace
from nodisk.machines.status import Row, Status
from nodisk.records.events import Progress
from nodisk.records.printed import Printed, lines
from nodisk.records.remarks import Remark
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.values import Role, Stage

LAB = """\
name: hall
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}
  - {name: w1, mac: "52:54:00:00:00:02", address: 10.77.0.12}
  - {name: w2, mac: "52:54:00:00:00:03", address: 10.77.0.13}
  - {name: w3, mac: "52:54:00:00:00:04", address: 10.77.0.14}
  - {name: w4, mac: "52:54:00:00:00:05", address: 10.77.0.15}
"""
NOW = 10_000.0
AGE = 100.0
FILES = {"vmlinuz": 1, "initramfs": 1}


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Status:
    """A control plane and four workers, all of them ready."""
    return of(tmp_path_factory.mktemp("hall"), LAB)


def of(folder: Path, text: str) -> Status:
    (folder / "lab.yaml").write_text(text)
    context = LabContext(load(folder / "lab.yaml"), folder / "lab.yaml", State(folder / "state").lab("hall"), None)
    found = status.of_records(context, Asked(Api.ANSWERS, {}, ""), now=lambda: NOW)
    ready = tuple(replace(row, progress=at(Stage.READY)) for row in found.rows)
    return replace(found, rows=ready)


def at(stage: Stage, age: float = AGE) -> Progress:
    return Progress(stage, NOW - age, NOW - age - 50, "1", "", ((stage, NOW - age),))


def with_rows(found: Status, **rows: Callable[[Row], Row]) -> Status:
    """The same with some rows changed, by the machine's name."""
    changed = (rows[str(row.machine.name)](row) if str(row.machine.name) in rows else row for row in found.rows)
    return replace(found, rows=tuple(changed))


def w1(stage: Stage, age: float = AGE, **more: object) -> Callable[[Row], Row]:
    return lambda row: replace(row, progress=at(stage, age), **more)  # type: ignore[arg-type]


def said(found: Status) -> str | None:
    row = guesses.slowest(found)
    assert row is not None
    assert str(row.machine.name) == "w1"
    made = guesses.guess(found, row)
    return None if made is None else made.text


def took(found: Status, seconds: float) -> Status:
    usual = {(role, stage): seconds for role in Role for stage in Stage}
    return replace(found, pace=Pace(usual, {}))


def printed(text: str, *, age: float = 10.0) -> Printed:
    return Printed(NOW - age, lines(text))


def test_a_room_that_is_ready_has_no_slowest(hall: Status) -> None:
    assert guesses.slowest(hall) is None
    assert guesses.guess(hall, hall.rows[0]) is None


def test_the_slowest_is_the_one_that_stands_the_longest(hall: Status) -> None:
    found = with_rows(hall, w1=w1(Stage.OS, 30), w2=w1(Stage.KERNEL, 90), w3=w1(Stage.FAILED, 500))
    row = guesses.slowest(found)
    assert row is not None
    assert str(row.machine.name) == "w2"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("[   3.1] nodisk: no carrier on eth0 after 30 seconds: is the cable in?", guesses.NO_LINK),
        ("e1000e 0000:00:1f.6 eth0: NIC Link is Down", guesses.NO_LINK),
        ("Out of memory: Killed process 12 (containerd)", guesses.NO_MEMORY),
        ("write /run/x: No space left on device", guesses.NO_MEMORY),
        ("mce: [Hardware Error]: Machine check events logged", guesses.HARDWARE),
        ("[ 20.2] nodisk: FAILED: kubelet.service: exit-code", guesses.SERVICE),
        ("nodisk: rootfs: the server broke off at 5 of 9 bytes; again in 4 s", guesses.AGAIN),
        ("nodisk: rootfs: 121 MiB from http://10.77.0.1 (try 3, 40 MiB here)", guesses.AGAIN),
        ("nodisk: the server did not take the event os", guesses.AGAIN),
        ("nodisk: rootfs: 121 MiB from http://10.77.0.1 (try 1, 0 MiB here)", None),
        ("IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready", None),
    ],
)
def test_what_it_printed(hall: Status, line: str, text: str | None) -> None:
    assert said(with_rows(hall, w1=w1(Stage.OS, printed=printed(f"before\n{line}\nafter")))) == text
    # What it printed long before, or at an earlier stage, says nothing of now.
    later = "\n".join(f"line {number}" for number in range(guesses.LINES))
    assert said(with_rows(hall, w1=w1(Stage.OS, printed=printed(f"{line}\n{later}")))) is None
    assert said(with_rows(hall, w1=w1(Stage.OS, printed=printed(line, age=AGE + 5)))) is None


def test_which_service(hall: Status) -> None:
    found = with_rows(hall, w1=w1(Stage.OS, printed=printed("nodisk: FAILED: containerd.service: oops")))
    row = guesses.slowest(found)
    assert row is not None
    made = guesses.guess(found, row)
    assert made is not None
    assert made.words() == "perhaps a service of it: it printed that containerd.service failed"
    polish = made.words(guess_words.POLISH[made.text])
    assert polish == "może usługa: wypisał, że containerd.service zawiodła"


def test_what_it_waits_for(hall: Status) -> None:
    waits = with_rows(hall, w1=w1(Stage.ENROLLED))
    assert said(waits) is None
    assert said(with_rows(waits, cp1=w1(Stage.OS, 10))) == guesses.CONTROL_PLANE
    assert said(replace(waits, api=Api.AWAY)) == guesses.API
    broken = with_rows(hall, w1=w1(Stage.ENROLLED, broken=Remark("no picture", 1.0)))
    assert said(broken) == guesses.BROKEN


def test_by_what_others_took(hall: Status) -> None:
    found = with_rows(hall, w1=w1(Stage.CONFIG))
    assert said(found) is None
    assert said(took(found, 90.0)) == guesses.USUAL
    assert said(took(found, 60.0)) is None
    assert said(took(found, 20.0)) == guesses.OTHERS


def test_at_its_firmware(hall: Status, tmp_path: Path) -> None:
    asked = with_rows(hall, w1=w1(Stage.IPXE))
    assert said(asked) is None
    others = with_rows(asked, w2=lambda row: replace(row, loaded=FILES))
    assert said(others) == guesses.FIRMWARE
    assert said(with_rows(asked, w1=w1(Stage.IPXE, loaded=FILES))) == guesses.KERNEL
    menu = of(tmp_path, LAB + "menu: {timeout: 30}\n")
    assert said(with_rows(menu, w1=w1(Stage.IPXE))) == guesses.MENU


def test_while_it_loads(hall: Status, tmp_path: Path) -> None:
    def loads(size: int, mbps: int | None = None) -> Callable[[Row], Row]:
        return w1(Stage.KERNEL, loaded={"root.squashfs": size} if size else {}, mbps=mbps)

    def ready(size: int, mbps: int | None) -> Callable[[Row], Row]:
        return lambda row: replace(row, loaded={"root.squashfs": size}, mbps=mbps)

    assert said(with_rows(hall, w1=loads(0))) is None
    assert said(with_rows(hall, w1=loads(250_000_000), w2=ready(121_000_000, None))) == guesses.TWICE
    assert said(with_rows(hall, w1=loads(121_000_000), w2=ready(121_000_000, None))) is None
    assert said(with_rows(hall, w1=loads(0, 94), w2=ready(121_000_000, 940))) == guesses.LINK
    assert said(with_rows(hall, w1=loads(0, 940), w2=ready(121_000_000, 940))) is None
    crowd = {name: w1(Stage.KERNEL, 50) for name in ("w2", "w3", "w4")}
    assert said(with_rows(hall, w1=loads(0), **crowd)) == guesses.CROWD
    peers = of(tmp_path, LAB + "peers: {rate: 200M}\n")
    assert said(with_rows(peers, w1=loads(0), **crowd)) == guesses.PEERS
    joined = {name: w1(Stage.JOINED, 50) for name in ("w2", "w3", "w4")}
    assert said(with_rows(hall, w1=w1(Stage.JOINED), **joined)) == guesses.IMAGES


STAGES = st.sampled_from(list(Stage))
LINES = st.text(max_size=60) | st.sampled_from(["nodisk: FAILED: {0}: x", "again in 4 s", "(try 3, {what}"])


@given(STAGES, st.floats(0, 100_000), st.lists(LINES, max_size=4), st.none() | st.floats(0, 9000))
def test_whatever_is_known_it_is_a_guess_or_nothing(
    hall: Status, stage: Stage, age: float, said: list[str], usual: float | None
) -> None:
    told = lines("\n".join(said))
    row = w1(stage, age, printed=Printed(NOW, told) if told else None)
    found = with_rows(hall, w1=row)
    found = found if usual is None else took(found, usual)
    made = guesses.guess(found, found.rows[1])
    if made is None:
        return
    assert made.text in guesses.TEXTS
    assert made.words().startswith("perhaps ")
    assert "\n" not in made.words()
    assert made.words(guess_words.POLISH[made.text]).startswith("może ")


def test_each_sentence_is_in_polish_with_the_same_places() -> None:
    assert set(guesses.TEXTS) == guess_words.POLISH.keys()
    for english, polish in guess_words.POLISH.items():
        assert places(english) == places(polish)
        assert not re.search(r"[.!?]$", english), "it stands in brackets"


def places(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}
