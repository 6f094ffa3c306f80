"""The upgrade's page: what it says at each point of an upgrade, and what can be asked for there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.waits import until
from tests.unit.console.consoles import Browser, Room, room_in
from tests.unit.console.test_api import program, valid
from tests.unit.upgrade.test_dry_run import LAB, boots, build

from nodisk.console import security, upgrade_orders
from nodisk.console.upgrade_orders import UpgradeAction
from nodisk.console.upgrade_pages import BYTES, LINES, LOG, tail
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.upgrade import begin, journal
from nodisk.upgrade.plan import Wave
from nodisk.upgrade.progress import Progress

ON, BACK = "/upgrade/order?action=upgrade", "/upgrade/order?action=upgrade_back"


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Room]:
    with room_in(tmp_path, LAB) as made:
        yield made


def folder(hall: Room) -> Path:
    return hall.console.context.file.parent


def asked(browser: Browser, path: str, count: int) -> int:
    form = {"token": security.form_token(browser.token), "count": str(count)}
    return browser.post(path, data=form).status_code


def test_before_anything_is_built(hall: Room) -> None:
    browser = hall.browser().sign_in()
    page = browser.get("/upgrade").text
    assert "nodisk build" in page
    assert "/upgrade/order" not in page
    assert browser.get(ON).status_code == 503


def test_from_build_to_build(hall: Room) -> None:
    room = build(folder(hall), 1)
    boots(folder(hall), room, "cp1", "w1")
    browser = hall.browser().sign_in()
    page = browser.get("/upgrade").text
    assert "No machine runs another build" in page
    assert "/upgrade/order" not in page
    assert browser.get(ON).status_code == 409

    build(folder(hall), 2)
    page = browser.get("/upgrade").text
    assert "Some machines run another build" in page
    assert "<li>cp1</li>" in page
    assert 'value="upgrade"' in page
    assert 'value="upgrade_back"' not in page
    assert browser.get(BACK).status_code == 409
    sure = browser.get(ON).text
    assert "Machines: 2" in sure
    assert "nodisk upgrade</code>" in sure
    assert "proved in the last 24 hours" in sure


def test_another_release_is_asked_for_in_lab_yaml_while_the_server_runs(hall: Room) -> None:
    boots(folder(hall), build(folder(hall), 1), "cp1", "w1")
    browser, file = hall.browser().sign_in(), folder(hall) / "lab.yaml"
    assert "No machine runs another build" in browser.get("/upgrade").text
    file.write_text(LAB.replace("1.36.1", "1.36.2"))
    assert "a different release or image" in browser.get("/upgrade").text
    build(folder(hall), 2)
    assert "<li>cp1</li>" in browser.get("/upgrade").text
    file.write_text(LAB.replace("name: room", "name: hall"))
    assert "is of lab hall now" in browser.get("/upgrade").text
    file.write_text("machines: 3")
    page = browser.get("/upgrade")
    assert (page.status_code, 'role="alert"' in page.text) == (200, True)
    file.unlink()
    assert "can&#39;t be read" in browser.get("/upgrade").text


def test_it_begins_once_it_is_confirmed_and_only_by_itself(hall: Room) -> None:
    begun: list[tuple[Sequence[str], Path]] = []
    hall.console.detach = lambda words, lab, state, log: begun.append((words, log))
    boots(folder(hall), build(folder(hall), 1), "cp1", "w1")
    build(folder(hall), 2)
    browser = hall.browser().sign_in()
    assert browser.post(ON, data={"count": "2"}).status_code == 403
    assert browser.post(ON, headers={"Origin": "https://evil.example"}, data={}).status_code == 403
    assert asked(browser, ON, 1) == 409
    assert begun == []
    assert asked(browser, ON, 2) == 303
    assert begun == [(("upgrade",), hall.console.context.state.log / LOG)]
    assert "console: anna (admin): nodisk upgrade" in hall.told(Kind.DAEMON)
    with begin.lock(hall.console.context):
        page = browser.get("/upgrade").text
        assert "The upgrade is running." in page
        assert "/upgrade/order" not in page
        assert asked(browser, ON, 2) == 409
    assert len(begun) == 1


def test_one_that_stopped_goes_on_or_back(hall: Room) -> None:
    begun: list[Sequence[str]] = []
    hall.console.detach = lambda words, lab, state, log: begun.append(words)
    room = build(folder(hall), 1)
    boots(folder(hall), room, "cp1", "w1", "w2")
    state = hall.console.context.state
    old = begin.current(hall.console.context).key
    build(folder(hall), 2)
    begun_ = begin.begin(hall.console.context, Wave.usual(), None).begin(("cp1",), {}).end().begin(("w1",), {})
    assert begun_.before == dict.fromkeys(("cp1", "w1", "w2"), old)
    journal.write(state, begun_)
    state.log.mkdir(parents=True, exist_ok=True)
    (state.log / LOG).write_text("error: w1: <b>not back</b>\n")
    browser = hall.browser().sign_in()
    page = browser.get("/upgrade").text
    for part in (
        "The upgrade stopped before its end.",
        "1: cp1",
        "<dd>w1</dd>",
        "&lt;b&gt;not back&lt;/b&gt;",
        'value="upgrade_back"',
    ):
        assert part in page
    assert "Machines: 2" in browser.get(ON).text
    assert "w1, cp1" in browser.get(BACK).text
    assert asked(browser, BACK, 2) == 303
    assert begun == [("upgrade", "--back")]

    journal.write(state, begun_.turned())
    page = browser.get("/upgrade").text
    assert "The way back stopped before its end." in page
    assert 'value="upgrade"' not in page
    assert "Machines: 2" in browser.get(BACK).text


def test_a_damaged_journal_is_said(hall: Room) -> None:
    build(folder(hall), 1)
    hall.console.context.state.upgrade.write_text("{")
    browser = hall.browser().sign_in()
    page = browser.get("/upgrade")
    assert (page.status_code, "is not a valid record of an upgrade" in page.text) == (200, True)
    assert "to start over: rm " in page.text


def test_history(hall: Room) -> None:
    build(folder(hall), 1)
    for text in (
        "upgraded cp1, w1",
        "w1 went back to the build before",
        "console: anna (admin): nodisk upgrade --back",
        "console: anna (admin): nodisk backup create",
        "ready after 2 s at upgraded <b>",
    ):
        hall.database.record(Kind.DAEMON, text, source="nodisk")
    page = hall.browser().sign_in().get("/upgrade").text
    assert "upgraded cp1, w1" in page
    assert "w1 went back to the build before" in page
    assert "nodisk upgrade --back" in page
    assert "backup create" not in page
    assert "ready after 2 s" not in page


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
@pytest.mark.parametrize("path", ["/upgrade", ON, "/live?upgrade=1"])
def test_only_administrators(hall: Room, role: ConsoleRole, path: str) -> None:
    browser = hall.browser().sign_in("jan", role)
    assert browser.get(path).status_code == 403
    assert asked(browser, ON, 1) == 403


def test_by_a_program(hall: Room) -> None:
    begun: list[Sequence[str]] = []
    hall.console.detach = lambda words, lab, state, log: begun.append(words)
    boots(folder(hall), build(folder(hall), 1), "cp1", "w1")
    build(folder(hall), 2)
    browser = hall.browser()
    bearer = program(hall)
    told = valid(browser.get("/api/upgrade", headers=bearer), "/api/upgrade")
    assert (told["steps"], told["underway"], told["runs"]) == ([["cp1"], ["w1"]], False, False)
    assert {one["name"]: one["booted"] for one in told["machines"]}["w2"] == "nothing"
    assert browser.post("/api/upgrade", headers=bearer, json={"action": "upgrade_back"}).status_code == 409
    assert browser.post("/api/upgrade", headers=bearer, json={"action": "reboot"}).status_code == 400
    signed_in = hall.browser().sign_in()
    assert signed_in.post("/api/upgrade", json={"action": "upgrade"}).status_code == 401
    teacher = program(hall, ConsoleRole.TEACHER, "other")
    assert browser.post("/api/upgrade", headers=teacher, json={"action": "upgrade"}).status_code == 403
    assert begun == []
    answer = browser.post("/api/upgrade", headers=bearer, json={"action": "upgrade"})
    assert answer.headers["location"] == "/api/upgrade"
    assert valid(answer, "/api/upgrade", 202, "post") == {"command": "nodisk upgrade", "targets": ["cp1", "w1"]}
    assert begun == [("upgrade",)]


@given(st.binary(max_size=3 * BYTES))
def test_whatever_it_printed(tmp_path_factory: pytest.TempPathFactory, printed: bytes) -> None:
    log = tmp_path_factory.mktemp("log") / LOG
    assert tail(log) is None
    log.write_bytes(printed)
    told = tail(log)
    assert told is not None
    assert len(told[1].splitlines()) <= LINES
    assert len(told[1]) <= BYTES


NAMES = st.lists(st.sampled_from(["cp1", "w1", "w2"]), unique=True).map(tuple)


@given(st.text(max_size=20) | st.sampled_from(UpgradeAction), NAMES, NAMES, st.booleans(), st.booleans())
def test_an_order_has_machines_and_is_on_offer(
    action: str, left: tuple[str, ...], went: tuple[str, ...], back: bool, runs: bool
) -> None:
    steps = (left,) if left else ()
    found = Progress("", (), steps, went=() if back else went, underway=True, back=back, runs=runs)
    order = upgrade_orders.order(found, action)
    assert (order is not None) == (action in upgrade_orders.actions(found))
    assert order is None or (order.targets and not runs)


BEGINNER = """\
import os, sys
from pathlib import Path
from nodisk.server import own_command
folder = Path(sys.argv[1])
own_command.detach(("upgrade",), folder / "no.yaml", folder / "state", folder / sys.argv[2])
os.killpg(os.getpgid(0), 9)
"""


def test_a_command_outlives_who_began_it(tmp_path: Path) -> None:
    """Killed with all of its process group, while the command has hardly started."""
    log = tmp_path / LOG
    log.write_text("of an earlier one\n")
    words = [sys.executable, "-c", BEGINNER, str(tmp_path), LOG]
    assert subprocess.run(words, start_new_session=True, check=False).returncode == -9
    until(lambda: "no.yaml" in log.read_text(), every=0.1, why=log.read_text)
    said = log.read_text()
    assert "error: " in said
    assert "of an earlier one" not in said
