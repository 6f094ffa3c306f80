"""Watch the cluster's nodes: when a machine of the lab is joined and ready, and what only the server may set on it.

A node is joined when its ``bootID`` is one that this lab's machine has now, and ready when its Ready condition is then
True: after a power cut, the old object's condition proves nothing.

A machine that seems to boot (its script was fetched, or its NIC asked by DHCP), but whose kubelet goes on reporting
from the previous boot, has not been power-cycled: something else sent the request, and its stage is what it was before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from nodisk.assets import addon_source, built
from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError, SpecError, describe
from nodisk.kube import addon_sets, addons, kubeconfig, tokens
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError, Overloaded, Unreachable
from nodisk.kube.objects import boot_id, condition, holds, readiness
from nodisk.kube.watch import Change, Watch
from nodisk.records.database import Database
from nodisk.records.events import Kind, Progress, progress
from nodisk.server import addon_images, marks
from nodisk.spec.model import Lab, Machine
from nodisk.state import LabState
from nodisk.values import Stage

log = logging.getLogger("nodisk.server")

ASK = 3.0
"""Seconds for an answer of the API that a machine's firmware waits for."""
APART = 120.0
"""Maximum error of a machine's clock in seconds (the initramfs sets it if it is a minute off)."""


def heartbeat(node: dict[str, Any]) -> float | None:
    """When its kubelet last wrote the Ready condition, by the machine's clock; None: never, or unreadable."""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(str(condition(node, "Ready").get("lastHeartbeatTime"))).timestamp()
    return None


def still_runs(node: dict[str, Any], known: Progress) -> bool:
    """Whether a boot that has not reported its id yet is no boot: the node reports as Ready long after it began."""
    beat = heartbeat(node)
    begun = known.stage in (Stage.DHCP, Stage.IPXE) and known.boot_id is None and known.since is not None
    return bool(begun and beat and beat > (known.since or 0) + APART and holds(node, "Ready"))


def api(state: LabState) -> Client:
    """The API as the server itself reaches it."""
    # No patience: the watch itself goes on over a server that is away, and ends soon when it is told to.
    return Client(kubeconfig.load(state.admin_kubeconfig), patience=0)


def _connect_briefly(state: LabState) -> Client:
    return Client(kubeconfig.load(state.admin_kubeconfig), patience=0, within=ASK)


async def ready(state: LabState, name: str, connect: Callable[[LabState], Client] = _connect_briefly) -> bool:
    """Whether the API says now that a node is Ready; False too if it can't be asked or doesn't answer in time."""

    def ask() -> bool:
        with connect(state) as client:
            return holds(client.get("v1", "Node", name), "Ready")

    try:
        return await asyncio.to_thread(ask)
    except (NodiskError, OSError) as error:
        log.info("whether %s is Ready: %s", name, describe(error))
        return False


@dataclass(slots=True)
class Watcher:
    """Follows the nodes in a separate thread (the API client is synchronous) with its own database connection."""

    lab: Lab
    state: LabState
    connect: Callable[[LabState], Client] = api
    """How to reach the API: from the server itself, by its address."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watch: Watch | None = None
    _prepared: bool = False
    _seen: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    """Node → boot and Ready condition as last recorded."""

    async def run(self) -> None:
        """Watch until ``stop``."""
        await asyncio.to_thread(self._run)

    def stop(self) -> None:
        """End the thread soon."""
        self._stopping.set()
        if self._watch is not None:
            self._watch.close()

    def _run(self) -> None:
        with Database(self.state.database) as database:
            while not self._stopping.is_set():
                try:
                    self._follow(database)
                except NodiskError as error:
                    log.info("watching nodes: %s", error.message)
                except Exception:
                    log.exception("watching nodes")
                self._stopping.wait(2)

    def _follow(self, database: Database) -> None:
        with self.connect(self.state) as client:
            self.prepare(database, client)
            self._watch = Watch(client, "v1", "Node")
            if self._stopping.is_set():
                return
            with self._watch as watch:
                for change in watch:
                    if change.change is not Change.DELETED:
                        self._take(database, client, change.object)

    def prepare(self, database: Database, client: Client) -> None:
        """What is done once after each start of the server, as soon as the API answers; raises ApiError until then."""
        if self._prepared:
            return
        if count := tokens.renew(client, (self.state.pki / "sa.pub").read_bytes()):
            database.record(
                Kind.DAEMON, f"{count} service account tokens of an older key are being recreated", source="api"
            )
        applied, problems = 0, list[str]()
        for read in (self._network_addons, lambda: addons.read(self.state.root / addons.FOLDER)):
            try:
                objects, bad = read()
                count, refused = addons.apply(client, objects)
                refused = bad + refused
            except (SpecError, EnvironmentProblem, IntegrityError) as error:
                count, refused = 0, [error.message]
            except Exception as error:  # whatever a file of the user's holds, the nodes are watched
                log.exception("add-ons")
                count, refused = 0, [f"add-ons: {describe(error)}"]
            applied, problems = applied + count, problems + refused
        problems += self.apply_addons(client)
        for text in (*([f"{applied} add-on objects applied"] if applied else []), *problems):
            database.record(Kind.DAEMON, text, source="api")
        self._prepared = True

    def apply_addons(self, client: Client) -> list[str]:
        """Apply lab.yaml's add-ons; returns what happened, in sentences, and raises only if the API is away."""
        try:
            read = addon_source.Sources.of(self.lab, self.state).read
            done = list(addon_sets.apply(client, self.lab.addons, read))
            names = {str(addon.name) for addon in self.lab.addons}
            left = [one.name for one in done if one.name not in names and not one.outcome.problems]
            gone = addon_images.forget(self.state, left)
            return [
                *(one.summary for one in done if one.summary),
                *(f"image {image} is no longer mirrored: no add-on uses it" for image in gone),
            ]
        except (Unreachable, Overloaded):
            raise
        except Exception as error:  # whatever an add-on holds, the nodes are watched
            log.exception("add-ons")
            return [f"add-ons: {describe(error)}"]

    def _network_addons(self) -> tuple[list[tuple[Path, Object]], list[str]]:
        files = built.addon_files(self.state.state, self.lab)
        return list(addons.of_network(self.lab, files)), []

    def _take(self, database: Database, client: Client, node: dict[str, Any]) -> None:
        machine = self.lab.machine(node["metadata"]["name"])
        if machine is None:
            return
        self._stage(database, machine, node)
        try:
            marks.reconcile(client, machine, node)
        except (Unreachable, Overloaded):
            raise  # the watch starts over, with every node: an idle one changes only every few minutes
        except ApiError as error:  # the next change of the node tries again
            log.info("labels and taints of %s: %s", machine.name, error.message)

    def _stage(self, database: Database, machine: Machine, node: dict[str, Any]) -> None:
        name, mac = str(machine.name), machine.mac
        now = (boot_id(node), readiness(node))
        before = self._seen.get(name)
        if now[0] is None:
            return
        known = progress(database.events(mac=mac, kinds=(Kind.STAGE,), limit=200))
        earlier = known.stage is not None and known.boot_id != now[0]
        if (now == before or earlier) and not still_runs(node, known):
            return  # nothing new, or the object of an earlier boot: wait for this one's kubelet
        self._seen[name] = now
        reached = {stage for stage, _ in known.times}
        if Stage.JOINED not in reached:
            self._record(database, machine, Stage.JOINED, now[0])
        if now[1] == "True" and Stage.READY not in reached:
            self._record(database, machine, Stage.READY, now[0])
        elif before is not None and before[0] == now[0] and before[1] != now[1] and Stage.READY in reached:
            text = "the node is Ready again" if now[1] == "True" else f"the node's Ready condition is {now[1]}"
            database.record(Kind.NODE, text, source="api", mac=mac, machine=name, boot_id=now[0])

    def _record(self, database: Database, machine: Machine, stage: Stage, boot: str | None) -> None:
        database.record(
            Kind.STAGE, "", source="api", mac=machine.mac, machine=str(machine.name), boot_id=boot, stage=stage
        )
