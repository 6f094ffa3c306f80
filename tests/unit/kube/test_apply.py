"""Server-side apply that meets somebody else's write: tried again, unless a field is another manager's."""

from typing import Any

import pytest
from tests.support.api_answers import Api, client

from nodisk.kube import client as clients
from nodisk.kube.errors import AlreadyExists, Conflict

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo", "namespace": "a"}}
EXISTS = (409, {"reason": "AlreadyExists", "message": 'services "echo" already exists'})
CHANGED = (409, {"reason": "Conflict", "message": "the object has been modified"})
OWNED = (
    409,
    {
        "reason": "Conflict",
        "message": "Apply failed with 1 conflict",
        "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.ports"}]},
    },
)
DONE = (200, SERVICE)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.mark.parametrize("met", [EXISTS, CHANGED])
def test_a_race_is_run_again(met: tuple[int, dict[str, Any]]) -> None:
    api = Api(met, met, DONE)
    assert client(api).apply(SERVICE) == SERVICE
    assert api.seen == ["PATCH /api/v1/namespaces/a/services/echo"] * 3


def test_a_field_of_another_manager_is_said_at_once() -> None:
    api = Api(OWNED, DONE)
    with pytest.raises(Conflict, match="Apply failed"):
        client(api).apply(SERVICE, force=False)
    assert len(api.seen) == 1


def test_a_race_that_is_never_won_ends() -> None:
    api = Api(EXISTS)
    with pytest.raises(AlreadyExists):
        client(api).apply(SERVICE)
    assert len(api.seen) == clients.RACES
