"""``nodisk status`` beside an API that answers, is slow, away, or unwell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.api.apiserver import ControlPlane
from tests.api.faults import Fault, FaultProxy

from nodisk.machines import status, status_table
from nodisk.machines.asked import ANSWER_WITHIN, Api


@pytest.fixture
def way(plane: ControlPlane) -> Iterator[ControlPlane]:
    """A test may spoil the way to the API."""
    yield plane
    plane.forwarder.delay = 0
    plane.forwarder.open.set()


def test_it_answers(plane: ControlPlane) -> None:
    found = status.collect(plane.context, wait=60)
    assert found.api is Api.ANSWERS
    assert "API answers, " in status_table.summary(found)
    assert status.to_json(found)["api_problem"] is None


def test_an_answer_under_way_is_not_called_away(way: ControlPlane) -> None:
    way.forwarder.open.clear()
    found = status.collect(way.context, wait=0.5)
    assert found.api is Api.SLOW
    assert "API is slow or stuck: no answer within 0.5 s (to wait longer: --wait 20s)" in status_table.summary(found)
    assert len(found.rows) == 2


def test_a_slow_one_is_waited_for_if_that_is_asked(way: ControlPlane) -> None:
    """A hand-shake and a request are two pieces at least: longer than it takes to wonder."""
    way.forwarder.delay = 0.6 * ANSWER_WITHIN
    said: list[str] = []
    found = status.collect(way.context, wait=60, say=said.append)
    assert found.api is Api.ANSWERS
    assert said == ["the API is slow to answer: waiting for up to 60 s"]


def test_nobody_is_waited_for_where_nobody_listens(way: ControlPlane) -> None:
    way.forwarder.cut()
    try:
        found = status.collect(way.context, wait=600)
    finally:
        way.forwarder.mend()
    assert found.api is Api.AWAY
    assert "API does not answer" in status_table.summary(found)


def test_an_error_is_an_answer(plane: ControlPlane) -> None:
    with FaultProxy(plane).standing(plane) as proxy:
        proxy.plan = lambda _, __: Fault.UNAVAILABLE
        found = status.collect(plane.context, wait=60)
    assert found.api is Api.REFUSES
    assert "API answers with an error (GET /" in status_table.summary(found)
    assert "apiserver not ready)" in status_table.summary(found)
