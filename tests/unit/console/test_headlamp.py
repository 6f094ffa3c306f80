"""The way into Headlamp by the console's pages: who gets which token, and where it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import Browser, Room, room_in
from tests.unit.console.test_door import class_, form_of, student
from tests.unit.spec.labs import TEN_LINES

from nodisk.classes import headlamp, record
from nodisk.classes.headlamp import Entrance
from nodisk.classes.record import Account, Class
from nodisk.console import security
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind

TOKEN = "eyJhbGciOi.a-token.of-somebody"


@dataclass
class Asked:
    """Stands for the API: what was asked of it."""

    whose: list[str] = field(default_factory=list)
    address: str = "http://10.77.0.12:30466/"

    def __call__(self, _: LabContext, found: Class | None, account: Account | None) -> Entrance:
        self.whose.append("" if account is None else account.label)
        spaces = () if found is None or account is None else (found.namespace(account),)
        forward = "" if spaces else "kubectl port-forward"
        return Entrance(TOKEN, datetime(2026, 11, 30, 10, tzinfo=UTC), spaces, self.address, forward)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with room_in(tmp_path, f"{TEN_LINES}addons: [{{name: headlamp}}]\n") as made:
        yield made


@pytest.fixture
def asked(room: Room) -> Asked:
    room.console.headlamp = Asked()
    return room.console.headlamp


def press(browser: Browser, path: str) -> tuple[int, str]:
    answer = browser.post(f"{path}/headlamp", data={"token": security.form_token(browser.token)})
    return answer.status_code, answer.text


def test_a_student_gets_a_token_of_their_own(room: Room, asked: Asked) -> None:
    found = class_(room)
    browser, other = student(room, found), student(room, found, 1)
    assert "Open Headlamp" in browser.get("/door/k8s").text
    answer = browser.post("/door/k8s/headlamp", data={"token": form_of(browser)})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    link = 'href="http://10.77.0.12:30466/c/main/pods?namespace=k8s-jan-kowalski"'
    for text in (TOKEN, "k8s-jan-kowalski", link, "> http://10.77.0.12:30466/<", 'rel="noopener noreferrer"'):
        assert text in answer.text
    assert "port-forward" not in answer.text
    assert asked.whose == ["jan-kowalski"]
    assert other.post("/door/k8s/headlamp", data={"token": form_of(browser)}).status_code == 403
    assert browser.post("/door/physics/headlamp", data={"token": form_of(browser)}).status_code == 403
    assert browser.get("/door/k8s/headlamp").headers["location"] == "/door/k8s"
    assert asked.whose == ["jan-kowalski"]


def test_a_teacher_and_an_administrator(room: Room, asked: Asked) -> None:
    class_(room, teachers=("Anna Nowak", "Jan Mak"))
    anna = room.browser().sign_in("Anna Nowak", ConsoleRole.TEACHER)
    assert "Open Headlamp" in anna.get("/class/k8s").text
    assert press(anna, "/class/k8s")[0] == 200
    assert press(anna, "/cluster")[0] == 403
    admin = room.browser().sign_in("root")
    assert "Open Headlamp" not in admin.get("/class/k8s").text, "the class doesn't name them"
    assert press(admin, "/class/k8s")[0] == 403
    status, text = press(admin, "/cluster")
    assert (status, "kubectl port-forward" in text, "all, to look at" in text) == (200, True, True)
    assert 'href="http://10.77.0.12:30466/"' in text, "which namespaces is the administrator's to choose"
    viewer = room.browser().sign_in("Jan Mak", ConsoleRole.VIEWER)
    assert press(viewer, "/class/k8s")[0] == 403
    other = room.browser().sign_in("Somebody Else", ConsoleRole.TEACHER)
    assert press(other, "/class/k8s")[0] == 404
    assert asked.whose == ["teacher-anna-nowak", ""]


def test_a_suspended_one_gets_none(room: Room, asked: Asked) -> None:
    found = class_(room, teachers=("Anna",))
    browser, anna = student(room, found), room.browser().sign_in("Anna", ConsoleRole.TEACHER)
    form = form_of(browser)
    everybody = (*found.students, *found.teachers)
    asleep = found.with_accounts(one.model_copy(update={"suspended": True}) for one in everybody)
    record.save(room.console.context.state, asleep)
    assert browser.post("/door/k8s/headlamp", data={"token": form}).status_code == 403
    assert press(anna, "/class/k8s")[0] == 404
    assert asked.whose == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_forms_of_other_sites_and_other_sessions(room: Room, asked: Asked, origin: str) -> None:
    browser, admin = student(room), room.browser().sign_in()
    for one, path, form in (
        (browser, "/door/k8s/headlamp", form_of(browser)),
        (admin, "/cluster/headlamp", security.form_token(admin.token)),
    ):
        assert one.post(path, data={"token": form}, headers={"Origin": origin}).status_code == 403
        assert one.post(path, data={"token": "0" * 64}).status_code == 403
        assert one.post(path).status_code == 403
    assert asked.whose == []


def test_the_token_is_in_no_record(room: Room, asked: Asked) -> None:
    browser, admin = student(room), room.browser().sign_in()
    browser.post("/door/k8s/headlamp", data={"token": form_of(browser)})
    press(admin, "/cluster")
    told = room.told(Kind.DAEMON)
    assert "console: door: k8s/jan-kowalski took a token for Headlamp" in told
    assert "console: anna (admin) took a token for Headlamp, for the cluster" in told
    state = room.console.context.state
    for file in filter(Path.is_file, state.root.rglob("*")):
        assert TOKEN.encode() not in file.read_bytes(), file
    assert TOKEN not in repr(asked(state, None, None))  # type: ignore[arg-type]


def test_where_it_has_no_address_or_is_not_there(room: Room, asked: Asked) -> None:
    browser = student(room)
    asked.address = ""
    answer = browser.post("/door/k8s/headlamp", data={"token": form_of(browser)})
    assert "Headlamp has no address that a browser reaches" in answer.text

    def absent(*_: object) -> Entrance:
        raise EnvironmentProblem(headlamp.ABSENT)

    room.console.headlamp = absent
    answer = browser.post("/door/k8s/headlamp?lang=pl", data={"token": form_of(browser)})
    assert (answer.status_code, "Headlampa nie ma w klastrze" in answer.text) == (503, True)


def test_a_lab_without_the_add_on_has_no_button(tmp_path: Path) -> None:
    with room_in(tmp_path) as room:
        class_(room, teachers=("Anna",))
        anna, admin = room.browser().sign_in("Anna", ConsoleRole.TEACHER), room.browser().sign_in("root")
        for one, path in ((anna, "/class/k8s"), (admin, "/cluster")):
            assert "Headlamp" not in one.get(path).text
            assert press(one, path)[0] == 404


LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


@given(st.lists(LABELS, max_size=5, unique=True), st.sampled_from(["", "http://10.77.0.12:30466/"]))
def test_the_link_opens_it_at_the_very_namespaces(names: list[str], address: str) -> None:
    """As Headlamp v0.45.0 reads it: a path ``/c/CLUSTER/pods``, ``namespace`` split at spaces."""
    way = Entrance(TOKEN, datetime(2026, 11, 30, 10, tzinfo=UTC), tuple(names), address, "")
    found = urlsplit(way.link)
    if not (address and names):
        assert way.link == address
        return
    assert (found.netloc, found.path) == ("10.77.0.12:30466", "/c/main/pods")
    assert parse_qs(found.query)["namespace"][0].split(" ") == names
    assert TOKEN not in way.link


SERVICE = st.fixed_dictionaries(
    {},
    optional={
        "spec": st.none()
        | st.fixed_dictionaries(
            {"selector": st.sampled_from([None, {"k8s-app": "headlamp"}, {"k8s-app": "another"}])},
            optional={
                "ports": st.none()
                | st.lists(
                    st.fixed_dictionaries(
                        {"port": st.just(80)},
                        optional={
                            "nodePort": st.integers(30000, 32767),
                            "protocol": st.sampled_from(["TCP", "UDP", "SCTP"]),
                        },
                    ),
                    max_size=3,
                )
            },
        )
    },
)


@given(st.lists(SERVICE, max_size=4), st.sampled_from([{}, {"k8s-app": "headlamp"}]))
def test_an_address_is_one_of_the_very_pods(services: list[dict[str, object]], selector: dict[str, str]) -> None:
    found = headlamp.address(services, selector, "10.77.0.12")
    ports = re.fullmatch(r"http://10\.77\.0\.12:(\d+)/", found)
    leading = [
        port["nodePort"]
        for service in services
        if selector and ((service.get("spec") or {}).get("selector")) == selector  # type: ignore[attr-defined]
        for port in service["spec"].get("ports") or []  # type: ignore[attr-defined]
        if "nodePort" in port and port.get("protocol", "TCP") == "TCP"
    ]
    assert (int(ports[1]) if ports else None) == (leading[0] if leading else None)
