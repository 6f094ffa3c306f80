"""What the self-test makes of an API server's answers: a policy that is not ready yet, an error, a real hole."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from tests.unit.classes.test_manifests import NEW, OLD, one

from nodisk.classes import selftest
from nodisk.classes.features import Features
from nodisk.classes.selftest import Finding
from nodisk.kube.client import Client
from nodisk.kube.errors import ApiError, Forbidden, Overloaded, Unauthorized, Unreachable

Answer = Callable[[str, str, Any], ApiError | None]


class Fake:
    """As much of an API client as the self-test uses; ``answer`` says what comes of a request (None: allowed)."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked = 0

    def path(self, api_version: str, kind: str, name: str | None = None, **more: str | None) -> str:
        return "/".join(part for part in (api_version, more.get("namespace"), kind, name) if part)

    def list(self, api_version: str, kind: str, *, namespace: str | None = None) -> None:
        self.request("GET", self.path(api_version, kind, namespace=namespace))

    def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> None:
        self.asked += 1
        if (error := self.answer(method, path, body)) is not None:
            raise error


def findings(answer: Answer, features: Features = NEW) -> dict[str, Finding]:
    found = one(storage="1Gi")
    tester = selftest.Tester(found.students[0], cast("Client", Fake(answer)))
    return {f.tried: f for f in selftest.run(found, tester, None, features)}


def correct(method: str, path: str, body: Any) -> ApiError | None:
    return None if (method, path) == ("GET", "v1/k8s-zolc-gesla/Pod") else Forbidden("no", status=403)


BY_POLICY = ("a Service with externalIPs", "a pod that mounts by NFS itself", "a pod whose probe asks another host")


def test_a_policy_that_is_not_ready_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def answer(ready: float) -> Answer:
        def given(method: str, path: str, body: Any) -> ApiError | None:
            text = str(body)
            policy = any(word in text for word in ("externalIPs", "nfs", "livenessProbe"))
            return None if policy and now[0] < ready else correct(method, path, body)

        return given

    assert {finding.verdict for finding in findings(answer(1.5)).values()} == {"ok"}
    assert now[0] < 2
    never = findings(answer(1e9))
    assert {tried for tried, finding in never.items() if finding.verdict == "hole"} == set(BY_POLICY)
    assert now[0] < 2 * selftest.SETTLED  # once for all of them
    before = now[0]
    old = findings(answer(1e9), OLD)
    assert {tried for tried, finding in old.items() if finding.verdict == "gap"} == set(BY_POLICY)
    assert now[0] == before


@pytest.mark.parametrize(
    "error",
    [Unreachable("refused"), Overloaded("no leader", status=500), Unauthorized("Unauthorized", status=401)],
)
def test_an_error_is_no_hole(error: ApiError) -> None:
    found = findings(lambda method, path, body: error)
    assert {finding.verdict for finding in found.values()} == {"untried"}
    assert all(finding.happened == f"not tested: {error.message}" for finding in found.values())


def test_what_is_allowed_is_a_hole() -> None:
    found = findings(lambda method, path, body: None if "Node" in path else correct(method, path, body))
    assert found["list nodes"].verdict == "hole"


def test_a_quota_that_nobody_counted_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    unknown = Forbidden("pods is forbidden: status unknown for quota: nodisk", status=403)
    found = findings(
        lambda method, path, body: unknown if method == "POST" and "Pod" in path else correct(method, path, body)
    )
    assert found["a pod with more memory than the quota"].verdict == "untried"


def test_a_quota_that_the_api_server_does_not_know_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def answer(method: str, path: str, body: Any) -> ApiError | None:
        young = now[0] < 3 and ("LoadBalancer" in str(body) or "900Gi" in str(body))
        return None if young else correct(method, path, body)

    assert {finding.verdict for finding in findings(answer).values()} == {"ok"}
    assert 3 <= now[0] < 4
