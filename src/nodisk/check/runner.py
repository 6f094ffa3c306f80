"""All checks of a lab at once, each with a time limit."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from nodisk import run
from nodisk.check import (
    age,
    backup,
    class_registry,
    config,
    firmware,
    host,
    loaders,
    peers,
    ram,
    release,
    snippets,
    sync,
    timetable,
    tools,
    upgrade,
    wire,
)
from nodisk.check.findings import Finding, warning
from nodisk.context import LabContext
from nodisk.errors import NodiskError, describe
from nodisk.plan.budget import Budget
from nodisk.records import running
from nodisk.spec.model import Lab
from nodisk.state import LabState
from nodisk.values import KubeVersion
from nodisk.waiting import Deadline

log = logging.getLogger("nodisk.check")

LIMIT = 60.0
"""Seconds after which a hanging check is reported and abandoned."""

NAMES = (
    "tools",
    "interface",
    "ports",
    "dhcp",
    "duplicates",
    "clock",
    "disk",
    "sync",
    "mirror",
    "release",
    "image",
    "config",
    "registry",
    "upgrade",
    "butane",
    "firmware",
    "ram",
    "ssh",
    "loaders",
    "timetable",
    "peers",
    "backup",
    "kvm",
    "memory",
)


@dataclass(frozen=True, slots=True)
class Place:
    """The lab and where its segment is."""

    lab: Lab
    file: Path
    state: LabState
    virtual: bool
    netns: str | None
    """The network namespace of a virtual lab that runs."""
    upgrade_to: KubeVersion | None = None
    """The release to which the cluster might go; None: lab.yaml's."""


def checks(place: Place, budgets: list[Budget]) -> dict[str, Callable[[], list[Finding]]]:
    """The checks that apply in that place, by name."""
    lab, state = place.lab, place.state.state
    found: dict[str, Callable[[], list[Finding]]] = {"tools": lambda: tools.tools(lab, virtual=place.virtual)}
    if not place.virtual or place.netns:
        pid = running.pid(place.state)
        if place.netns is None:
            for name in wire.CHECKS:
                found[name] = lambda name=name: wire.check(name, lab, pid)  # type: ignore[misc]
        else:
            netns = place.netns
            found["interface and the rest of the wire"] = lambda: _inside(place.file, netns, pid)
    found["clock and mirror"] = lambda: host.clock_and_mirror(state, lab)
    found["release and disk"] = lambda: release.release_and_disk(state, lab)
    found["image"] = lambda: age.image(state, lab)
    if not place.virtual or place.netns:  # its machines may run
        found["config"] = lambda: config.config(place.state, lab)
    found["registry"] = lambda: class_registry.registry(lab, place.state)
    if lab.has_cluster:
        context = LabContext(lab, place.file, place.state, place.netns)
        found["upgrade"] = lambda: upgrade.upgrade(context, place.upgrade_to)
        found["sync"] = lambda: sync.sync(place.state)  # etcd waits for the disk
    found["butane"] = lambda: snippets.butane(state, lab, place.file)
    found["firmware"] = lambda: firmware.firmware(place.state, lab)
    found["ram"] = lambda: [*ram.short(lab, ram.measured(state, lab)), *ram.ram(lab, budgets)]
    found["backup"] = lambda: backup.backup(lab, place.state)
    found["ssh"] = lambda: host.ssh_keys(lab, virtual=place.virtual)
    found["loaders"] = lambda: loaders.loaders(lab, place.state, virtual=place.virtual)
    if lab.timetable is not None:
        found["timetable"] = lambda: timetable.timetable(lab, place.file, virtual=place.virtual)
    if lab.peers is not None:
        found["peers"] = lambda: peers.peers(lab, place.state)
    if place.virtual:
        found["kvm"] = lambda: host.kvm(lab)
        if place.netns is None:  # when it runs, its machines have their memory already
            found["memory"] = lambda: host.memory(lab)
    return found


def _inside(file: Path, netns: str, server_pid: int | None) -> list[Finding]:
    """Run the network checks in another network namespace, which takes another process."""
    argv = [sys.executable, "-m", "nodisk.check.inside", str(file), str(server_pid or 0), *wire.CHECKS]
    done = run.run(argv, netns=netns, timeout=LIMIT)
    return [Finding.from_json(value) for value in json.loads(done.stdout)]


def run_all(place: Place, budgets: list[Budget], waiting: Callable[[list[str]], None]) -> list[Finding]:
    """Run every check at the same time and return the findings, sorted by ``NAMES``.

    ``waiting`` gets the names of the checks that are not done, whenever one ends and at least every second.
    """
    found = list[Finding]()
    pool = ThreadPoolExecutor(16)
    try:
        todo = {pool.submit(check): name for name, check in checks(place, budgets).items()}
        for done, left in _in_turn(todo):
            if done is not None:
                found += findings_of(todo[done], done)
            waiting(left)
        found += [warning(name.split(maxsplit=1)[0], f"timed out after {LIMIT:.0f} seconds") for name in _late(todo)]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return sorted(found, key=lambda finding: NAMES.index(finding.check))


def _in_turn(todo: dict[Future[list[Finding]], str]) -> Iterator[tuple[Future[list[Finding]] | None, list[str]]]:
    """Each future as it ends (None: a second passed) with the names of the rest, until all end or time is up."""
    pending, deadline = set(todo), Deadline(LIMIT)
    while pending and not deadline.passed:
        done, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
        names = [todo[future] for future in pending]
        for future in done:
            yield future, names
        if not done:
            yield None, names


def _late(todo: dict[Future[list[Finding]], str]) -> list[str]:
    return [name for future, name in todo.items() if not future.done()]


def findings_of(name: str, done: Future[list[Finding]]) -> list[Finding]:
    """An error in a check becomes a finding; the other checks go on."""
    try:
        return done.result()
    except NodiskError as problem:
        return [warning(name.split(maxsplit=1)[0], f"check failed to run: {problem.message}", problem.hint or "")]
    except OSError as problem:
        return [warning(name.split(maxsplit=1)[0], f"check failed to run: {problem}")]
    except Exception as problem:
        log.info("check %s", name, exc_info=True)
        hint = "this is a bug in nodisk; please report it with the output of nodisk -v check"
        return [warning(name.split(maxsplit=1)[0], f"check failed to run: {describe(problem)}", hint)]
