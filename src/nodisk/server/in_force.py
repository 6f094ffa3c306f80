"""The version of lab.yaml that is in force, and how another takes its place: what is the same for both is not touched.

===========================  ==========================================================================
goes on                      daemons that are made of the same; students' storage, if the NFS server
                             sees no difference, and their images', if its limits are the same; the
                             application's socket and the requests on it; what is ``lasting`` (the console)
is changed, with no gap      what the application answers with
is stopped and started       daemons that are made of something else; then what works beside them for
                             one version: watches of the cluster, the timetable, the registry's filling
===========================  ==========================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Protocol

from nodisk.errors import describe
from nodisk.plan.daemons import CLASS_REGISTRY
from nodisk.records import running
from nodisk.records.database import Database
from nodisk.server import arp, background, class_registry_garbage, host, metrics, nodes, renewal, seed, version
from nodisk.server.app import application
from nodisk.server.class_registry import Rights
from nodisk.server.class_registry_mount import Mounted
from nodisk.server.cluster_work import FOLLOW, ClusterWork, Work
from nodisk.server.exchangeable import Exchangeable
from nodisk.server.handlers.common import AppState
from nodisk.server.kubelets import Kubelets
from nodisk.server.layers import Asking, Layers
from nodisk.server.log_records import LogRecords
from nodisk.server.storage_work import StorageWork
from nodisk.server.supervisor import Daemon, Supervisor
from nodisk.server.version import Version
from nodisk.spec.model import Lab
from nodisk.state import LabState

Say = Callable[[str], None]
"""Gets a sentence for administrators."""
Beside = Callable[[Lab, Say], Coroutine[Any, Any, None]]
"""Works beside the server without being part of it, for one version of lab.yaml; runs until it is cancelled."""

THREADS_WITHIN = 3.0
"""Seconds in which threads that follow the cluster end, so that none writes what those of the next version have
replaced; one that hangs in a request isn't waited for any longer."""


class Lasting(Protocol):
    """Works beside the server, and goes on when lab.yaml changes."""

    def take(self, lab: Lab) -> None:
        """From now on, this is the lab."""

    async def keep(self, say: Say) -> None:
        """Work until it is cancelled; ``take`` has been called before."""


class NotTaken(Exception):
    """A version could not be put in force, so the one before is; the message says why."""


class InForce:
    """Serves a version, from ``begin`` until ``end``."""

    def __init__(
        self,
        state: LabState,
        database: Database,
        say: Say,
        first: Version,
        *,
        beside: Mapping[str, Beside],
        lasting: Mapping[str, Lasting],
    ) -> None:
        self.version = first
        self.supervisor = Supervisor(state.log, say)
        self.application = Exchangeable()
        self._state = state
        self._database = database
        self._say = say
        self._beside = beside
        self._lasting = lasting
        self._asking = Asking(state.run / "registry.sock")
        self._images = Mounted(state, say)
        self._app_state = self._state_by(first, None)
        self._lines = LogRecords(self._app_state)
        self._storage = StorageWork(state, say)
        self._cluster: ClusterWork | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._lasting_tasks: list[asyncio.Task[None]] = []
        self._answer_by(first, self._app_state)

    async def begin(self) -> None:
        """Start everything; raises what keeps it from starting. ``end`` has to follow in any case."""
        first = self.version
        await asyncio.to_thread(version.put, self._state, first)
        host.check_free(first.ports)
        await self._images.take(first.lab)
        self._app_state.class_fullness = self._images.fullness
        await self._collect_garbage(first)
        await self._run(first)
        await self._work_by(first)
        self._lasting_tasks += [self._keep(what, one.keep) for what, one in self._lasting.items()]

    async def change(self, new: Version) -> tuple[str, ...]:
        """Put another version in force; returns the daemons that were started for it.

        Raises NotTaken, after which all is as before; and anything else if not even that can be had.
        """
        bound = {(port.address, port.number, port.udp) for port in self.version.ports}
        try:
            host.check_free(port for port in new.ports if (port.address, port.number, port.udp) not in bound)
            await asyncio.to_thread(version.put, self._state, new)
            app_state = self._state_by(new, self._app_state)
        except Exception as error:
            await self._put_back()
            raise NotTaken(describe(error)) from error
        try:
            started = await self._run(new)
        except Exception as error:
            await self._put_back()
            await self._run(self.version)
            raise NotTaken(describe(error)) from error
        app_state.class_fullness = self._images.fullness
        self.version, self._app_state = new, app_state
        self._answer_by(new, app_state)
        await self._work_by(new)
        return started

    async def end(self) -> None:
        """Stop everything but the application."""
        self._app_state.rulesets.close()
        for task in self._lasting_tasks:
            task.cancel()
        await self._end_work()
        await asyncio.gather(*self._lasting_tasks, return_exceptions=True)
        await self._storage.close()
        await self.supervisor.stop()
        await self._images.close()

    async def close(self) -> None:
        """The application has answered its last request."""
        await self.application.close()
        await self._asking.close()

    async def _put_back(self) -> None:
        """Write the files of the version that is in force once more."""
        with contextlib.suppress(Exception):  # what is wrong has been found, and is about to be said
            await asyncio.to_thread(version.put, self._state, self.version)

    async def _run(self, wanted: Version) -> tuple[str, ...]:
        """Run its daemons, on its file systems; returns those that were started for it."""
        if not self._images.suits(wanted.lab):
            await self.supervisor.halt(CLASS_REGISTRY)
            await self._images.take(wanted.lab)
        return await self.supervisor.change(self._daemons(wanted))

    def _daemons(self, wanted: Version) -> tuple[Daemon, ...]:
        return wanted.daemons(self._lines.dnsmasq, self._lines.nginx, students=self._images.works)

    def _keep(self, what: str, work: Callable[[Say], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        kept = background.keep(what, functools.partial(work, self._say), self._say)
        return asyncio.create_task(kept, name=what)

    def _answer_by(self, wanted: Version, app_state: AppState) -> None:
        """Let this version answer those who ask, and read what daemons print."""
        clients = [one for one in (app_state.kubelets, app_state.class_rights) if one is not None]

        async def close() -> None:
            for client in clients:
                await client.close()

        self._lines.app_state = app_state
        self.application.use(application(app_state), close)
        for one in self._lasting.values():
            one.take(wanted.lab)

    def _state_by(self, wanted: Version, before: AppState | None) -> AppState:
        """What handlers ask of others; what they have counted and remembered is kept from ``before``."""
        lab, pki = wanted.lab, wanted.authority.folder
        fresh = AppState(wanted.texts, wanted.authority, self._database)
        found = fresh if before is None else replace(before, texts=wanted.texts, authority=wanted.authority)
        found.holder = arp.Neighbours(wanted.place.interface).holder
        found.ready = functools.partial(nodes.ready, self._state)
        found.menu_password = self._state.menu_password
        found.chosen = functools.partial(metrics.chosen, self._state)
        found.kubelets = Kubelets.of(lab, pki) if lab.has_cluster else None
        peers = lab.peers if lab.layers_between_machines else None
        if found.layers is None or before is None or before.texts.lab.peers != peers:
            found.layers = None if peers is None else Layers(peers.rate.bytes, self._asking.has)
        found.size_of = self._asking.size
        students = lab.class_registry if lab.has_cluster else None
        found.class_rights = None if students is None else Rights.of(lab, pki)
        return found

    async def _work_by(self, wanted: Version) -> None:
        """Let what works beside the daemons be that of a version."""
        await self._end_work(THREADS_WITHIN)
        lab, say = wanted.lab, self._say
        await self._storage.take(lab)
        changes = self._app_state.class_changes
        self._cluster = ClusterWork(
            lab, wanted.place, self._state, say, rulesets=self._app_state.rulesets, changes=changes
        )
        tasks: dict[str, Work] = {
            "renewing certificates": lambda: renewal.keep(wanted.authority, say, running.reload_self),
            **self._cluster.tasks(wanted.found, own_names=wanted.own_names),
        }
        if self._images.works:
            config = wanted.place.conf / f"{CLASS_REGISTRY}.yaml"
            collect = functools.partial(self._images.collect, config, young=class_registry_garbage.YOUNG)
            root = self._state.class_registry
            tasks["the class registry's garbage"] = lambda: class_registry_garbage.keep(changes, root, collect)
        tasks |= {what: functools.partial(work, lab, say) for what, work in self._beside.items()}
        self._tasks = {
            what: asyncio.create_task(background.keep(what, work, say), name=what) for what, work in tasks.items()
        }

    async def _end_work(self, patience: float = 0.0) -> None:
        """End it; ``patience``: seconds for threads to end."""
        if self._cluster is not None:
            self._cluster.stop()
        if patience and (following := [self._tasks[what] for what in FOLLOW if what in self._tasks]):
            await asyncio.wait(following, timeout=patience)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks, self._cluster = {}, None

    async def _collect_garbage(self, first: Version) -> None:
        """In the registries, which don't run yet."""
        lab, conf = first.lab, first.place.conf
        if lab.has_cluster:
            await seed.collect_garbage(self._state.registry, conf / "registry.yaml", self._say)
        await self._images.collect(conf / f"{CLASS_REGISTRY}.yaml")
