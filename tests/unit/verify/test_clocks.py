"""How long the check of the clocks listens, and what it makes of what it hears."""

from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from nodisk.verify.checks import clocks
from nodisk.verify.core import Failed

NOW = 1_800_000_000.0
"""The server's time, which stands: how long this test takes is no error of a clock."""


class Stage:
    """A scene of one node whose kubelet renews its Lease with these seconds of error, again and again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: float) -> None:
        self.context = SimpleNamespace(lab=SimpleNamespace(machines=[SimpleNamespace(name="w1")]))
        self.pace, self.client, self.heard = 12.0, None, 0
        self.pending: dict[str, Future[Any]] = {}

        def renewals(*_: object, **__: object) -> Iterator[SimpleNamespace]:
            for self.heard in range(1000):
                # The first is from before; the network is late by ever less.
                stamp = datetime.fromtimestamp(NOW + error - 1.2 / (self.heard + 1), UTC).isoformat()
                yield SimpleNamespace(object={"metadata": {"name": "w1"}, "spec": {"renewTime": stamp}})

        monkeypatch.setattr(clocks, "wait_for", renewals)
        monkeypatch.setattr(clocks, "time", SimpleNamespace(time=lambda: NOW))

    def begin(self, name: str, work: Any) -> None:
        self.pending[name] = Future()
        self.pending[name].set_result(work())


def test_a_clock_that_is_right_is_heard_until_that_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    stage: Any = Stage(monkeypatch, 0.0)
    clocks.watch(stage)
    assert clocks.clocks(stage)[0].startswith("w1: 0.40 s behind")
    assert stage.heard == 2


def test_one_that_is_wrong_is_not_listened_to_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    stage: Any = Stage(monkeypatch, -30.0)
    clocks.watch(stage)
    with pytest.raises(Failed) as failed:
        clocks.clocks(stage)
    assert failed.value.evidence[0].startswith("w1: its clock is 30.")
    assert stage.heard == clocks.ENOUGH
