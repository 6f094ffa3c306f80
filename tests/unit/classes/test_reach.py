"""What an attempt of one student's pod on another's makes of the pods' exit statuses, by an API that tells them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.cluster import Cluster

from nodisk.classes import reach, selftest
from nodisk.classes.reach import LOST, REACHED
from nodisk.classes.record import Account
from nodisk.classes.selftest import Finding
from nodisk.kube.client import Object
from nodisk.waiting import Deadline

SPACES = ("demo-a", "demo-b")


class Api(Cluster):
    """Pods run at once on w1, or where they must, and end with the status that their name has."""

    def __init__(self, **exits: int) -> None:
        super().__init__()
        self.exits = {f"nodisk-selftest-{name}": status for name, status in exits.items()}

    def becomes(self, obj: Object) -> Object:
        name, space = obj["metadata"]["name"], obj["metadata"]["namespace"]
        status: dict[str, Any] = {"phase": "Running", "podIP": "10.244.1.2"}
        if name in self.exits:
            status["containerStatuses"] = [{"state": {"terminated": {"exitCode": self.exits[name]}}}]
        return {**obj, "spec": {"nodeName": "w2" if space == SPACES[1] else "w1"}, "status": status}


def attempt(api: Api, *, left: float = 1.0) -> Finding:
    first, second = (selftest.Tester(Account(key=key, name=key, label=key), api.client) for key in ("a", "b"))
    found = reach.attempt(first, second, SPACES, enforcer=None, deadline=Deadline(left))
    assert api.objects == {}, "all are deleted"
    assert api.graces <= {0}
    return found


def test_refused_counts_only_if_the_others_own_pod_gets_there() -> None:
    api = Api(probe=0, control=REACHED)
    found = attempt(api)
    assert found.verdict == "ok"
    assert "from w1 to w2" in found.happened
    control = api.written[-1]
    assert control["metadata"]["namespace"] == SPACES[1], "the policies of every class let it through"
    (term,) = control["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchFields"][0]["values"] == ["w1"], "on the way that was tried"


@pytest.mark.parametrize("control", [LOST, 0, 137])
def test_a_broken_way_is_no_isolation(control: int) -> None:
    found = attempt(Api(probe=0, control=control))
    assert found.verdict == "untried"
    assert "from w1 to w2 the pods' network is broken" in found.happened


@pytest.mark.parametrize(("status", "verdict"), [(REACHED, "gap"), (LOST, "untried"), (137, "untried")])
def test_what_needs_no_control(status: int, verdict: str) -> None:
    api = Api(probe=status)
    assert attempt(api).verdict == verdict
    assert len(api.written) == 3


def test_no_time_left_is_not_tried() -> None:
    found = attempt(Api(), left=0.0)
    assert found.verdict == "untried"
    assert "in the time that there is" in found.happened


def attempt_names(api: Api, *, left: float = 1.0) -> Finding:
    first, second = (selftest.Tester(Account(key=key, name=key, label=key), api.client) for key in ("a", "b"))
    found = reach.attempt_names(first, second, SPACES, domain="cluster.local", deadline=Deadline(left))
    assert api.objects == {}, "all are deleted"
    assert api.graces <= {0}
    assert found.tried == selftest.NAMES
    return found


def test_a_name_that_is_not_told_counts_only_if_the_others_own_pod_gets_it() -> None:
    api = Api(probe=0, control=REACHED)
    assert attempt_names(api).verdict == "ok"
    probe, control = (one["spec"]["containers"][0]["command"][-1] for one in api.written[2:])
    assert "until nslookup 10-244-1-2.demo-a.pod.cluster.local" in probe
    assert "do nslookup 10-244-1-2.demo-b.pod.cluster.local" in probe
    assert "until nslookup 10-244-1-2.demo-b.pod.cluster.local" in control
    assert api.written[-1]["metadata"]["namespace"] == SPACES[1]


@pytest.mark.parametrize("control", [LOST, 0, 137])
def test_a_name_that_nobody_gets_is_no_isolation(control: int) -> None:
    assert attempt_names(Api(probe=0, control=control)).verdict == "untried"


@pytest.mark.parametrize(("status", "verdict"), [(REACHED, "hole"), (LOST, "untried"), (137, "untried")])
def test_what_needs_no_control_for_names(status: int, verdict: str) -> None:
    api = Api(probe=status)
    assert attempt_names(api).verdict == verdict
    assert len(api.written) == 3


def test_no_time_left_for_names_is_not_tried() -> None:
    assert attempt_names(Api(), left=0.0).verdict == "untried"
