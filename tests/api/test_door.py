"""The students' door on a real API server: from a code to a key that works, and to its end."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane
from tests.support.access import refused
from tests.support.waits import until
from tests.unit.console.consoles import AWAY, Browser

from nodisk.classes import accounts, actions, codes, own, plan, record, sizes
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.console.common import Console
from nodisk.console.snapshot import Snapshot
from nodisk.kube import goyaml
from nodisk.kube.client import Client
from nodisk.kube.errors import Forbidden
from nodisk.records.database import Database

pytestmark = pytest.mark.usefixtures("forgotten")
PHRASE = "cztery słowa na dziś"


@pytest.fixture
def console(plane: ControlPlane) -> Iterator[Console]:
    with Database(plane.lab_state.database) as database:
        yield Console(plane.lab, database, Snapshot(plane.context, ask=lambda _: AWAY))


def make(plane: ControlPlane, client: Client, name: str, folder: Path) -> Class:
    people = [Person("Jan Kowalski"), Person("Ewa Żak")]
    planned = plan.merge(None, people, name=name, now=record.now(), size=sizes.find("small"), role="edit").record
    made = actions.create(plane.context, client, planned, folder=folder, test=False)
    actions.raise_first(made.failed)
    return made.record


def enter(console: Console, found: Class, number: int = 0) -> Browser:
    """A student's browser, by a code."""
    student, end = found.students[number], record.now() + timedelta(hours=1)
    code = codes.issue(console.database.door, found, [student], ends=end).codes[student.key]
    browser = Browser(console)
    data = {"code": code, "passphrase": PHRASE, "again": PHRASE}
    assert browser.post(f"/door/{found.name}/first", data=data).status_code == 303
    return browser


def take_key(browser: Browser, name: str) -> str:
    """The token of a key that the page gives."""
    form = re.search(r'name="token" value="([0-9a-f]{64})"', browser.get(f"/door/{name}").text)
    assert form is not None
    answer = browser.post(f"/door/{name}/kubeconfig", data={"token": form[1]})
    assert answer.status_code == 200, answer.text
    document = goyaml.documents(answer.content)[0]
    assert document["contexts"][0]["context"]["namespace"] == f"{name}-jan-kowalski"
    return str(document["users"][0]["user"]["token"])


def ends_of(token: str) -> datetime:
    """When a token ends, as the API server wrote into it."""
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return datetime.fromtimestamp(claims["exp"], UTC)


def until_refused(client: Client, namespace: str) -> None:
    """Wait until a token is good for nothing: the API server remembers one for ten seconds."""
    until(lambda: refused(client, namespace), why="the key still works")


def test_a_key_of_the_door_is_the_student_s_own(
    plane: ControlPlane, client: Client, console: Console, tmp_path: Path
) -> None:
    found = make(plane, client, "dkey", tmp_path / "handouts")
    token = take_key(enter(console, found), "dkey")
    jan = client.with_token(token, patience=5)
    assert jan.list("v1", "Pod", namespace="dkey-jan-kowalski") == []
    for namespace in ("dkey-ewa-zak", "dkey", "kube-system"):
        with pytest.raises(Forbidden):
            jan.list("v1", "Pod", namespace=namespace)
    review = client.create(
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": token}}
    )
    assert review["status"]["user"]["username"] == "system:serviceaccount:dkey:jan-kowalski-1"
    # What was handed out goes on working, and is another.
    assert token not in (tmp_path / "handouts" / "jan-kowalski.kubeconfig").read_text()


def test_the_page_has_what_is_the_student_s(
    plane: ControlPlane, client: Client, console: Console, tmp_path: Path
) -> None:
    found = make(plane, client, "dpage", tmp_path / "handouts")
    browser, other = enter(console, found), enter(console, found, 1)
    space = "dpage-jan-kowalski"
    container = {"name": "web", "image": "nodisk/echo:1"}
    client.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": space, "labels": {"app": "web"}},
         "spec": {"containers": [container]}}
    )  # fmt: skip
    service = client.create(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": space},
         "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 8080}]}}
    )  # fmt: skip
    port = service["spec"]["ports"][0]["nodePort"]
    page = browser.get("/door/dpage").text
    assert f'href="http://10.77.0.21:{port}/"' in page
    assert '<th scope="row">web</th><td>Pending</td>' in page
    assert str(port) not in other.get("/door/dpage").text

    def quota() -> tuple[own.Used, ...]:
        return own.everyone(plane.context).own(found, found.students[0]).quota

    # The quota's controller counts seconds after the class was made.
    until(lambda: any((one.what, one.used) == ("Pods", "1") for one in quota()), every=0.1, why=quota)
    assert {one.what for one in quota()} >= {"CPU (requests)", "Memory", "Pods", "NodePorts"}


def test_rotating_ends_the_session_and_every_key(
    plane: ControlPlane, client: Client, console: Console, tmp_path: Path
) -> None:
    found = make(plane, client, "drot", tmp_path / "handouts")
    browser, other = enter(console, found), enter(console, found, 1)
    jan = client.with_token(take_key(browser, "drot"), patience=5)
    made = actions.rotate(plane.context, client, found, [found.students[0]], folder=tmp_path / "handouts")
    actions.raise_first(made.failed)
    assert "First time here" in browser.get("/door/drot").text
    assert "Ewa Żak" in other.get("/door/drot").text
    until_refused(jan, "drot-jan-kowalski")
    data = {"login": "jan-kowalski", "passphrase": PHRASE}
    assert browser.post("/door/drot/sign-in", data=data).status_code == 303
    new = client.with_token(take_key(browser, "drot"), patience=5)
    assert new.list("v1", "Pod", namespace="drot-jan-kowalski") == []


def test_suspending_ends_what_a_key_may_do(
    plane: ControlPlane, client: Client, console: Console, tmp_path: Path
) -> None:
    found = make(plane, client, "dsus", tmp_path / "handouts")
    browser = enter(console, found)
    jan = client.with_token(take_key(browser, "dsus"), patience=5)
    done = accounts.set_suspended(client, found, plane.lab, [found.students[0]], True, by_hand=True)
    record.save(plane.lab_state, done.record)
    assert "Your access is suspended" in browser.get("/door/dsus").text
    until_refused(jan, "dsus-jan-kowalski")


def test_a_key_ends_with_the_class(plane: ControlPlane, client: Client, tmp_path: Path) -> None:
    found = make(plane, client, "dend", tmp_path / "handouts")
    soon = found.model_copy(update={"expires": record.now() + timedelta(hours=2)})
    for one, hours in ((found, 12), (soon, 2)):
        document = goyaml.documents(own.key(plane.context, one, one.students[0]).encode())[0]
        ends = ends_of(str(document["users"][0]["user"]["token"]))
        assert abs((ends - datetime.now(UTC)) / timedelta(hours=1) - hours) < 0.2


def test_removing_and_deleting_forget_codes_and_passphrases(
    plane: ControlPlane, client: Client, console: Console, tmp_path: Path
) -> None:
    found = make(plane, client, "dgone", tmp_path / "handouts")
    jan, ewa = found.students
    enter(console, found)
    codes.issue(console.database.door, found, [ewa], ends=record.now() + timedelta(hours=1))
    actions.remove(plane.context, client, found, [jan])
    assert console.database.door.with_passphrase("dgone") == set()
    assert console.database.door.codes("dgone").keys() == {ewa.key}
    actions.delete(plane.context, client, found.without([jan]), limit=120)
    assert console.database.door.codes("dgone") == {}
