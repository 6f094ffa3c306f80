"""Server-side apply that meets somebody else's write: tried again, unless a field is another manager's."""

import json
from typing import Any

import httpx2
import pytest

from nodisk.kube import client as clients
from nodisk.kube.client import Client
from nodisk.kube.errors import AlreadyExists, Conflict, from_status
from nodisk.kube.kubeconfig import Endpoint

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo", "namespace": "a"}}
RESOURCES = {"resources": [{"name": "services", "kind": "Service", "namespaced": True, "verbs": ["patch"]}]}
EXISTS = {"reason": "AlreadyExists", "message": 'services "echo" already exists'}
CHANGED = {"reason": "Conflict", "message": "the object has been modified"}
OWNED = {
    "reason": "Conflict",
    "message": "Apply failed with 1 conflict",
    "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.ports"}]},
}


class Scripted(Client):
    """Answers PATCH with what it was given, one after the other; the last again and again."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        super().__init__(Endpoint("https://192.0.2.1:6443", ""))
        self.answers = list(answers)
        self.asked = 0

    def request(self, method: str, path: str, **_: Any) -> httpx2.Response:
        if method == "GET":
            return httpx2.Response(200, json=RESOURCES)
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if "reason" in answer:
            raise from_status(409, json.dumps(answer).encode(), f"{method} {path}")
        return httpx2.Response(200, json=answer)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.mark.parametrize("met", [EXISTS, CHANGED])
def test_a_race_is_run_again(met: dict[str, Any]) -> None:
    client = Scripted(met, met, SERVICE)
    assert client.apply(SERVICE) == SERVICE
    assert client.asked == 3


def test_a_field_of_another_manager_is_said_at_once() -> None:
    client = Scripted(OWNED, SERVICE)
    with pytest.raises(Conflict, match="Apply failed"):
        client.apply(SERVICE, force=False)
    assert client.asked == 1


def test_a_race_that_is_never_won_ends() -> None:
    client = Scripted(EXISTS)
    with pytest.raises(AlreadyExists):
        client.apply(SERVICE)
    assert client.asked == clients.RACES
