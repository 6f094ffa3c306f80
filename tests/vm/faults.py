"""Faults that tests put into machines, and how a check of ``nodisk verify`` is asked about them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.vm.driver import Driver

from nodisk.verify.checks import CHECKS
from nodisk.verify.core import Outcome, Result, run_check
from nodisk.verify.scene import Scene

BY_NAME = {check.name: check for check in CHECKS}


def look(scene: Scene, name: str) -> Result:
    """Run one check as the command does; one that skips, because a pod isn't ready again after the last fault, anew."""
    check, end = BY_NAME[name], time.monotonic() + 600
    while True:
        if check.prepare is not None:
            check.prepare(scene)
        found = run_check(check, scene)
        if found.outcome is not Outcome.SKIPPED or time.monotonic() > end:
            return found
        time.sleep(2)


def on(vm: Driver, machine: str, command: str) -> str:
    return vm("ssh", machine, command).stdout


@contextmanager
def fault(vm: Driver, machine: str, cause: str, cure: str) -> Iterator[None]:
    on(vm, machine, cause)
    try:
        yield
    finally:
        on(vm, machine, cure)


def assert_found(result: Result, *, evidence: str, cause: str, look: str) -> None:
    assert result.outcome is Outcome.FAILED, result
    assert evidence in "\n".join(result.evidence), result
    assert cause in result.cause, result
    assert look in result.look, result
