"""The real store's assets for tests, built where it has none; one test process builds, the others wait for it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nodisk.assets import progress, suite, terminal_image
from nodisk.assets.build import build
from nodisk.assets.store import Manifest, Store
from nodisk.assets.work import Work
from nodisk.conformance.program import Folder
from nodisk.spec.load import parse
from nodisk.spec.model_os import Kernel
from nodisk.state import DEFAULT_STATE, State

LAB = """\
name: vmtest
network: {subnet: 10.78.0.0/24, server: 10.78.0.1}
os: {kernel: cloud}
machines: [{name: cp1, mac: "52:54:00:78:00:0b", address: 10.78.0.11, role: control-plane}]
"""


def state() -> State:
    """``$NODISK_STATE``, else the one that ``make lab`` uses."""
    return State(Path(os.environ.get("NODISK_STATE", DEFAULT_STATE)))


@contextmanager
def builder() -> Iterator[Store]:
    """The store, while no other test process builds into it: nodisk itself would refuse, not wait."""
    found = state()
    found.root.mkdir(parents=True, exist_ok=True)
    with (found.root / ".tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Store(found)


def terminal() -> tuple[Store, Manifest]:
    """The image of students' terminals, with the VM tests' release."""
    with builder() as store:
        made = build(parse(LAB, file=Path("lab.yaml")), state(), only=[terminal_image.KIND])
        return store, made.assets[terminal_image.KIND]


def image(kernel: Kernel = Kernel.CLOUD) -> tuple[Store, Manifest]:
    """The node image of the VM tests' lab, or the same with another kernel."""
    with builder() as store:
        lab = parse(LAB.replace("kernel: cloud", f"kernel: {kernel}"), file=Path("lab.yaml"))
        return store, build(lab, state(), only=["image"]).assets["image"]


def conformance_suite() -> Folder:
    """Kubernetes' own suite, as nodisk builds it; compiled where the store has none, which takes nine minutes."""
    with builder() as store:
        recipe = suite.recipe(None)
        made = recipe.find(store)
        if made is None:
            with store.builder(), progress.board() as board:
                made = asyncio.run(recipe.make(Work(state(), store, board)))
        return Folder(suite.folder_of(store, made))
