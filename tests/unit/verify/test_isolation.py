"""What the check ``isolation`` makes of an attempt: who enforces is only named, what the pods saw counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from nodisk.classes import capacity
from nodisk.classes.capacity import Enforcer
from nodisk.classes.selftest import REACH, Finding, untried
from nodisk.records import isolation
from nodisk.spec.load import parse
from nodisk.state import State
from nodisk.verify.checks.isolation import judged
from nodisk.verify.core import Failed, Warn

POLICIES = Enforcer("kube-network-policies", "kube-system", "example/kube-network-policies:v1.1.0", 3, 3)
PARTLY = Enforcer("kube-network-policies", "kube-system", "example/kube-network-policies:v1.1.0", 2, 3)
APART = Finding("s01", REACH, "refused", "refused: three attempts of a pod timed out", "ok")
LAB = parse(
    """
name: demo
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines: [{name: cp1, mac: 52:54:00:00:00:11, address: 10.77.0.11, role: control-plane}]
""",
    file=Path("lab.yaml"),
)


def reached(verdict: str) -> Finding:
    return Finding("s01", REACH, "refused", "allowed", cast("Any", verdict))


def test_kept_apart_by_what_runs_everywhere() -> None:
    first, second = judged(APART, POLICIES)
    assert "timed out" in first
    assert second == "enforced by kube-network-policies (example/kube-network-policies:v1.1.0)"


def test_an_enforcer_that_does_not_enforce_is_red() -> None:
    with pytest.raises(Failed) as caught:
        judged(reached("hole"), POLICIES)
    assert "kube-network-policies is there and does not keep students' pods apart" in caught.value.cause
    assert caught.value.look == "nodisk kubectl -n kube-system logs daemonset/kube-network-policies --tail=20"


def test_one_that_is_missing_on_a_node_is_red_although_two_pods_were_kept_apart() -> None:
    with pytest.raises(Failed, match="runs on 2 of 3 nodes"):
        judged(APART, PARTLY)


def test_without_an_enforcer_it_is_a_warning() -> None:
    with pytest.raises(Warn) as caught:
        judged(reached("gap"), None)
    assert "can reach each other" in caught.value.cause


@pytest.mark.parametrize("by", [None, POLICIES])
def test_what_nobody_tried_is_never_ok(by: Enforcer | None) -> None:
    with pytest.raises(Failed, match="not tried: the pod does not run"):
        judged(untried("s01", "the pod does not run"), by)


class Api:
    """An API server that has one DaemonSet, or none."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = items

    def list(self, _version: str, _kind: str) -> list[dict[str, Any]]:
        return list(self.items)


def daemon_set(**status: int) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "kube-system", "name": "kube-network-policies"},
        "spec": {"template": {"spec": {"containers": [{"name": "a", "image": POLICIES.image}]}}},
        "status": status,
    }


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ((), None),
        ((daemon_set(numberReady=3, desiredNumberScheduled=3),), POLICIES),
        ((daemon_set(numberReady=2, desiredNumberScheduled=3),), PARTLY),
    ],
)
def test_what_is_there_to_enforce(items: tuple[dict[str, Any], ...], found: Enforcer | None) -> None:
    assert capacity.enforcer(cast("Any", Api(*items)), LAB) == found


def test_the_last_attempt_is_kept_until_another_shows_something(tmp_path: Path) -> None:
    state = State(tmp_path).lab("demo")
    assert isolation.last(state) is None
    tried = isolation.Tried("hole", "allowed", 1_800_000_000.0)
    isolation.save(state, tried)
    isolation.save(state, isolation.Tried("untried", "no node"))
    assert isolation.last(state) == tried
    for damage in ("", "[]", "{}", '{"verdict": "fine", "happened": "", "time": 1}', '{"verdict": [], "time": {}}'):
        state.isolation.write_text(damage)
        assert isolation.last(state) is None
