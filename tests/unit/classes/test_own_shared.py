"""Asking the API once for the pages of all students."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import cast

import pytest

from nodisk.classes import plan, record, sizes
from nodisk.classes.own import FRESH, PAUSE, All, Running, Shared, Together, Used
from nodisk.classes.roster import Person
from nodisk.classes.trouble import Kind
from nodisk.context import LabContext
from nodisk.kube.client import Object
from nodisk.kube.errors import Unreachable

CONTEXT = cast("LabContext", None)
FOUND = plan.merge(
    None,
    [Person("Jan Kowalski"), Person("Ewa Żak")],
    name="k8s",
    now=record.now(),
    size=sizes.find("small"),
    role="edit",
).record
JAN, EWA = FOUND.students


def pod(name: str, namespace: str) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "status": {"phase": "Pending"}}


class Api:
    """Takes so many seconds by its own clock to answer, and counts."""

    def __init__(self, takes: float = 0.0) -> None:
        self.time, self.takes, self.asked, self.away = 0.0, takes, 0, False

    def clock(self) -> float:
        return self.time

    def __call__(self, _: LabContext) -> All:
        self.asked += 1
        self.time += self.takes
        if self.away:
            raise Unreachable("no route to host")
        pods = {"k8s-jan-kowalski": [pod("web", "k8s-jan-kowalski")], "kube-system": [pod("dns", "kube-system")]}
        return All({}, pods, {}, {}, "10.77.0.12", datetime.now(UTC))


def test_a_whole_class_asks_once_and_each_gets_their_own() -> None:
    api = Api()
    shared = Shared(api, api.clock)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda student: shared.own(CONTEXT, FOUND, student), [JAN, EWA] * 50))
    assert api.asked == 1
    assert found[0].pods == (Running("web", "Pending", 0),)
    assert found[1].pods == ()
    api.time += FRESH
    shared.own(CONTEXT, FOUND, JAN)
    assert api.asked == 2


def test_a_class_s_page_costs_no_more_than_a_student_s() -> None:
    """Out of the same answer; what others have in the cluster is no part of it."""
    api = Api()
    shared = Shared(api, api.clock)
    found = shared.together(CONTEXT, FOUND)
    assert shared.own(CONTEXT, FOUND, JAN).pods == (Running("web", "Pending", 0),)
    assert api.asked == 1
    assert found == Together((), {JAN.key: (), EWA.key: ()})
    api.away, api.time = True, FRESH
    with pytest.raises(Unreachable):
        shared.together(CONTEXT, FOUND)


def test_what_fails_and_is_used_in_the_namespaces_of_a_class() -> None:
    def fails(space: str) -> Object:
        waiting = {"image": "ngnix", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
        return pod("web", space) | {"status": {"phase": "Pending", "containerStatuses": [waiting]}}

    mine, others = "k8s-ewa-zak", "k9s-somebody"
    quota = {"metadata": {"namespace": mine}, "status": {"hard": {"pods": "10"}, "used": {"pods": "1"}}}
    spaces = {space: [fails(space)] for space in (mine, others)}
    found = All({mine: [quota]}, spaces, {}, {}, "10.77.0.12", datetime.now(UTC)).together(FOUND)
    assert [(one.namespace, one.kind, one.hint) for one in found.troubles] == [
        (mine, Kind.IMAGE, "a typo in ngnix? nginx is known")
    ]
    assert found.quotas == {JAN.key: (), EWA.key: (Used("Pods", "1", "10"),)}


def test_a_slow_api_is_left_alone_for_longer() -> None:
    api = Api(takes=2.0)
    shared = Shared(api, api.clock)
    shared.own(CONTEXT, FOUND, JAN)
    api.time += PAUSE * 2.0 - 0.1
    shared.own(CONTEXT, FOUND, JAN)
    assert api.asked == 1
    api.time += 0.2
    shared.own(CONTEXT, FOUND, JAN)
    assert api.asked == 2


def test_one_that_is_away_is_away_for_all_and_asked_again() -> None:
    api = Api()
    shared = Shared(api, api.clock)
    api.away = True
    for student in (JAN, EWA, JAN):
        with pytest.raises(Unreachable):
            shared.own(CONTEXT, FOUND, student)
    assert api.asked == 1
    api.away, api.time = False, FRESH
    assert shared.own(CONTEXT, FOUND, JAN).pods
