"""What a request wants of the class registry, who may have it, and how full the registry is."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import string
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.test_class_registry_disk import blob, link

from nodisk import run
from nodisk.errors import CommandFailed
from nodisk.pki.authority import Authority
from nodisk.plan.daemons_nginx import REASON
from nodisk.records.database import Database
from nodisk.server import class_registry, class_registry_disk, class_registry_garbage
from nodisk.server.app import application
from nodisk.server.class_registry import Asked, Away, Right, Rights, asked, token_of
from nodisk.server.class_registry_disk import Fullness
from nodisk.server.class_registry_garbage import Changes
from nodisk.server.class_registry_mount import Mounted
from nodisk.server.handlers.common import AppState
from nodisk.server.texts import Texts
from nodisk.spec.model import Lab
from nodisk.spec.model_class_registry import ClassRegistry
from nodisk.state import State
from nodisk.storage import class_registry as storage
from nodisk.storage.class_registry import Room
from nodisk.values import Size

DIGEST = "sha256:" + "a" * 64
PULL, PUSH = Right.PULL, Right.PUSH


@pytest.mark.parametrize(
    ("method", "uri", "wanted"),
    [
        ("GET", "/v2/", Asked(None, PULL)),
        ("GET", "/v2/k8s-anna/web/manifests/1.0", Asked("k8s-anna", PULL)),
        ("HEAD", f"/v2/k8s-anna/a/b__c/blobs/{DIGEST}?ns=x", Asked("k8s-anna", PULL)),
        ("GET", "/v2/k8s-anna/web/tags/list?n=5", Asked("k8s-anna", PULL)),
        ("GET", "/v2/k8s-anna/manifests/manifests/manifests", Asked("k8s-anna", PULL)),
        ("POST", "/v2/k8s-anna/web/blobs/uploads/", Asked("k8s-anna", PUSH, adds=True)),
        ("PATCH", "/v2/k8s-anna/web/blobs/uploads/0b1c-2?_state=%3D%2F", Asked("k8s-anna", PUSH, adds=True)),
        ("PUT", "/v2/k8s-anna/web/manifests/1", Asked("k8s-anna", PUSH, adds=True)),
        ("DELETE", f"/v2/k8s-anna/web/manifests/{DIGEST}", Asked("k8s-anna", PUSH)),
        (
            "POST",
            f"/v2/k8s-anna/web/blobs/uploads/?mount={DIGEST}&from=k8s-jan%2Fweb",
            Asked("k8s-anna", PUSH, "k8s-jan", adds=True),
        ),
        ("POST", "/v2/k8s-anna/web/blobs/uploads/?from=k8s-jan%2F..%2Fweb", None),
        ("POST", "/v2/k8s-anna/web/blobs/uploads/?from=k8s-anna/a&from=k8s-jan/b", None),
        ("POST", "/v2/k8s-anna/web/blobs/uploads/?from=web", None),
        ("POST", "/v2/", None),
        ("GET", "/v2", None),
        ("GET", "/v2/_catalog", None),
        ("GET", "/v2/web/manifests/1", None),
        ("GET", "/v2/k8s-anna/../k8s-jan/web/manifests/1", None),
        ("GET", "/v2/k8s-anna/%2e%2e/k8s-jan/web/manifests/1", None),
        ("GET", "/v2//k8s-anna/web/manifests/1", None),
        ("GET", "/v2/k8s-anna/web/manifests/1/", None),
        ("GET", "http://other/v2/k8s-anna/web/manifests/1", None),
        ("TRACE", "/v2/k8s-anna/web/manifests/1", None),
        ("GET", f"/v2/k8s-anna/{'a' * 600}/manifests/1", None),
        ("GET", f"/v2/{'a' * 64}/web/manifests/1", None),
    ],
)
def test_what_is_asked(method: str, uri: str, wanted: Asked | None) -> None:
    assert asked(method, uri) == wanted


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", ""]),
    st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(
                ["", ".", "..", "%2e", "a", "ns-1", "manifests", "blobs", "uploads", "tags", "list", DIGEST]
            )
        ).map(lambda parts: "/v2/" + "/".join(parts)),
    ),
)
def test_a_path_that_passes_is_in_the_namespace_that_is_asked_for(method: str, uri: str) -> None:
    """However it is normalised later."""
    found = asked(method, uri)
    if found is not None and found.namespace is not None:
        parts = uri.partition("?")[0].split("/")
        assert parts[:3] == ["", "v2", found.namespace]
        assert not {"", ".", ".."} & set(parts[1:-1])
        assert set(uri.partition("?")[0]) <= set(string.ascii_letters + string.digits + "/.:_=-")


@given(st.text())
def test_credentials_of_any_kind_are_read(text: str) -> None:
    token = token_of(text)
    assert token is None or token.isascii()


def test_the_password_is_the_token() -> None:
    def basic(text: str) -> str:
        return "Basic " + base64.b64encode(text.encode()).decode()

    token = "eyJhbGciOiJSUzI1NiJ9.eyJ.x-_"
    assert token_of(basic(f"anna:{token}")) == token
    assert token_of(basic(f":{token}").replace("Basic", "basic")) == token
    for bad in ("", f"Bearer {token}", basic("anna"), basic("anna:short"), basic(f"anna:{token}\n"), "Basic %%%"):
        assert token_of(bad) is None


TOKEN = "t" * 40


@dataclass
class Api:
    """An API server's answers to reviews, what it was asked, and the clock."""

    may: set[tuple[str, str]] = field(default_factory=set)
    status: int = 201
    body: Any = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    now: float = 0.0
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    """Those that it knows."""

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        attributes = json.loads(request.content)["spec"]["resourceAttributes"]
        assert attributes["resource"] == "pods"
        self.asked.append((attributes["namespace"], attributes["verb"]))
        if request.headers["Authorization"].removeprefix("Bearer ") not in self.tokens:
            return httpx2.Response(401)
        allowed = self.asked[-1] in self.may
        return httpx2.Response(self.status, json=self.body or {"status": {"allowed": allowed}})

    def rights(self) -> Rights:
        http = httpx2.AsyncClient(base_url="https://api", transport=httpx2.MockTransport(self.answer))
        return Rights(http, clock=lambda: self.now)


def test_an_answer_is_kept_for_a_while() -> None:
    api = Api(may={("anna", "create")})
    rights = api.rights()

    async def scenario() -> None:
        assert not rights.known(TOKEN, "anna", PUSH)
        assert await rights.may(TOKEN, "anna", PUSH) is True
        assert rights.known(TOKEN, "anna", PUSH)
        assert await rights.may(TOKEN, "anna", PULL) is False
        api.may.clear()
        assert await rights.may(TOKEN, "anna", PUSH) is True
        api.now += class_registry.KEEP
        assert await rights.may(TOKEN, "anna", PUSH) is False

    asyncio.run(scenario())
    assert api.asked == [("anna", "create"), ("anna", "get"), ("anna", "create")]


@pytest.mark.parametrize("body", [{"status": {}}, {"status": None}, {}, [], "x", {"status": {"allowed": "true"}}])
def test_nothing_but_true_is_a_right(body: Any) -> None:
    api = Api(body=body)
    with contextlib.suppress(Away):
        assert asyncio.run(api.rights().may(TOKEN, "anna", PUSH)) is False


def test_an_api_server_that_is_away_or_does_not_know_the_token() -> None:
    for status, outcome in ((401, None), (403, None), (500, Away), (429, Away), (200, Away)):
        rights = Api(status=status).rights()
        if outcome is None:
            assert asyncio.run(rights.may(TOKEN, "anna", PULL)) is None
        else:
            with pytest.raises(Away):
                asyncio.run(rights.may(TOKEN, "anna", PULL))
            assert not rights.known(TOKEN, "anna", PULL)


@dataclass
class Door:
    """The application with a registry, and its answers as nginx gets them."""

    app_state: AppState
    api: Api

    def get(self, path: str, headers: dict[str, str]) -> httpx2.Response:
        async def request() -> httpx2.Response:
            transport = httpx2.ASGITransport(application(self.app_state))
            async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
                return await client.get(path, headers=headers)

        return asyncio.run(request())

    def ask(self, method: str, uri: str, *, token: str = "", address: str = "10.77.0.99") -> tuple[int, str]:
        headers = {"X-Original-Method": method, "X-Original-URI": uri, "X-Real-IP": address}
        if token:
            headers["Authorization"] = "Basic " + base64.b64encode(f"anna:{token}".encode()).decode()
        answer = self.get("/class-registry/asked", headers)
        return answer.status_code, answer.headers.get(REASON, "")

    def failed(self) -> tuple[int, str, str]:
        answer = self.get("/class-registry/failed", {})
        (error,) = answer.json()["errors"]
        return answer.status_code, error["code"], error["message"]


MACHINES = [{"name": "cp1", "mac": "52:54:00:77:00:15", "address": "10.77.0.21", "role": "control-plane"}]
LAB = Lab.model_validate(
    {"name": "room", "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"}, "machines": MACHINES}
)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    texts = cast("Texts", SimpleNamespace(lab=LAB))
    app_state = AppState(texts, cast("Authority", None), Database(tmp_path / "nodisk.db"))
    api = Api(may={("anna", "create"), ("anna", "get")})
    app_state.class_rights = api.rights()
    app_state.class_fullness = Fullness(ClassRegistry(size=Size(100), per_namespace=Size(100)), tmp_path)
    return Door(app_state, api)


def test_the_door_of_the_registry(door: Door) -> None:
    web = "/v2/anna/web/manifests/1"
    assert door.ask("GET", web, address="10.77.0.21") == (204, ""), "a machine of the lab"
    assert door.ask("PUT", web, address="10.77.0.21")[0] == 401
    status, why = door.ask("GET", web)
    assert (status, "docker login" in why) == (401, True)
    assert door.ask("GET", web, token=TOKEN) == (204, "")
    assert door.ask("PUT", web, token=TOKEN) == (204, "")
    assert door.ask("GET", "/v2/", token=TOKEN) == (204, "")
    assert door.ask("PUT", web.replace("anna", "jan"), token=TOKEN) == (403, "you may not push to jan")
    assert door.ask("GET", web.replace("anna", "jan"), token=TOKEN) == (403, "you may not pull from jan")
    mount = "/v2/anna/web/blobs/uploads/?mount=x&from="
    assert door.ask("POST", mount + "anna/other", token=TOKEN) == (204, "")
    assert door.ask("POST", mount + "jan/other", token=TOKEN) == (403, "you may not pull from jan")
    assert door.ask("GET", "/v2/_catalog", token=TOKEN)[0] == 403


def test_a_push_is_noted_and_waits_for_the_end_of_a_collection(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    changes = door.app_state.class_changes = Changes(clock=lambda: now)

    def noted() -> bool:
        """Whether a change was, and now that it is too long ago for the next question."""
        nonlocal now
        now += class_registry_garbage.QUIET
        found = changes.due()
        now += class_registry_garbage.YOUNG
        with changes.held():
            pass
        return found

    web = "/v2/anna/web/manifests/1"
    assert door.ask("GET", web, token=TOKEN)[0] == 204
    assert door.ask("PUT", web.replace("anna", "jan"), token=TOKEN)[0] == 403
    assert not noted(), "nothing was changed"
    for method in ("PUT", "DELETE"):
        assert door.ask(method, web, token=TOKEN)[0] == 204
        assert noted()
    monkeypatch.setattr(class_registry_garbage, "PATIENCE", 0.01)
    with changes.held():
        assert door.ask("GET", web, token=TOKEN)[0] == 204
        assert door.ask("PUT", web, token=TOKEN) == (403, "the registry is being tidied: try again in a minute")
    assert not noted()


def test_a_token_that_nobody_knows_and_an_api_that_is_away(door: Door) -> None:
    door.api.status = 401
    assert door.ask("GET", "/v2/", token=TOKEN)[0] == 401
    door.api.now += class_registry.KEEP
    door.api.status = 503
    status, why = door.ask("GET", "/v2/", token=TOKEN)
    assert (status, "does not answer" in why) == (403, True)


MANY = "too many requests: try again in a minute"


def test_nobody_asks_the_api_server_without_end(door: Door) -> None:
    reasons = [door.ask("GET", f"/v2/n{number}/web/manifests/1", token=TOKEN)[1] for number in range(100)]
    assert MANY in reasons
    assert len(door.api.asked) < 80
    assert door.ask("GET", "/v2/n0/web/manifests/1", token=TOKEN)[1] == "you may not pull from n0", "it is known"


def test_a_class_behind_one_address_has_room_and_a_guesser_has_none(door: Door) -> None:
    def token(number: int) -> str:
        return f"{number:040}"

    door.api.tokens = {token(number) for number in range(100)}
    assert {door.ask("GET", "/v2/", token=token(number))[0] for number in range(100)} == {204}
    guesses = [door.ask("GET", "/v2/", token=token(number), address="10.77.0.66") for number in range(200, 300)]
    assert {status for status, _ in guesses} == {401, 403}
    assert guesses[-1][1] == MANY
    assert door.ask("GET", "/v2/", token=token(100), address="10.77.0.67")[0] == 401
    door.api.now += class_registry.KEEP
    assert door.ask("GET", "/v2/", token=token(7), address="10.77.0.66")[0] == 204, "who is known isn't kept out"
    assert len(door.api.asked) < 180


def test_what_is_full_takes_nothing_and_gives(door: Door, tmp_path: Path) -> None:
    blob(tmp_path, "1" * 64, 100)
    link(tmp_path, "anna/web", "1" * 64)
    status, why = door.ask("POST", "/v2/anna/web/blobs/uploads/", token=TOKEN)
    assert (status, "have taken all" in why) == (403, True)
    assert door.ask("GET", "/v2/anna/web/manifests/1", token=TOKEN)[0] == 204
    assert door.ask("DELETE", "/v2/anna/web/manifests/1", token=TOKEN)[0] == 204


def test_what_is_said_of_a_request_that_failed(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = (500, "UNKNOWN", "the registry could not do that: its log on the server says why")
    assert door.failed() == unknown
    monkeypatch.setattr(class_registry_disk, "LEAST", 1 << 62)
    assert door.failed() == (403, "DENIED", "the registry is full: 100")
    limits = ClassRegistry(size=Size(100), per_namespace=Size(100))
    door.app_state.class_fullness = Fullness(limits, tmp_path, trouble="it is out of order")
    assert door.failed() == (503, "UNAVAILABLE", "it is out of order")
    assert door.ask("PUT", "/v2/anna/web/manifests/1", token=TOKEN) == (403, "it is out of order")
    door.app_state.class_fullness = None
    assert door.failed() == unknown


def test_a_registry_without_a_file_system_keeps_no_room_from_booting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, said, ran = State(tmp_path).lab("room"), list[str](), list[str]()
    state.root.mkdir(parents=True)
    limits = ClassRegistry(size=Size(16 << 20), per_namespace=Size(1 << 20))
    failing = True

    def fake(argv: Sequence[str | Path], **_: Any) -> None:
        ran.append(str(argv[0]))
        if failing and argv[0] == "mount":
            raise CommandFailed([str(argv[0])], 1, "no loop device")

    async def serve(lab: Lab) -> Fullness | None:
        mounted = Mounted(state, said.append)
        await mounted.take(lab)
        assert mounted.suits(lab)
        found = mounted.fullness
        assert mounted.works is (found is not None and not found.trouble)
        await mounted.close()
        return found

    monkeypatch.setattr(run, "run", fake)
    assert asyncio.run(serve(LAB)) is None
    assert ran == []
    found = asyncio.run(serve(LAB.model_copy(update={"class_registry": limits})))
    assert found is not None
    assert "ask your teacher" in found.trouble
    assert len(said) == 1
    failing = False
    found = asyncio.run(serve(LAB.model_copy(update={"class_registry": limits})))
    assert found is not None
    assert (found.trouble, found.limits, len(said)) == ("", limits, 1)
    smaller = limits.model_copy(update={"size": Size(12 << 20)})
    found = asyncio.run(serve(LAB.model_copy(update={"class_registry": smaller})))
    assert found is not None
    assert found.limits == limits, "what it has"
    assert said[1:] == ["class registry: it has 16Mi and can't shrink to 12Mi: it stays as it is"]


def test_no_file_system_is_taken_away_from_under_a_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether lab.yaml changes meanwhile or the server ends, which cancels it."""
    state, ran = State(tmp_path).lab("room"), list[str]()
    limits = ClassRegistry(size=Size(16 << 20), per_namespace=Size(1 << 20))
    begun, end = threading.Event(), threading.Event()

    def tidy(*_: object) -> None:
        ran.append("tidy")
        begun.set()
        assert end.wait(60)
        ran.append("tidied")

    def unmount(_: object) -> str:
        ran.append("unmount")
        return ""

    async def serve(*, cancelled: bool) -> None:
        mounted = Mounted(state, ran.append)
        await mounted.collect(tmp_path / "none.yaml")
        assert "tidy" not in ran, "there is no file system yet"
        await mounted.take(LAB.model_copy(update={"class_registry": limits}))
        ran.clear()
        collecting = asyncio.create_task(mounted.collect(tmp_path / "none.yaml"))
        await asyncio.to_thread(begun.wait, 60)
        changing = asyncio.create_task(mounted.take(LAB))
        if cancelled:
            collecting.cancel()
        done, _ = await asyncio.wait([changing], timeout=0.05)
        assert not done
        end.set()
        await asyncio.gather(collecting, changing, return_exceptions=True)

    monkeypatch.setattr(storage, "mount", lambda _, size: Room(size, 0, 0, 1 << 40))
    monkeypatch.setattr(storage, "unmount", unmount)
    monkeypatch.setattr(class_registry_disk, "tidy", tidy)
    for cancelled in (False, True):
        begun.clear()
        end.clear()
        ran.clear()
        asyncio.run(serve(cancelled=cancelled))
        assert ran == ["tidy", "tidied", "unmount"]
