"""Who answers for an address, and a check that breaks."""

from __future__ import annotations

from concurrent.futures import Future
from ipaddress import IPv4Address
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.unit.spec.labs import lab

from nodisk import run
from nodisk.check import runner, wire
from nodisk.check.findings import Finding, Level
from nodisk.spec.load import parse
from nodisk.values import Mac

CLUSTER = "03:BF:0A:4D:00:0A"  # the group address of a load-balancing cluster
REPLY = f"Unicast reply from 10.77.0.10 [{CLUSTER}]  0.7ms\nUnicast reply from 10.77.0.10 [52:54:00:77:00:99]  0.9ms\n"


def test_a_group_address_is_a_holder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "run", lambda *_, **__: CompletedProcess([], 1, REPLY, ""))
    held = wire.holders("lab0", IPv4Address("10.77.0.10"))
    assert held == {CLUSTER.lower(), Mac.parse("52:54:00:77:00:99")}
    monkeypatch.setattr(wire, "link", lambda _: wire.Link("lab0", True, True, True, 24))
    monkeypatch.setattr(wire, "holders", lambda *_: held)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    found = wire.duplicates(parse(lab(), file=Path("lab.yaml")))
    assert {finding.level for finding in found} == {Level.ERROR}
    assert any(f"is in use by {CLUSTER.lower()}" in finding.message for finding in found)


def test_a_check_that_breaks_is_a_finding() -> None:
    done: Future[list[Finding]] = Future()
    done.set_exception(ValueError("odd"))
    [found] = runner.findings_of("clock and mirror", done)
    assert (found.check, found.level, found.message) == ("clock", Level.WARNING, "check failed to run: ValueError: odd")
