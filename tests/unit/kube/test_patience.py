"""What the transport tries again, for how long, and what it says; the real API server's part is tests/api."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from tests.support.api_answers import Api, client

from nodisk.errors import TimedOut
from nodisk.kube.client import Client
from nodisk.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound, Overloaded, Unreachable

POD: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "a"}}


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.monotonic", made.monotonic)
    monkeypatch.setattr("time.sleep", made.sleep)
    return made


RESET = httpx2.ReadError("Connection reset by peer")
REFUSED = httpx2.ConnectError("Connection refused")
EOF = httpx2.RemoteProtocolError("peer closed connection without sending complete message body")
BUSY = (503, {"message": "apiserver not ready"}, {"Retry-After": "1"})
MANY = (429, {"message": "too many requests"}, {"Retry-After": "1"})
LEADER = (500, {"message": "etcdserver: leader changed"})
SLOW = (504, {"reason": "Timeout", "message": "Timeout: request did not complete within 1m0s"})
NO_ACCOUNT = (403, {"message": 'pods "one" is forbidden: error looking up service account a/default: not found'})
UNCOUNTED = (403, {"message": 'pods "one" is forbidden: status unknown for quota: student, resources: pods'})
QUOTA_RACE = (409, {"reason": "Conflict", "message": "modified", "details": {"kind": "resourcequotas", "name": "q"}})
EXISTS = (409, {"reason": "AlreadyExists", "message": "exists"})
MISSING = (404, {"reason": "NotFound", "message": "not found"})


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("fault", [RESET, REFUSED, EOF, BUSY, MANY, LEADER, SLOW, NO_ACCOUNT, UNCOUNTED, QUOTA_RACE])
def test_whatever_passes_is_waited_for(fault: Any) -> None:
    acts: list[Callable[[Client], object]] = [
        lambda c: c.get("v1", "Pod", "one", namespace="a"),
        lambda c: c.create(POD),
        lambda c: c.apply(POD),
        lambda c: c.replace(POD),
        lambda c: c.patch("v1", "Pod", "one", {}, namespace="a"),
        lambda c: c.delete("v1", "Pod", "one", namespace="a"),
    ]
    for act in acts:
        api = Api(fault, fault, (200, POD))
        assert act(client(api)) in (POD, True)
        assert len(api.seen) == 3


@pytest.mark.usefixtures("clock")
def test_what_an_earlier_try_did_is_no_failure() -> None:
    ours = POD | {"metadata": POD["metadata"] | {"managedFields": [{"manager": "nodisk"}]}}
    assert client(Api(RESET, EXISTS, (200, ours))).create(POD) == ours
    with pytest.raises(AlreadyExists):
        client(Api(RESET, EXISTS, (200, POD))).create(POD)
    assert client(Api(SLOW, MISSING)).delete("v1", "Pod", "one", namespace="a") is True
    assert client(Api(MISSING)).delete("v1", "Pod", "one", namespace="a") is False
    changed = (409, {"reason": "Conflict", "message": "the object has been modified"})
    assert client(Api(RESET, changed, (200, POD | {"status": {"phase": "Running"}}))).replace(POD)["status"]
    with pytest.raises(Conflict):
        client(Api(RESET, changed, (200, POD | {"spec": {"another": "one"}}))).replace(POD)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("unsent", [REFUSED, MANY])
def test_what_no_try_can_have_done_is_another_s(unsent: Any) -> None:
    with pytest.raises(AlreadyExists):
        client(Api(unsent, EXISTS)).create(POD)


@pytest.mark.usefixtures("clock")
def test_a_generated_name_is_sent_once() -> None:
    api = Api(RESET)
    with pytest.raises(Unreachable):
        client(api).create(POD | {"metadata": {"generateName": "one-", "namespace": "a"}})
    assert len(api.seen) == 1


@pytest.mark.usefixtures("clock")
def test_a_refusal_is_final() -> None:
    api = Api((403, {"message": "forbidden: User cannot list pods"}))
    with pytest.raises(Forbidden):
        client(api).list("v1", "Pod")
    assert len(api.seen) == 1


def test_patience_counts_from_the_first_failure_and_is_shared(clock: Clock) -> None:
    """An answer that took a minute to fail is tried again; an API that has been away for long isn't waited for anew."""
    api = Api(SLOW)
    made = client(api, patience=60)
    began = clock.now
    with pytest.raises(Overloaded):
        made.get("v1", "Pod", "one", namespace="a")
    assert 50 < clock.now - began <= 60
    began = clock.now
    with pytest.raises(Overloaded):
        made.get("v1", "Pod", "two", namespace="a")
    assert clock.now - began < 3
    api.answers = [MISSING]
    with pytest.raises(NotFound):
        made.get("v1", "Pod", "two", namespace="a")
    api.answers, began = [SLOW], clock.now
    with pytest.raises(Overloaded):
        made.get("v1", "Pod", "two", namespace="a")
    assert clock.now - began > 50, "after an answer, patience begins anew"


def test_a_limit_ends_all_waiting(clock: Clock) -> None:
    made = client(Api(BUSY), patience=60, within=5)
    began = clock.now
    with pytest.raises(Overloaded):
        made.get("v1", "Pod", "one", namespace="a")
    assert clock.now - began <= 5


@pytest.mark.usefixtures("clock")
def test_it_is_said_what_is_waited_for() -> None:
    said: list[str] = []
    client(Api(RESET, (200, POD)), say=said.append).get("v1", "Pod", "one", namespace="a")
    assert said == []
    client(Api(*[BUSY] * 8, (200, POD)), patience=60, say=said.append).get("v1", "Pod", "one", namespace="a")
    assert len(said) == 2
    assert "apiserver not ready; retrying for up to" in said[0]
    assert said[1] == "the API is back"


def test_what_a_young_cluster_makes_is_waited_for(clock: Clock) -> None:
    said: list[str] = []
    made = client(Api(*[(200, POD)] * 9), patience=20, say=said.append)
    answers = iter([None] * 8 + ["there"])

    def look() -> str | None:
        made.get("v1", "Pod", "one", namespace="a")  # answered: the API itself was never away
        return next(answers)

    assert made.until("the rules of the ClusterRole edit", look) == "there"
    assert len(said) == 1
    assert said[0].startswith("waiting for the rules of the ClusterRole edit; retrying for up to")
    began = clock.now
    with pytest.raises(TimedOut, match="waiting for the rules"):
        made.until("the rules of the ClusterRole edit", lambda: None)
    assert clock.now - began <= 20


@pytest.mark.usefixtures("clock")
def test_null_is_as_good_as_nothing() -> None:
    """Go writes null for a list or map that nobody has filled yet."""
    assert client(Api((200, {"items": None, "metadata": None}))).list("v1", "Pod") == []
    item = {"metadata": {"name": "one", "labels": None}, "status": None, "rules": None}
    found = client(Api((200, {"items": [item], "metadata": {}}))).list("v1", "Pod")
    assert found == [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}}]


@pytest.mark.usefixtures("clock")
def test_a_group_is_missing_only_once_the_server_is_ready() -> None:
    group = {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": []}]}
    api = Api(MISSING, LEADER, (200, {}), (200, group))
    assert client(api).supports("apps/v1", "Deployment")
    assert api.seen == ["GET /apis/apps/v1", "GET /readyz", "GET /readyz", "GET /apis/apps/v1"]
    assert not client(Api(MISSING, (200, {}), MISSING)).supports("apps/v9", "Deployment")


@pytest.mark.usefixtures("clock")
def test_something_else_at_the_address_is_said() -> None:
    class Page(Api):
        def __call__(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, text="<html>Log in to the school's network</html>")

    with pytest.raises(ApiError, match=r"not a JSON object: .<html>Log in"):
        client(Page((200, {}))).version()


def test_what_is_served_is_asked_once_for_all_tokens() -> None:
    one, other = client(Api((200, {}))), client(Api((200, {})))
    assert one.with_token("abc").discovery is one.discovery
    assert one.discovery is not other.discovery
