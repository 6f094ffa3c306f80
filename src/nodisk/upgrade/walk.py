"""Doing an upgrade's steps: empty nodes, boot them, wait until they are Ready on the build they should have, test.

What touches machines is handed in (``Edges``). Everything else is the API's, the records' and the journal's.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn

from nodisk import ui
from nodisk.assets import holds
from nodisk.assets.holds import Build
from nodisk.assets.store import disk_errors
from nodisk.check import age
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.kube import drain
from nodisk.kube.client import Object, connect
from nodisk.kube.errors import ApiError, Unreachable
from nodisk.kube.objects import boot_id
from nodisk.kube.objects import holds as is_true
from nodisk.upgrade import begin
from nodisk.upgrade import journal as journals
from nodisk.upgrade.journal import Journal
from nodisk.values import KubeVersion, Role
from nodisk.waiting import Deadline

LOOK_AGAIN = 1.0
DRAIN, BOOT, PATIENCE = 300.0, 900.0, 10.0
"""Seconds, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Edges:
    """What a walk does to machines and to the cluster as a whole."""

    boot: Callable[[tuple[str, ...]], None]
    """Switch these off and on; raises NodiskError where that is known to have failed."""
    verify: Callable[[], None]
    """Test the cluster; raises NodiskError."""
    serve: Callable[[], None]
    """Have the server serve the current build, and those at which machines are held."""
    armed: Callable[[float], AbstractContextManager[object]]
    """While it lasts, for so many seconds at most, machines may enrol."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and what happens at their end."""

    drain: float = DRAIN
    """For pods to leave the nodes of a step."""
    boot: float = BOOT
    """For the machines of a step to be back."""
    leave_pods: bool = False
    """Boot a node though pods of it didn't go in time; otherwise the upgrade stops before it."""
    api: float = PATIENCE
    """For an API that doesn't answer, before a step begins."""


@dataclass(slots=True)
class Walk:
    """One lab's upgrade, from where its journal stands."""

    context: LabContext
    current: Build
    """The build to which it goes."""
    edges: Edges
    limits: Limits
    journal: Journal

    def start(self) -> None:
        """Keep the journal, hold whose turn has not come, and have the server serve both builds."""
        self.journal = journals.write(self.context.state, self.journal)
        begin.keep(self.context, self.journal)
        self.edges.serve()

    def run(self) -> None:
        """Do all steps that are left; raises NodiskError at the first failure, with what to do next."""
        steps = self.journal.left
        for number, names in enumerate(steps, 1):
            ui.say(f"step {number} of {len(steps)}: {', '.join(names)}")
            self._step(names)

    def _step(self, names: tuple[str, ...]) -> None:
        # A step that was begun before, or a way back, may be what brings the API back.
        blind = self.journal.back or self.journal.away == names
        was = self._boots_or(names) if blind else self._boots(names)
        self.journal = journals.write(self.context.state, self.journal.begin(names, was))
        self._aim(names, back=self.journal.back)
        # Some may be back already, where the command was run again.
        waiting = tuple(self._missing(names, self.journal.boots, back=self.journal.back))
        if waiting:
            with self._emptied(waiting, blind=blind):
                missing = self._boot(waiting, back=self.journal.back)
            if missing:
                self._failed(missing)
        self._reopen(names)  # what a killed one left closed
        try:
            self.edges.verify()
        except NodiskError as error:
            raise self._stopped(f"{', '.join(names)}: back, but {error.message}") from error
        self.journal = journals.write(self.context.state, self.journal.end())

    def _aim(self, names: tuple[str, ...], *, back: bool) -> None:
        """What the server hands these machines from now on."""
        macs = {name: machine.mac for name in names if (machine := self.context.lab.machine(name)) is not None}
        wishes = {mac: self._target(name, back=True) for name, mac in macs.items()} if back else {}
        with disk_errors(self.context.state.root):
            holds.change(self.context.state, wishes, () if back else [*macs.values()], forget=False)

    def _target(self, name: str, *, back: bool) -> Build:
        if not back:
            return self.current
        key = self.journal.before[name]
        try:
            return holds.read(self.context.state).builds[key]
        except KeyError as error:
            raise NodiskError(
                f"the build that {name} had is no longer known", hint="nodisk rollback makes the build before current"
            ) from error

    def _boots(self, names: tuple[str, ...]) -> dict[str, str]:
        """The boots in which the nodes are now; raises ApiError, so that nothing is begun without an API."""
        with connect(self.context, patience=self.limits.api, say=ui.say) as client:
            found = {node["metadata"]["name"]: boot_id(node) for node in client.list("v1", "Node")}
        return {name: found.get(name) or "" for name in names}

    @contextlib.contextmanager
    def _emptied(self, names: tuple[str, ...], *, blind: bool) -> Iterator[None]:
        """Close the nodes and empty them; open them again however it ends. ``blind``: also where no API answers."""
        try:
            try:
                self._empty(names)
            except Unreachable as error:
                if not blind:
                    raise
                ui.say(f"pods could not be moved: {error.message}")
            yield
        finally:
            self._reopen(names)

    def _empty(self, names: tuple[str, ...]) -> None:
        with connect(self.context, patience=self.limits.api, say=ui.say) as client:
            there = [name for name in names if drain.cordon(client, name)]
            left = drain.evict(client, there, self.limits.drain) if there else []
        if left and not self.limits.leave_pods:
            raise self._stopped(
                f"pods did not leave {', '.join(there)} within {self.limits.drain:g} s: {', '.join(left)}",
                "a PodDisruptionBudget may forbid it, and --leave-pods boots their nodes anyway; ",
            )
        if left:
            ui.say(f"still there, and goes down with its node: {', '.join(left)}")

    def _reopen(self, names: tuple[str, ...]) -> None:
        try:
            with connect(self.context, patience=0.0, within=10.0) as client:
                drain.reopen(client, names)
        except NodiskError as error:
            ui.say(f"closed to new pods until kubectl uncordon: {', '.join(names)} ({error.message})")

    def _boot(self, names: tuple[str, ...], *, back: bool) -> dict[str, str]:
        """Boot machines and wait; those that are not back in time, each with what is known of it."""
        ui.say(f"booting {', '.join(names)}")
        deadline, gap = Deadline(self.limits.boot), _Gap()
        was = self._boots_or(names)
        with self.edges.armed(self.limits.boot):
            try:
                self.edges.boot(names)
            except NodiskError as error:
                return dict.fromkeys(names, error.message)
            while True:
                missing = self._missing(names, was, back=back, gap=gap)
                if not missing or not deadline.pause(LOOK_AGAIN):
                    break
        if gap.longest:
            ui.say(f"the API was away for {gap.longest:.0f} s at most")
        return missing

    def _boots_or(self, names: tuple[str, ...]) -> dict[str, str]:
        """As ``_boots``, where nothing depends on an answer: on the way back the API may be what is broken."""
        try:
            return self._boots(names)
        except ApiError:
            return dict(self.journal.boots)

    def _missing(
        self, names: tuple[str, ...], was: Mapping[str, str], *, back: bool, gap: _Gap | None = None
    ) -> dict[str, str]:
        """Those of the machines that are not back from a boot of the build that they should have → why."""
        scripts = age.booted(self.context.state.state, self.context.lab)
        try:
            with connect(self.context, patience=0.0, within=10.0) as client:
                nodes = {node["metadata"]["name"]: node for node in client.list("v1", "Node")}
        except ApiError as error:
            if gap is not None:
                gap.seen(answers=False)
            return dict.fromkeys(names, f"the API doesn't answer: {error.message}")
        if gap is not None:
            gap.seen(answers=True)
        found = {}
        for name in names:
            target = self._target(name, back=back)
            reason = _reason(nodes.get(name), scripts.get(name, ""), target, was.get(name, ""))
            if reason:
                found[name] = reason
        return found

    def _failed(self, missing: Mapping[str, str]) -> NoReturn:
        """Machines are not back. The first of an upgrade go back to the build that they had, by themselves."""
        words = "; ".join(f"{name}: {why}" for name, why in missing.items())
        names = tuple(missing)
        first = not self.journal.back and not self.journal.done
        if not first or not all(name in self.journal.before for name in names) or self.crossed(names):
            raise self._stopped(f"not back within {self.limits.boot:g} s: {words}")
        ui.say(f"not back within {self.limits.boot:g} s: {words}; going back to the build before")
        self._aim(names, back=True)
        lost = self._boot(names, back=True)
        self._reopen(names)
        if lost:
            words += "; nor with the build before: " + "; ".join(f"{name}: {why}" for name, why in lost.items())
            raise self._stopped(f"not back: {words}")
        raise self._stopped(f"did not come back on the new build, and runs the one before again: {words}")

    def crossed(self, names: tuple[str, ...]) -> bool:
        """Whether one is a control plane whose new API server may have written what an older one can't read.

        Where the API doesn't answer, nobody can tell: it may be what one goes back from.
        """
        planes = [str(one.name) for one in self.context.lab.by_role(Role.CONTROL_PLANE) if str(one.name) in names]
        release = self._target(planes[0], back=True).facts[1] if planes else None
        if release is None:
            return False
        try:
            with connect(self.context, patience=0.0, within=10.0) as client:
                return client.version().line > release.version.line
        except ApiError:
            return False

    def _stopped(self, message: str, more: str = "") -> NodiskError:
        """Where it stands, and what to do next."""
        left = sum(map(len, self.journal.left))
        stands = f"{len(self.journal.done)} machines are done, {left} are not"
        again = "nodisk upgrade --back continues" if self.journal.back else "nodisk upgrade continues, --back goes back"
        return NodiskError(f"stopped: {message} ({stands})", hint=f"{more}nodisk events says what happened; {again}")


class _Gap:
    """How long the API did not answer, at most: between the last two answers around it."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._answered = time.monotonic()
        self._lost = False

    def seen(self, *, answers: bool) -> None:
        """It was just asked."""
        now = time.monotonic()
        if answers and self._lost:
            self.longest = max(self.longest, now - self._answered)
        if answers:
            self._answered = now
        self._lost = not answers


def _reason(node: Object | None, script: str, target: Build, was: str) -> str:
    """Why a machine is not back on a build; '' if it is. Pure."""
    if target.rootfs not in script:
        return "has not asked for the build that it should boot"
    if node is None:
        return "has not joined"
    if (boot_id(node) or "") == was:
        return "its node is still that of the boot before"
    if not is_true(node, "Ready"):
        return "its node is not Ready"
    said = str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion", ""))
    release = target.facts[1]
    if release is not None and KubeVersion.printed(said).key != release.version.key:
        return f"its kubelet is {said}, not {release.version}"
    return ""
