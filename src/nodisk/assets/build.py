"""``nodisk build``: everything that a lab's machines and server need, in parallel where possible."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from nodisk import interrupts
from nodisk.assets import (
    addons,
    built,
    container_images,
    image_debian,
    ipxe,
    progress,
    release_debian,
    release_path,
    release_upstream,
    shim,
    suite,
    terminal_image,
)
from nodisk.assets.official import Upstream
from nodisk.assets.recipe import Recipe
from nodisk.assets.store import Manifest, Store
from nodisk.assets.work import Work
from nodisk.errors import EnvironmentProblem, NodiskError, SpecError, UsageError, describe
from nodisk.plan import cluster_dns
from nodisk.spec import versions
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Source
from nodisk.state import State
from nodisk.values import KubeVersion

PLAIN = "no Kubernetes: the machines are plain Debian (kubernetes.engine: none)"
"""Why a lab gets no release."""

Coming = Callable[[], Awaitable[Manifest]]


@dataclass(frozen=True, slots=True)
class Release:
    """A release that is chosen but perhaps not built yet."""

    version: KubeVersion
    recipe: Recipe
    why: str
    source: Source
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A build's result."""

    assets: dict[str, Manifest]
    why: str
    """How the release's source was chosen."""
    seconds: dict[str, float]
    """Duration of each step that had something to do."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One asset of a dry run."""

    kind: str
    key: str
    present: bool
    """Whether it is in the store already."""


def build(
    lab: Lab, state: State, *, offline: bool = False, refresh: bool = False, only: Collection[str] = ()
) -> Result:
    """Build or download a lab's missing assets, and record them.

    ``only``: these kinds and what they need; nothing is recorded then. Only so is a ``suite`` built: no lab boots it.

    Raises Busy if another nodisk builds, EnvironmentProblem for a missing right, tool, mirror or disk space,
    CommandFailed with a building program's last words. Ctrl-C (KeyboardInterrupt) leaves nothing behind.
    """
    if os.geteuid() != 0:
        raise EnvironmentProblem(
            "building an image needs root, because it installs Debian into a folder", hint="sudo nodisk build"
        )
    store = Store(state)
    with store.builder(), progress.board() as board:
        work = Work(state, store, board, offline, refresh)
        kinds = frozenset(only) or frozenset((*built.KINDS, *built.SOMETIMES))
        make = _build if lab.has_cluster else _build_plain
        return _run(make(work, lab, kinds, whole=not only))


def dry_run(lab: Lab, state: State, *, offline: bool = False, refresh: bool = False) -> tuple[str, list[Planned]]:
    """Which release a build would take and why, and which assets it would build; uses the network only for this."""
    work = Work(state, Store(state), progress.Board(None), offline, refresh)
    if lab.has_cluster:
        chosen = asyncio.run(choose(work, lab))
        why, asked = chosen.why, recipes(lab, chosen, Upstream.from_environment(), lambda: chosen.recipe.make(work))
    else:
        why, asked = PLAIN, plain_recipes(lab)
    plan = [
        Planned(one.kind, one.key, not refresh and one.find(work.store) is not None)
        for one in asked.values()
        if one.kind != suite.KIND
    ]
    return why, plan


def plain_recipes(lab: Lab) -> dict[str, Recipe]:
    """All assets of a lab without a cluster, by kind, in display order."""
    found = [image_debian.plain_recipe(image_debian.Wish.plain_of(lab)), ipxe.recipe(lab.os.mirror)]
    if lab.any_signed_loader:
        found.append(shim.recipe(lab.os.mirror))
    return {one.kind: one for one in found}


def recipes(lab: Lab, chosen: Release, upstream: Upstream, coming: Coming) -> dict[str, Recipe]:
    """All assets of a lab with a cluster, by kind, in display order. ``coming``: how the image gets its release."""
    found = [
        image_debian.recipe(image_debian.Wish.of(lab, chosen.version), chosen.recipe, coming),
        chosen.recipe,
        ipxe.recipe(lab.os.mirror),
        container_images.recipe(),
        terminal_image.recipe(chosen.recipe, coming),
    ]
    if chosen.source is Source.DEBIAN:
        found.append(suite.recipe(lab.os.mirror))
    if what := addons.wanted(lab, chosen.source):
        found.append(addons.recipe(what, upstream))
    if lab.any_signed_loader:
        found.append(shim.recipe(lab.os.mirror))
    return {one.kind: one for one in found}


def _run(main: Coroutine[Any, Any, Result]) -> Result:
    async def guarded() -> Result:
        task = asyncio.ensure_future(main)
        with interrupts.cancelling(asyncio.get_running_loop(), task):
            return await task

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _build_plain(work: Work, lab: Lab, kinds: frozenset[str], *, whole: bool) -> Result:
    work.board.line(PLAIN)
    asked = plain_recipes(lab)
    made = await all_of(
        work, {kind: asyncio.create_task(one.make(work)) for kind, one in asked.items() if kind in kinds}
    )
    if whole:
        built.record(work.state, lab, made, why=PLAIN)
    return Result(made, PLAIN, dict(work.board.times))


async def _build(work: Work, lab: Lab, kinds: frozenset[str], *, whole: bool) -> Result:
    chosen = await choose(work, lab)
    work.board.line(chosen.why)
    for warning in chosen.warnings:
        work.board.line(f"warning: {warning}")
    if kinds & {"image", terminal_image.KIND}:
        kinds |= {"release"}
    tasks: dict[str, asyncio.Task[Manifest]] = {}
    asked = recipes(lab, chosen, Upstream.from_environment(), lambda: tasks["release"])
    if suite.KIND in kinds and suite.KIND not in asked:
        raise UsageError(
            f"nodisk builds a conformance suite for Debian's release alone, not for Kubernetes {chosen.version}",
            hint="an official release publishes its own: nodisk conformance --load gets it",
        )
    compiled = kinds & {"release", suite.KIND} if chosen.source is Source.DEBIAN else frozenset[str]()
    if any(not asked[kind].find(work.store) for kind in compiled):
        _room(work)
    for kind, recipe in sorted(asked.items(), key=lambda one: one[0] == "image"):
        if kind in kinds:
            tasks[kind] = asyncio.create_task(recipe.make(work))
    made = await all_of(work, tasks)
    if whole:
        built.record(work.state, lab, made, why=chosen.why)
    return Result(made, chosen.why, dict(work.board.times))


async def all_of(work: Work, tasks: Mapping[str, asyncio.Task[Manifest]]) -> dict[str, Manifest]:
    """Wait for every asset. If one fails, the others go on: what succeeds is kept for the next build.

    Raises the common cause of all failures. When cancelled, it first stops all of them.
    """
    for kind, task in tasks.items():
        task.add_done_callback(functools.partial(_tell, work, kind, tasks))
    try:
        results = await asyncio.gather(*tasks.values(), return_exceptions=True)
    except asyncio.CancelledError:
        await asyncio.gather(*tasks.values(), return_exceptions=True)  # gather has cancelled them; they clear up
        raise
    failed = {kind: result for kind, result in zip(tasks, results, strict=True) if isinstance(result, BaseException)}
    if failed:
        raise root_cause(failed)
    return {kind: task.result() for kind, task in tasks.items()}


def _tell(work: Work, kind: str, tasks: Mapping[str, asyncio.Task[Manifest]], task: asyncio.Task[Manifest]) -> None:
    """Report a failure at once while the others go on, which may take minutes."""
    if task.cancelled() or (error := task.exception()) is None or all(other.done() for other in tasks.values()):
        return
    work.board.line(f"{kind} failed; the other builds continue: {describe(error).splitlines()[0]}")


async def choose(work: Work, lab: Lab) -> Release:
    """Which release this lab gets, from where, and why."""
    settings = lab.kubernetes
    if settings.source is Source.PATH:
        if settings.path is None:
            raise SpecError("kubernetes.source is `path`, but kubernetes.path is not set")
        folder = await asyncio.to_thread(release_path.read, settings.path, settings.version)
        cluster_dns.need_own(lab, coredns=folder.has_dns)
        why = _why(folder.version, f"Kubernetes {folder.version} from {folder.root}: lab.yaml says so")
        lacks = tuple(f"{folder.root} has no {name}: the cluster gets no DNS" for name in folder.missing_optional)
        return Release(folder.version, await asyncio.to_thread(release_path.recipe, folder), why, Source.PATH, lacks)
    if settings.source is Source.DEBIAN:
        return _debian(lab, "lab.yaml says so")
    before = built.release_before(work.state, lab)
    upstream = Upstream.from_environment()
    if before is not None and before.asked and not work.refresh:
        again = "as built before; `nodisk build --refresh` looks for newer"
        if before.source != Source.DEBIAN:
            return _upstream(before.version, upstream, again)
        return _debian(lab, "as built before; `nodisk build --refresh` looks for the official releases again")
    why = "lab.yaml says so" if settings.source is Source.UPSTREAM else "the official releases can be reached"
    try:
        if work.offline:
            version, why = release_upstream.stored(work.store, settings.version), "the newest in the store that fits"
        else:
            version = await release_upstream.newest(upstream, settings.version)
    except EnvironmentProblem as error:
        # A version that Debian hasn't must not silently become another one.
        if settings.source is Source.UPSTREAM or not (settings.version is None or versions.is_debian(settings.version)):
            raise
        if before is not None and before.source != Source.DEBIAN:
            # Nor may a class's release: 1.20.2 could not even read what 1.36 left in etcd.
            raise EnvironmentProblem(
                f"{error.message}; this lab was built with Kubernetes {before.version} ({before.source}), "
                f"and {versions.DEBIAN} is not used instead",
                hint="build without --refresh, or retry when the official releases can be reached; "
                f"for {versions.DEBIAN} write kubernetes.source: debian",
            ) from error
        return _debian(lab, f"{error.message}; {error.hint}" if error.hint else error.message)
    return _upstream(version, upstream, why)


def _upstream(version: KubeVersion, upstream: Upstream, why: str) -> Release:
    return Release(
        version,
        release_upstream.recipe(version, upstream),
        _why(version, f"Kubernetes {version}, the official release: {why}"),
        Source.UPSTREAM,
    )


def _why(version: KubeVersion, text: str) -> str:
    caution = versions.caution(version)
    return f"{text}; it is {caution}" if caution else text


def _debian(lab: Lab, why: str) -> Release:
    version = release_debian.VERSION
    return Release(
        version,
        release_debian.recipe(lab.os.mirror),
        f"Kubernetes {version} from Debian's source (old: for tests, never for a real class): {why}",
        Source.DEBIAN,
    )


def _room(work: Work) -> None:
    free = shutil.disk_usage(work.store.root).free
    if free < release_debian.ROOM:
        raise EnvironmentProblem(
            f"{work.store.root} has {free / 1024**3:.1f} GiB free; "
            f"compiling Kubernetes needs {release_debian.ROOM >> 30} GiB",
            hint="free some space (nodisk assets prune), or use another disk: --state DIR",
        )


def root_cause(failed: Mapping[str, BaseException]) -> BaseException:
    """The common cause of several assets' failures; nodisk's own errors are combined with their hints."""
    causes = {id(error): error for error in failed.values()}  # the image fails with the release's own error
    ours = [error for error in causes.values() if isinstance(error, NodiskError)]
    if len(ours) < 2:
        return next(iter(ours or causes.values()))
    hints = dict.fromkeys(error.hint for error in ours if error.hint)
    whole = NodiskError("\n".join(error.message for error in ours), hint="\n".join(hints) or None)
    if len(codes := {error.exit_code for error in ours}) == 1:
        whole.exit_code = codes.pop()
    return whole
