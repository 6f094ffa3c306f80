"""Faults that tests put into machines, and how a check of ``nodisk verify`` is asked about them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.vm.driver import Driver, server_pid

from nodisk.plan.facts import AssetRef
from nodisk.verify.checks import CHECKS
from nodisk.verify.core import Outcome, Result, run_check
from nodisk.verify.scene import Scene
from nodisk.waiting import Deadline

BY_NAME = {check.name: check for check in CHECKS}


def look(scene: Scene, name: str) -> Result:
    """Run one check as the command does; one that skips, because a pod isn't ready again after the last fault, anew."""
    check, deadline = BY_NAME[name], Deadline(600)
    while True:
        if check.prepare is not None:
            check.prepare(scene)
        found = run_check(check, scene)
        if found.outcome is not Outcome.SKIPPED or not deadline.pause(2):
            return found


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


@contextmanager
def damaged(vm: Driver, asset: AssetRef, damage: Callable[[bytearray], None]) -> Iterator[None]:
    """An asset differs on the wire: a mount over the file, in the server's own view of the disk alone."""
    original = vm.context().state.state.assets / "objects" / asset.sha256 / asset.name
    copy = vm.file.with_name(f"{damage.__name__}-{asset.name}")
    data = bytearray(original.read_bytes())
    damage(data)
    copy.write_bytes(data)
    copy.chmod(0o644)
    for folder in copy.parents:
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    inside = ["nsenter", "-t", str(server_pid(vm)), "-m"]
    subprocess.run([*inside, "mount", "--bind", str(copy), str(original)], check=True)
    try:
        yield
    finally:
        # Lazily: a machine may be fetching it at this moment.
        subprocess.run([*inside, "umount", "--lazy", str(original)], check=True)


def flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 0x01


def cut_short(data: bytearray) -> None:
    del data[len(data) // 2 :]
