"""A teacher changes a class by the console's pages: the command runs, and a real API server has it so."""

from __future__ import annotations

import asyncio
import html
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane
from tests.api.test_door import make, until_refused
from tests.unit.console.consoles import AWAY, Browser

from nodisk.classes import handouts, record
from nodisk.classes.record import Class
from nodisk.console import security
from nodisk.console.common import Console
from nodisk.console.snapshot import Snapshot
from nodisk.kube.client import Client
from nodisk.records.console_access import ConsoleRole
from nodisk.records.database import Database

pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def console(plane: ControlPlane) -> Iterator[Console]:
    with Database(plane.lab_state.database) as database:
        yield Console(plane.lab, database, Snapshot(plane.context, ask=lambda _: AWAY), tick=0.05)


def do(console: Console, name: str, query: str) -> str:
    """Ask for an order, confirm it and wait for its end; returns the page that says what came of it."""

    async def go() -> str:
        browser = Browser(console)
        code = console.database.console.invite("root", ConsoleRole.ADMIN, seconds=60)
        assert (await browser.send("POST", "/sign-in", data={"code": code})).status_code == 303
        asked = await browser.send("GET", f"/class/{name}/order?{query}")
        assert asked.status_code == 200, asked.text
        action = re.search(r'action="(/class/[^"]*)"', asked.text)
        assert action is not None
        fields = dict(re.findall(r'type="hidden" name="(token|count)" value="([^"]*)"', asked.text))
        begun = await browser.send("POST", html.unescape(action[1]), data=fields)
        assert begun.status_code == 303, begun.text
        place = begun.headers["location"]
        told = await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")
        assert told.text.endswith("event: over\ndata: \n\n"), told.text
        return (await browser.send("GET", place)).text

    return asyncio.run(go())


@pytest.fixture
def room_for_some(client: Client) -> Iterator[None]:
    """A node that nobody runs, on which a class has room."""
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "roomy"}})
    amounts = {"cpu": "64", "memory": "64Gi", "pods": "500", "ephemeral-storage": "90Gi"}
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2099-01-01T00:00:00Z"}
    status = {"status": {"allocatable": amounts, "capacity": amounts, "conditions": [condition]}}
    path = client.path("v1", "Node", "roomy", subresource="status")
    client.request("PATCH", path, body=status, content_type="application/merge-patch+json")
    client.patch("v1", "Node", "roomy", {"spec": {"taints": None}})
    yield
    client.delete("v1", "Node", "roomy")


@pytest.mark.usefixtures("room_for_some")
def test_a_teacher_makes_a_class(plane: ControlPlane, client: Client, console: Console) -> None:
    """From the form to keys that work, which the teacher takes along; and a class has room in it or is none."""
    code = console.database.console.invite("Anna Nowak", ConsoleRole.TEACHER, seconds=600)

    async def go() -> tuple[str, bytes]:
        browser = Browser(console)
        assert (await browser.send("POST", "/sign-in", data={"code": code})).status_code == 303
        token = security.form_token(browser.token)
        fields = {"token": token, "name": "cmade", "roster": "Jan Kowalski\r\nEwa Żak", "size": "large", "days": "9"}
        many = "\r\n".join(f"Jan {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        refused = await browser.send("POST", "/classes/new", data=fields | {"roster": many})
        assert refused.status_code == 400
        assert "but the nodes have" in html.unescape(refused.text)
        shown = await browser.send("POST", "/classes/new", data=fields | {"size": "tiny"})
        assert shown.status_code == 200, shown.text
        assert "cmade-jan-kowalski" in shown.text
        assert record.load(plane.lab_state, "cmade") is None
        begun = await browser.send("POST", "/classes/make", data=fields | {"size": "tiny"})
        assert begun.status_code == 303, begun.text
        place = begun.headers["location"]
        await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")
        came = (await browser.send("GET", place)).text
        assert (await browser.send("GET", "/class/cmade")).status_code == 200, came
        return came, (await browser.send("POST", "/class/cmade/handouts", data={"token": token})).content

    came, content = asyncio.run(go())
    assert "confirmed: <strong>1</strong>" in came
    found = record.need(plane.lab_state, "cmade")
    assert ([one.name for one in found.teachers], found.size_name) == (["Anna Nowak"], "tiny")
    assert found.out == str(plane.lab_state.handouts / "cmade")
    names = set(zipfile.ZipFile(io.BytesIO(content)).namelist())
    assert any(name.endswith("jan-kowalski.kubeconfig") for name in names), names
    assert any(name.endswith("ewa-zak.pl.html") for name in names), names
    assert {path.stat().st_mode & 0o777 for path in plane.lab_state.handouts.rglob("*") if path.is_file()} == {0o600}
    assert (plane.lab_state.handouts / "cmade").stat().st_mode & 0o777 == 0o700
    assert own(client, found).list("v1", "Pod", namespace=found.namespace(found.students[0])) == []


def own(client: Client, found: Class, number: int = 0) -> Client:
    """The API as a student of a class uses it, by the handout as it is now."""
    return client.with_token(handouts.held(found)[found.students[number].key], patience=5)


def test_suspend_restore_replace_empty_and_extend(
    plane: ControlPlane, client: Client, console: Console, tmp_path: Path
) -> None:
    found = make(plane, client, "cpage", tmp_path / "handouts")
    jan, space = found.students[0].label, found.namespace(found.students[0])
    ewa = own(client, found, 1)

    assert "confirmed: <strong>1</strong>" in do(console, "cpage", f"action=suspend&student={jan}")
    until_refused(own(client, found), space)
    assert ewa.list("v1", "Pod", namespace=found.namespace(found.students[1])) == []
    assert "confirmed: <strong>1</strong>" in do(console, "cpage", "action=resume&all=1")
    student = own(client, found)
    assert student.until("the right again", lambda: _may(student, space))

    student.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "work", "namespace": space}})
    assert "confirmed: <strong>1</strong>" in do(console, "cpage", f"action=reset&student={jan}")
    names = {one["metadata"]["name"] for one in client.list("v1", "ConfigMap", namespace=space)}
    assert "work" not in names

    assert "confirmed: <strong>1</strong>" in do(console, "cpage", f"action=rotate&student={jan}")
    until_refused(student, space)
    now = record.need(plane.lab_state, "cpage")
    assert own(client, now).list("v1", "Pod", namespace=space) == []

    assert "confirmed: <strong>1</strong>" in do(console, "cpage", "action=extend&days=90")
    end = record.need(plane.lab_state, "cpage").expires
    assert abs(end - record.now() - timedelta(days=90)) < timedelta(minutes=5)


def _may(student: Client, space: str) -> bool | None:
    review = {"resourceAttributes": {"namespace": space, "verb": "create", "resource": "configmaps"}}
    answer = student.create(
        {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
         "spec": review}
    )  # fmt: skip
    return answer["status"]["allowed"] or None


def test_what_the_command_says_against_it_is_on_the_page(
    plane: ControlPlane, client: Client, console: Console, tmp_path: Path
) -> None:
    found = make(plane, client, "cover", tmp_path / "handouts")
    record.save(plane.lab_state, found.model_copy(update={"expires": record.now() - timedelta(days=1)}))
    page = html.unescape(do(console, "cover", "action=resume&all=1"))
    assert "unknown: <strong>1</strong>" in page
    assert "nodisk class extend cover" in page
