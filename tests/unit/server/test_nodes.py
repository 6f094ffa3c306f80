"""What the server concludes from a Node object."""

from __future__ import annotations

from typing import Any

import pytest

from nodisk.server.events import Progress, iso
from nodisk.server.nodes import APART, heartbeat, still_runs
from nodisk.values import Stage

ASKED = 1_700_000_000.0


def node(beat: float | str | None, status: str = "True") -> dict[str, Any]:
    one: dict[str, Any] = {"type": "Ready", "status": status}
    if beat is not None:
        one["lastHeartbeatTime"] = iso(beat) if isinstance(beat, float) else beat
    return {"status": {"nodeInfo": {"bootID": "b"}, "conditions": [{"type": "MemoryPressure"}, one]}}


@pytest.mark.parametrize("beat", [None, "", "yesterday", "null"])
def test_no_heartbeat(beat: str | None) -> None:
    assert heartbeat(node(beat)) is None
    assert heartbeat({}) is None
    assert not still_runs(node(beat), Progress(Stage.IPXE, ASKED))


def test_a_heartbeat_as_kubelet_writes_it() -> None:
    assert heartbeat(node("2023-11-14T22:13:20Z")) == ASKED


def test_a_machine_that_goes_on_reporting_was_not_switched_off() -> None:
    asked = Progress(Stage.IPXE, ASKED)
    late, early = ASKED + APART + 1, ASKED + APART - 1
    assert still_runs(node(late), asked)
    assert still_runs(node(late), Progress(Stage.DHCP, ASKED))
    assert not still_runs(node(early), asked), "the last word before it was switched off, by a clock that is ahead"
    assert not still_runs(node(late, "Unknown"), asked)
    assert not still_runs(node(late), Progress(Stage.KERNEL, ASKED, boot_id="c")), "it really boots"
    assert not still_runs(node(late), Progress(Stage.READY, ASKED, boot_id="b"))
    assert not still_runs(node(late), Progress())
