"""``nodisk build``: everything that a lab's machines and server need, as much as possible side by side."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from nodisk.assets import built, container_images, image_debian, ipxe, progress, release_debian
from nodisk.assets.store import Manifest, Store, key_of
from nodisk.assets.work import Work
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.spec.model import Lab, Source
from nodisk.state import State
from nodisk.values import KubeVersion

_ROOM = 8 * 1024**3
"""Bytes that a build from nothing needs at its worst moment: the compiler's cache is most of it."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release that is chosen but perhaps not made yet."""

    version: KubeVersion
    key: str
    why: str
    make: Callable[[], Awaitable[Manifest]]


@dataclass(frozen=True, slots=True)
class Result:
    """What a build led to."""

    assets: dict[str, Manifest]
    why: str
    """How the release's source was chosen."""
    seconds: dict[str, float]
    """How long each step took that had something to do."""


def build(lab: Lab, state: State, *, offline: bool = False, refresh: bool = False) -> Result:
    """Make or load what is missing of a lab's assets and record them.

    Raises Busy if another nodisk builds, EnvironmentProblem for a missing tool, mirror or disk space,
    CommandFailed with a building program's last words. Ctrl-C (KeyboardInterrupt) leaves nothing behind.
    """
    store = Store(state)
    with store.builder(), progress.board() as board:
        work = Work(state, store, board, offline, refresh)
        return _run(_build(work, lab))


def _run(main: Coroutine[Any, Any, Result]) -> Result:
    async def guarded() -> Result:
        # Ctrl-C is asyncio's matter; an ordinary `kill` is to tidy up just the same.
        task = asyncio.ensure_future(main)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _build(work: Work, lab: Lab) -> Result:
    chosen = await choose(work, lab)
    work.board.line(chosen.why)
    wish = image_debian.Wish.of(lab.os, chosen.version)
    tasks: dict[str, asyncio.Task[Manifest]] = {}
    try:
        async with asyncio.TaskGroup() as group:
            tasks["ipxe"] = group.create_task(ipxe.build(work))
            tasks["containers"] = group.create_task(container_images.build(work))
            tasks["release"] = group.create_task(_as_coroutine(chosen.make))
            tasks["image"] = group.create_task(image_debian.build(work, wish, chosen.key, tasks["release"]))
    except* NodiskError as errors:
        raise _first(errors) from None
    made = {kind: task.result() for kind, task in tasks.items()}
    built.record(work.state, lab, made, why=chosen.why)
    return Result(made, chosen.why, dict(work.board.times))


async def choose(work: Work, lab: Lab) -> Release:
    """Which release this lab gets, from where, and why."""
    settings = lab.kubernetes
    if settings.source in (Source.DEBIAN, Source.AUTO):
        _room(work)
        return Release(
            release_debian.VERSION,
            key_of(release_debian.inputs()),
            f"Kubernetes {release_debian.VERSION} from Debian's source: for tests, never for a real class",
            lambda: release_debian.build(work, os_mirror=lab.os.mirror),
        )
    raise EnvironmentProblem(f"source {settings.source} can't be built yet")


def _room(work: Work) -> None:
    work.store.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(work.store.root).free
    if free < _ROOM:
        raise EnvironmentProblem(
            f"{work.store.root} has {free / 1024**3:.1f} GiB free; a build from nothing needs {_ROOM >> 30} GiB",
            hint="free some space (nodisk assets prune), or use another disk: --state DIR",
        )


async def _as_coroutine(make: Callable[[], Awaitable[Manifest]]) -> Manifest:
    return await make()


def _first(errors: BaseExceptionGroup[NodiskError]) -> NodiskError:
    """The first real error of a group (of groups)."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
