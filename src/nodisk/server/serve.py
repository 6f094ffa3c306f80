"""``nodisk serve``: from lab.yaml and the store to a server that answers machines, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodisk import files, ui
from nodisk.assets import built
from nodisk.errors import NodiskError, describe
from nodisk.pki.authority import Authority
from nodisk.plan import cluster_dns
from nodisk.plan.daemons import CLASS_REGISTRY, Host
from nodisk.records import host as host_record
from nodisk.records import running
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.running import Ready
from nodisk.server import (
    arp,
    assets,
    background,
    class_registry_disk,
    class_registry_mount,
    daemons,
    host,
    metrics,
    names,
    nodes,
    renewal,
    seed,
    unix_http,
)
from nodisk.server.app import application
from nodisk.server.class_registry import Rights
from nodisk.server.cluster_work import ClusterWork, Work
from nodisk.server.handlers.common import AppState
from nodisk.server.kubelets import Kubelets
from nodisk.server.layers import Asking, Layers
from nodisk.server.log_records import LogRecords
from nodisk.server.notify import notify
from nodisk.server.supervisor import Supervisor
from nodisk.spec.model import Lab
from nodisk.state import LabState

log = logging.getLogger("nodisk.server")

Beside = Callable[[Lab, Callable[[str], None]], Coroutine[Any, Any, None]]
"""Gets the lab and a function for messages; runs until it is cancelled."""


@dataclass(slots=True)
class Server:
    """A lab's server; ``run`` serves until SIGTERM or SIGINT. SIGHUP: read lab.yaml and the PKI again."""

    state: LabState
    load: Callable[[], Lab]
    """Reads lab.yaml; raises SpecError."""
    beside: Mapping[str, Beside] = field(default_factory=dict)
    """Work that runs beside the server without being part of it, by description."""
    quiet: bool = False
    _signals: list[signal.Signals] = field(default_factory=list)

    def run(self) -> None:
        """Serve; raises Busy if this lab's server already runs, and errors that keep it from starting."""
        self.state.run.mkdir(parents=True, exist_ok=True)
        with (
            files.lock(self.state.run / running.LOCK, f"the server of {self.state.name}"),
            _record(self.state) as database,
        ):
            asyncio.run(self._serve(database))

    async def _serve(self, database: Database) -> None:
        loop = asyncio.get_running_loop()
        wake = asyncio.Event()
        signals = self._signals

        def on_signal(number: signal.Signals) -> None:
            signals.append(number)
            wake.set()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal, number)
        again = True
        lab = self.load()
        while again:
            again = False
            life = asyncio.create_task(self._run(lab, database, wake))
            await life
            if signals and all(number is signal.SIGHUP for number in signals):
                signals.clear()
                wake.clear()
                again = True
                lab = self._reload(lab, database)

    def _reload(self, old: Lab, database: Database) -> Lab:
        """Reload lab.yaml; keep the old one if the new one has problems, or needs what is not built."""
        try:
            lab = self.load()
            found = assets.find(self.state, lab)
            cluster_dns.need_own(lab, coredns=found.release is not None and found.release.has_dns)
            assets.texts(lab, found, "", host.inspect(lab, self.state, uefi=found.uefi))
        except NodiskError as error:
            self._say(database, f"lab.yaml was not loaded: {error.message}")
            return old
        if lab.name != old.name:
            self._say(database, f"lab.yaml was not loaded: the lab is now named {lab.name}; start a server for it")
            return old
        self._say(database, "reloaded lab.yaml and the PKI")
        return lab

    async def _run(self, lab: Lab, database: Database, wake: asyncio.Event) -> None:
        """Serve one version of lab.yaml until ``wake``."""
        began = time.monotonic()
        # Before anything is read: a build meanwhile is then one that is missing.
        plan = built.fingerprint(self.state, lab)
        found = assets.find(self.state, lab)
        own_names = found.release is not None and not found.release.has_dns
        cluster_dns.need_own(lab, coredns=found.release is not None and found.release.has_dns)
        daemons.need_programs(lab, names=own_names)
        place = host.inspect(lab, self.state, uefi=found.uefi)
        authority = Authority(self.state, lab)
        authority.ensure()
        texts = assets.texts(lab, found, authority.ca_pem, place)
        asking = Asking(place.run / "registry.sock") if lab.peers is not None and lab.has_cluster else None
        app_state = self._app_state(lab, AppState(texts, authority, database), place, asking)
        assets.publish_loaders(found, place.tftp, app_state.texts.grub_entry())
        daemons.write(lab, place)
        if own_names:
            names.prepare(lab, place)
        host_record.write(place, self.state.host)
        host.check_readable(place)
        host.check_free(host.bound_ports(lab, place.interface, names=own_names))

        say = functools.partial(self._say, database)
        supervisor = Supervisor(self.state.log, say)
        lines = LogRecords(app_state)
        async with (
            class_registry_mount.mounted(lab, self.state, say) as app_state.class_fullness,
            _application(app_state, place, wake),
            _closing(app_state.kubelets, asking, app_state.class_rights),
        ):
            students = app_state.class_fullness is not None and not app_state.class_fullness.trouble
            await self._collect_garbage(lab, place, say, students=students)
            programs = daemons.daemons(
                lab,
                place,
                etcd_program=_etcd(found),
                on_dnsmasq=lines.dnsmasq,
                on_nginx=lines.nginx,
                names=own_names,
                students=students,
            )
            await _unless(wake, supervisor.start(programs))
            if wake.is_set():
                await supervisor.stop()
                return
            cluster = ClusterWork(lab, place, self.state, supervisor, say, rulesets=app_state.rulesets)
            tasks: dict[str, Work] = {
                "renewing certificates": lambda: renewal.keep(authority, say, running.reload_self),
                **cluster.tasks(found, own_names=own_names),
            }
            tasks |= {what: functools.partial(work, lab, say) for what, work in self.beside.items()}
            beside = [asyncio.create_task(background.keep(what, work, say), name=what) for what, work in tasks.items()]
            try:
                running.announce(self.state, _ready(lab, plan, found, supervisor))
                notify(f"READY=1\nSTATUS=serving {lab.name} at {lab.network.server}")
                self._say(database, f"ready after {time.monotonic() - began:.1f} s at {lab.network.server}")
                await wake.wait()
            finally:
                running.withdraw(self.state)
                notify("STOPPING=1" if signal.SIGHUP not in self._signals else "RELOADING=1")
                cluster.stop()
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                await supervisor.stop()
                await cluster.close()
                self._say(database, "stopped")

    def _app_state(self, lab: Lab, plain: AppState, place: Host, asking: Asking | None) -> AppState:
        """With what the handlers ask of others."""
        plain.holder = arp.Neighbours(place.interface).holder
        plain.ready = functools.partial(nodes.ready, self.state)
        plain.menu_password = self.state.menu_password
        plain.chosen = functools.partial(metrics.chosen, self.state)
        if lab.has_cluster:
            plain.kubelets = Kubelets.of(lab, plain.authority.folder)
        if lab.peers is not None and asking is not None:
            plain.layers = Layers(lab.peers.rate.bytes, asking.has)
            plain.size_of = asking.size
        if lab.has_cluster and lab.class_registry is not None:
            plain.class_rights = Rights.of(lab, plain.authority.folder)
        return plain

    async def _collect_garbage(self, lab: Lab, place: Host, say: Callable[[str], None], *, students: bool) -> None:
        """In the registries, which don't run yet; ``students``: also in theirs."""
        if lab.has_cluster:
            await seed.collect_garbage(self.state.registry, place.conf / "registry.yaml", say)
        if students:
            config = place.conf / f"{CLASS_REGISTRY}.yaml"
            try:  # whatever students put there keeps no room from booting
                await asyncio.to_thread(class_registry_disk.tidy, self.state.class_registry)
                await seed.collect_garbage(self.state.class_registry, config, say)
            except Exception as error:
                say(f"class registry: it could not be tidied: {describe(error)}")

    def _say(self, database: Database, text: str) -> None:
        """Record and print a sentence. Raises nothing, so that callers go on even if the disk is full."""
        try:
            database.record(Kind.DAEMON, text, source="serve")
        except Exception as error:
            log.error("not recorded (%s): %s", describe(error), text)
        if not self.quiet:
            with contextlib.suppress(OSError):
                ui.say(text)


def _ready(lab: Lab, plan: str, found: assets.Built, supervisor: Supervisor) -> Ready:
    return Ready(
        pid=os.getpid(),
        since=time.time(),
        server=str(lab.network.server),
        plan=plan,
        objects=tuple(found.objects),
        daemons=supervisor.pids(),
    )


def _etcd(found: assets.Built) -> Path | str:
    """The release's own etcd if it has one, otherwise Debian's."""
    own = found.release_bin / "etcd" if found.release_bin is not None else None
    return own if own is not None and own.exists() else "etcd"


@contextlib.contextmanager
def _record(state: LabState) -> Iterator[Database]:
    with Database(state.database) as database:
        yield database


@contextlib.asynccontextmanager
async def _application(app_state: AppState, place: Host, wake: asyncio.Event) -> AsyncIterator[None]:
    """The HTTP application on its unix socket, which only nginx' workers may reach."""
    async with unix_http.serving(application(app_state), place.run / "app.sock", place.web_user, "application") as task:
        task.add_done_callback(lambda _: wake.set())
        yield


@contextlib.asynccontextmanager
async def _closing(*clients: Kubelets | Asking | Rights | None) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for client in clients:
            if client is not None:
                await client.close()


async def _unless(wake: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` unless a signal comes first; then it is cancelled."""
    doing = asyncio.create_task(work)
    waiting = asyncio.create_task(wake.wait())
    await asyncio.wait([doing, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not doing.done():
        doing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await doing
