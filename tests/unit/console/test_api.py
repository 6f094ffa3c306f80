"""The console's API: who may ask, what it answers by its own description, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from tests.support.waits import LONG
from tests.unit.console.consoles import Browser, Room
from tests.unit.console.test_classes import class_

from nodisk.cli import nodisk
from nodisk.console import api_document, security
from nodisk.console.api import ENDPOINTS
from nodisk.console.api_bodies import Body
from nodisk.console.api_endpoint import Endpoint
from nodisk.console.errands import Errands
from nodisk.console.orders import AnyOrder
from nodisk.console.rights import may
from nodisk.records.console_access import ConsoleRole
from nodisk.records.door import code_digest
from nodisk.server.own_command import Ended
from nodisk.values import Mac, Stage
from nodisk.waiting import Deadline

AGAIN = "run: python -m nodisk.console.api_document"
DOCUMENT = api_document.document()


def program(room: Room, role: ConsoleRole = ConsoleRole.ADMIN, name: str = "script") -> dict[str, str]:
    """The headers of a program with a token of its own."""
    token = room.database.console.issue(name, role, seconds=60)
    return {"Accept": "*/*", "Authorization": f"Bearer {token}"}


def valid(answer: Any, path: str, status: int = 200, method: str = "get") -> Any:
    """The answer's JSON, which is as the document says."""
    assert answer.status_code == status, answer.text
    responses = DOCUMENT["paths"][path][method]["responses"]
    schema = responses.get(str(status), responses["default"])["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json(), schema | {"components": DOCUMENT["components"]})
    return answer.json()


async def ended(browser: Browser, headers: dict[str, str], order: Any) -> Any:
    """What the API says of an order once it is done."""
    deadline = Deadline(LONG)
    while not order["done"]:
        assert await deadline.pause_async(0.01), order
        answer = await browser.send("GET", f"/api/orders/{order['number']}", headers=headers)
        order = valid(answer, "/api/orders/{number}")
    return order


def test_the_page_of_the_documentation_is_what_it_is() -> None:
    assert Path("docs/reference/console-api.json").read_text() == api_document.text(), AGAIN


def test_the_document_is_one_of_openapi(room: Room) -> None:
    assert room.browser().get("/api/openapi.json").json() == DOCUMENT
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(DOCUMENT)
    for name in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert name in DOCUMENT["components"]["schemas"]
    operations = [one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()]
    assert len(set(operations)) == len(operations) == len(ENDPOINTS)


def test_what_is_told(room: Room) -> None:
    room.report(Stage.ROOTFS)
    room.database.sightings.see(Mac.parse("8c:ec:4b:00:00:05"), said={"product": "OptiPlex"})
    class_(room, "physics", "Anna Nowak")
    browser, headers = room.browser(), program(room)
    status = valid(browser.get("/api/status", headers=headers), "/api/status")
    assert next(one["stage"] for one in status["machines"] if one["name"] == "w1") == "rootfs"
    (event,) = valid(browser.get("/api/events", headers=headers), "/api/events")["events"]
    assert event["stage"] == "rootfs"
    assert valid(browser.get("/api/events?alarms=1", headers=headers), "/api/events") == {"events": []}
    (machine,) = valid(browser.get("/api/unknown", headers=headers), "/api/unknown")["machines"]
    assert (machine["mac"], machine["product"], machine["ignored"]) == ("8c:ec:4b:00:00:05", "OptiPlex", False)
    (found,) = valid(browser.get("/api/classes", headers=headers), "/api/classes")["classes"]
    assert (found["name"], found["students"], found["teachers"]) == ("physics", 2, ["Anna Nowak"])
    whole = valid(browser.get("/api/classes/physics", headers=headers), "/api/classes/{name}")
    assert [one["namespace"] for one in whole["members"]] == ["physics-jan-kowalski", "physics-ewa-zak"]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
def test_each_is_for_those_who_have_the_right(room: Room, endpoint: Endpoint) -> None:
    class_(room, "physics", "script")
    path = endpoint.path.format(name="physics", number="none", mac="8c:ec:4b:00:00:05")
    for role in ConsoleRole:
        answer = asyncio.run(room.browser().send(endpoint.method, path, headers=program(room, role)))
        assert (answer.status_code == 403) == (not may(role, endpoint.right)), role
    for headers in (
        {"Accept": "*/*"},
        {"Accept": "*/*", "Authorization": "Bearer x"},
        {"Accept": "*/*", "Authorization": "Basic " + program(room)["Authorization"]},
    ):
        answer = asyncio.run(room.browser().send(endpoint.method, path, headers=headers))
        valid(answer, endpoint.path, 401, endpoint.method.lower())


def test_a_token_is_for_the_api_alone(room: Room) -> None:
    headers = program(room)
    assert room.browser().get("/", headers=headers).status_code == 401
    token = headers["Authorization"].split()[1]
    cookies = {security.cookie_name(room.console.lab): token}
    assert room.browser(cookies=cookies).get("/api/status", headers={"Accept": "*/*"}).status_code == 401
    # And a browser's session is no token.
    signed_in = room.browser().sign_in()
    wrong = {"Accept": "*/*", "Authorization": f"Bearer {signed_in.token}"}
    assert room.browser().get("/api/status", headers=wrong).status_code == 401
    assert room.database.console.revoke("script") == 1
    assert room.browser().get("/api/status", headers=headers).status_code == 401


def _service_account_token() -> str:
    """A ServiceAccount's token as an API server signs it (RFC 7519), with a key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    claims = {
        "iss": "https://kubernetes.default.svc",
        "sub": "system:serviceaccount:physics:jan-kowalski-1",
        "aud": ["https://kubernetes.default.svc"],
        "exp": 2_000_000_000,
    }
    parts = [json.dumps(one).encode() for one in ({"alg": "ES256", "kid": "x", "typ": "JWT"}, claims)]
    text = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    signature = base64.urlsafe_b64encode(key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))).decode().rstrip("=")
    return f"{text}.{signature}"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
def test_what_students_and_pods_have_opens_none_of_it(room: Room, endpoint: Endpoint) -> None:
    """A session of the students' door, and a ServiceAccount's token: each as a program's token and as a cookie."""
    room.console.errands = Errands(_refuse)
    found = class_(room, "physics")
    door, jan = room.database.door, found.students[0].key
    digest = code_digest("ABCD2345", door.salted(found.name))
    door.issue(found.name, {jan: digest}, ends=room.database.now() + 60)
    session = door.enter_first(found.name, jan, digest, "00:kept", credential=1)
    assert session is not None
    assert door.session(session) is not None
    path = endpoint.path.format(name="physics", number="none", mac="8c:ec:4b:00:00:05")
    for token in (session, _service_account_token()):
        bearer = {"Accept": "*/*", "Authorization": f"Bearer {token}"}
        valid(
            asyncio.run(room.browser().send(endpoint.method, path, headers=bearer)),
            endpoint.path,
            401,
            endpoint.method.lower(),
        )
        for name in (security.cookie_name(room.console.lab), security.door_cookie_name(room.console.lab)):
            browser = room.browser(cookies={name: token})
            answer = asyncio.run(browser.send(endpoint.method, path, headers={"Accept": "*/*"}))
            valid(answer, endpoint.path, 401, endpoint.method.lower())
            assert browser.get("/").status_code == 303


async def _refuse(order: AnyOrder) -> Ended:
    raise AssertionError("nothing must be run")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/switch", {"action": "off", "all": True}),
        ("/api/classes/physics/change", {"action": "suspend", "all": True}),
    ],
)
def test_a_browser_s_session_changes_nothing_here(room: Room, path: str, body: dict[str, Any]) -> None:
    """Another site can make a browser send a request with its cookie; a token it can't know."""
    class_(room, "physics")
    room.console.errands = Errands(_refuse)
    assert room.browser().sign_in().post(path, json=body).status_code == 401


def test_an_order_and_what_came_of_it(room: Room) -> None:
    answer = '{"machines": [{"name": "w1", "outcome": "confirmed", "detail": "was seen"}]}'

    async def run(order: AnyOrder) -> Ended:
        return Ended(0, answer, "")

    room.console.errands = Errands(run)
    headers = program(room)
    class_(room, "physics")

    async def do(browser: Browser, path: str, shape: str, body: dict[str, Any]) -> Any:
        begun = await browser.send("POST", path, headers=headers, json=body)
        order = valid(begun, shape, 202, "post")
        assert begun.headers["location"] == f"/api/orders/{order['number']}"
        return await ended(browser, headers, order)

    browser = room.browser()
    order = asyncio.run(do(browser, "/api/switch", "/api/switch", {"action": "off", "machines": ["w1"]}))
    assert (order["command"], order["by"]) == ("nodisk power off w1", "script (admin)")
    assert order["came"] == [{"name": "w1", "outcome": "confirmed", "detail": "was seen"}]
    path, shape = "/api/classes/physics/change", "/api/classes/{name}/change"
    order = asyncio.run(do(browser, path, shape, {"action": "extend", "days": 30}))
    assert order["command"] == "nodisk class extend physics --days 30"
    assert order["came"] == [{"name": "physics", "outcome": "confirmed", "detail": ""}]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{",
        '{"action": "rm", "all": true}',
        '{"action": "off"}',
        '{"action": "off", "machines": "w1"}',
        '{"action": "off", "machines": ["none"]}',
        '{"action": "off", "all": 1}',
        '{"action": "off", "all": true, "more": 1}',
        '{"action": "off", "row": "1"}',
    ],
)
def test_what_is_no_order(room: Room, body: str) -> None:
    room.console.errands = Errands(_refuse)
    answer = room.browser().post("/api/switch", headers=program(room), content=body)
    assert valid(answer, "/api/switch", 400, "post")["error"]
    assert room.browser().post("/api/switch", headers=program(room), content="x" * 70000).status_code == 413


KEYS = st.sampled_from(
    ["action", "all", "days", "entry", "machines", "name", "note", "roster", "row", "seat", "students", "text"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["off", "once", "suspend", "broken", "ignore", "codes"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


SHAPES: tuple[type[Body], ...] = tuple(one.body for one in ENDPOINTS if one.body is not None)


@given(st.sampled_from(SHAPES), VALUES)
def test_what_is_taken_is_what_the_document_says(shape: type[Body], value: object) -> None:
    schema = DOCUMENT["components"]["schemas"][shape.__name__] | {"components": DOCUMENT["components"]}
    try:
        shape.model_validate_json(json.dumps(value))
    except ValueError:
        taken = False
    else:
        taken = True
    assert taken == jsonschema.Draft202012Validator(schema).is_valid(value)


def test_a_token_by_command(room: Room, tmp_path: Path) -> None:
    where = ["--lab", str(tmp_path / "lab.yaml"), "--state", str(tmp_path / "state")]
    words = ["console", "token", "dashboard", "--role", "viewer", "--for", "90d", *where]
    found = json.loads(CliRunner().invoke(nodisk, [*words, "-o", "json"]).stdout)
    assert found["api"].endswith("/api")
    session = room.database.console.bearer(found["token"])
    assert session is not None
    assert (session.name, session.role) == ("dashboard", ConsoleRole.VIEWER)
    assert CliRunner().invoke(nodisk, words).stdout.strip() not in ("", found["token"])
    listed = json.loads(CliRunner().invoke(nodisk, ["console", "list", "-o", "json", *where]).stdout)
    assert [(one["name"], one["state"]) for one in listed["access"]] == [("dashboard", "token")] * 2
    for wrong in (["token", " "], ["token", "x", "--for", "400d"]):
        assert CliRunner().invoke(nodisk, ["console", *wrong, *where]).exit_code != 0
