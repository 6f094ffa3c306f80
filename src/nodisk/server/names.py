"""The cluster's names where the release brings no CoreDNS: watched Services, EndpointSlices, pods → zones → unbound.

Where lab.yaml keeps classes' names apart, also the views by which the names' gate judges who may ask for what.

All kinds are followed; a thread writes the zones that changed and lets unbound load them. While the API is away, or
the server itself has only just started, the zones stay as they were last written: nothing is written before all kinds
have been listed once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nodisk import files, run
from nodisk.errors import NodiskError, describe
from nodisk.kube.client import Client
from nodisk.kube.errors import ApiError, NotFound, Overloaded, Unreachable
from nodisk.kube.watch import Change, WatchEvent
from nodisk.plan import cluster_dns, daemons_unbound, network, zones
from nodisk.plan.daemons import Host
from nodisk.plan.name_views import Judge, labels_of
from nodisk.plan.names import Key, Service, Slice, pod_records, records, service_of, slice_of
from nodisk.server import name_views
from nodisk.server.following import SETTLE, Following, key_of
from nodisk.server.nodes import api
from nodisk.spec.model import Lab
from nodisk.state import LabState
from nodisk.waiting import Deadline

log = logging.getLogger("nodisk.server")

LONGEST_PAUSE = 0.3
"""Between two writings there is as long a pause as the last one took, but no longer than this."""
AGAIN = 1.0
"""Seconds until what failed is tried again."""
RELEASED = 10.0
"""Seconds within which the API server frees a deleted Service's address: it tells of the deletion before it does."""
SLICES = ("discovery.k8s.io/v1", "discovery.k8s.io/v1beta1")
_SERVICE_OF = "kubernetes.io/service-name"


def prepare(lab: Lab, host: Host) -> None:
    """Make the zone files that are not there yet: unbound starts with what the last run left, or with empty zones."""
    for zone in zones.zones(lab):
        if not (path := daemons_unbound.zone_path(host, zone)).exists():
            files.write(path, zones.zone_file(lab, zone))
    (host.data / "names").chmod(0o755)
    if not lab.isolates_names:  # what is kept until it is wanted again would be of another cluster's past
        daemons_unbound.views_path(host).unlink(missing_ok=True)


def load(conf: Path, zone: str) -> None:
    """Let unbound load a zone's file, and forget what it has answered from the one before; raises CommandFailed.

    A zone is replaced as a whole: at no moment does a name vanish that is in both files.
    """
    for command in ("auth_zone_reload", "flush_zone"):
        run.run(["unbound-control", "-c", conf, command, f"{zone}."], timeout=30)


@dataclass(slots=True)
class Picture:
    """What is known of the cluster, and the lines of zone files that follow from it. Not for several threads."""

    lab: Lab
    _zones: frozenset[str] = field(init=False)
    _services: dict[Key, Service] = field(default_factory=dict)
    _slices: dict[Key, dict[str, Slice]] = field(default_factory=dict)
    """By Service, and then by the slice's own name."""
    _owners: dict[Key, Key] = field(default_factory=dict)
    """Slice → its Service: of a slice that vanished unseen only the name is told."""
    _blocks: dict[str, dict[Key, str]] = field(default_factory=dict)
    """Zone → Service → its lines; in the zone of pods' names, pod → its line."""
    _pods: set[Key] = field(default_factory=set)
    _changed: set[Key] = field(default_factory=set)
    _stale: set[str] = field(init=False)
    _judge: Judge | None = field(init=False)
    """None: all names are everybody's."""
    _common: frozenset[str] = frozenset()
    """The namespaces that are no class's."""

    def __post_init__(self) -> None:
        self._judge = daemons_unbound.judge(self.lab) if self.lab.isolates_names else None
        self._zones = frozenset(zones.zones(self.lab))
        self._stale = set(self._zones)

    def services(self) -> set[Key]:
        """The Services that are known."""
        return set(self._services)

    def slices(self) -> set[Key]:
        """The EndpointSlices that are known."""
        return set(self._owners)

    def pods(self) -> set[Key]:
        """The pods that are known."""
        return set(self._pods)

    def take_pod(self, event: WatchEvent) -> bool:
        """A change of a pod; only those of its addresses matter."""
        key, block = key_of(event.object), self._blocks.setdefault(zones.PODS, {})
        before = block.pop(key, "")
        if event.change is Change.DELETED:
            self._pods.discard(key)
        else:
            self._pods.add(key)
            told = pod_records(event.object, network.CLUSTER_DOMAIN)
            if line := zones.lines(told, self._zones).get(zones.PODS):
                block[key] = line
        if block.get(key, "") == before:
            return False
        self._stale.add(zones.PODS)
        return True

    def take_common(self, common: frozenset[str]) -> None:
        """Which namespaces are no class's: by that a Service may be an alias, where names are kept apart."""
        if self._judge is not None and common != self._common:
            self._common = common
            self._changed |= {key for key, service in self._services.items() if service.external is not None}

    def take_service(self, event: WatchEvent) -> bool:
        """A change of a Service; all matter."""
        key = key_of(event.object)
        if event.change is Change.DELETED:
            self._services.pop(key, None)
        else:
            self._services[key] = service_of(event.object)
        self._changed.add(key)
        return True

    def take_slice(self, event: WatchEvent) -> bool:
        """A change of an EndpointSlice; all matter."""
        namespace, name = key_of(event.object)
        before = self._owners.pop((namespace, name), None)
        if before is not None:
            self._slices[before].pop(name, None)
            if not self._slices[before]:
                del self._slices[before]
            self._changed.add(before)
        owner = (event.object["metadata"].get("labels") or {}).get(_SERVICE_OF)
        if event.change is not Change.DELETED and owner:
            key = (namespace, owner)
            self._owners[namespace, name] = key
            self._slices.setdefault(key, {})[name] = slice_of(event.object)
            self._changed.add(key)
        return True

    def files(self) -> dict[str, str]:
        """Zone → its file, for each zone that has changed since the last call; at the first call all of them."""
        for key in self._changed:
            self._describe(key)
        self._changed.clear()
        stale, self._stale = self._stale, set()
        return {zone: zones.zone_file(self.lab, zone, self._blocks.get(zone, {}).values()) for zone in sorted(stale)}

    def _describe(self, key: Key) -> None:
        service = self._services.get(key)
        found: dict[str, str] = {}
        if service is not None and self._may_be(service):
            pieces = self._slices.get(key, {}).values()
            told = records(service, pieces, network.CLUSTER_DOMAIN, self.lab.kubernetes.services)
            found = zones.lines(told, self._zones)
        for zone in self._zones - {zones.PODS}:
            block = self._blocks.setdefault(zone, {})
            if block.get(key) == found.get(zone):
                continue
            self._stale.add(zone)
            if zone in found:
                block[key] = found[zone]
            else:
                del block[key]

    def _may_be(self, service: Service) -> bool:
        """Whether it gets names: not an alias of what its namespace must not see."""
        if self._judge is None or service.external is None:
            return True
        return self._judge.may_alias(self._common, service.key[0], labels_of(service.external))


@dataclass(slots=True)
class Keeper:
    """Keeps unbound's zones as the cluster is, from ``run`` until ``stop``."""

    lab: Lab
    state: LabState
    host: Host
    say: Callable[[str], None]
    connect: Callable[[LabState], Client] = api
    _following: Following = field(init=False)
    _picture: Picture = field(init=False)
    _audience: name_views.Audience | None = field(init=False)
    """None: all names are everybody's."""
    _pending: dict[str, str] = field(default_factory=dict)
    """Zone → what its file is to be."""
    _views: str | None = None
    """What the views are to be, until they are written."""
    _problem: str = ""
    _began: float = field(default_factory=time.monotonic)
    _told: bool = False

    def __post_init__(self) -> None:
        self._picture = Picture(self.lab)
        self._audience = name_views.Audience() if self.lab.isolates_names else None
        self._following = Following("the cluster's names", self.state, self.connect, self.say)

    async def run(self) -> None:
        """Follow the API and write until ``stop``."""
        await self._following.run(self._followed(), self._keep_writing)

    def stop(self) -> None:
        """End the threads soon."""
        self._following.stop()

    def _followed(self) -> tuple[Callable[[Client], None], ...]:
        """A function for each kind."""
        spaces = () if self._audience is None else (self._follow_spaces,)
        return self._follow_services, self._follow_slices, self._follow_pods, *spaces

    def _follow_services(self, client: Client) -> None:
        self._provide(client, within=0)
        picture = self._picture
        for event in self._following.changes(client, "v1", "Service", picture.services, picture.take_service):
            if event.change is Change.DELETED and key_of(event.object) == (cluster_dns.NAMESPACE, cluster_dns.NAME):
                self._provide(client, within=RELEASED)

    def _follow_slices(self, client: Client) -> None:
        version = client.first_supported("EndpointSlice", SLICES)
        if version is None:
            raise NodiskError("this release has no EndpointSlices")
        picture = self._picture
        for _ in self._following.changes(client, version, "EndpointSlice", picture.slices, picture.take_slice):
            pass

    def _follow_pods(self, client: Client) -> None:
        for _ in self._following.changes(client, "v1", "Pod", self._picture.pods, self._take_pod):
            pass

    def _take_pod(self, event: WatchEvent) -> bool:
        named = self._picture.take_pod(event)
        return (self._audience is not None and self._audience.take_pod(event)) or named

    def _follow_spaces(self, client: Client) -> None:
        if (audience := self._audience) is not None:
            for _ in self._following.changes(client, "v1", "Namespace", audience.spaces, self._take_space):
                pass

    def _take_space(self, event: WatchEvent) -> bool:
        if self._audience is None or not self._audience.take_space(event):
            return False
        self._picture.take_common(self._audience.common())
        return True

    def _provide(self, client: Client, *, within: float) -> None:
        """Create the Service that pods ask. Raises what a retry may mend; what it can't, for some seconds, is said."""
        deadline = Deadline(within)
        while problem := self._refused(client):
            if deadline.passed:
                self._complain(f"pods can't ask for the cluster's names: {problem}")
                return
            if self._following.stopping.wait(min(0.1, deadline.left)):
                return

    def _refused(self, client: Client) -> str:
        """Why that Service can't be created; '' if it is there."""
        try:
            for one in cluster_dns.objects(self.lab):
                client.apply(one)
        except (Unreachable, Overloaded, NotFound):  # a young cluster has no namespaces yet
            raise
        except ApiError as error:
            return error.message
        return ""

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            self._following.say(problem)
        self._problem = problem

    def _keep_writing(self) -> None:
        next_one, following = time.monotonic(), self._following
        while True:
            following.dirty.wait()
            following.stopping.wait(max(SETTLE, next_one - time.monotonic()))
            if following.stopping.is_set():
                return
            following.dirty.clear()
            start, done = time.monotonic(), False
            try:
                done = len(following.listed) < len(self._followed()) or self._write()
            except (NodiskError, OSError) as error:
                self._complain(f"the cluster's names are not up to date: {describe(error).splitlines()[0]}")
            except Exception:
                log.exception("the cluster's names")
            now = time.monotonic()
            next_one = now + (min(now - start, LONGEST_PAUSE) if done else AGAIN)
            if not done:
                following.dirty.set()

    def _write(self) -> bool:
        """Write the zones that have changed and let unbound load them; true, or an error: then again what is left."""
        with self._following.lock:
            self._pending |= self._picture.files()
            count = len(self._picture.services())
            if self._audience is not None:
                self._views = self._audience.text() or self._views
        if self._views is not None:  # before the names: a pod's first question is for its neighbours
            files.write(daemons_unbound.views_path(self.host), self._views)
            self._views = None
        for zone, text in list(self._pending.items()):
            files.write(daemons_unbound.zone_path(self.host, zone), text)
            load(self.host.conf / daemons_unbound.CONF, zone)
            del self._pending[zone]
        self._problem = ""
        if not self._told:
            seconds = time.monotonic() - self._began
            self._following.say(f"the names of {count} Services are served after {seconds:.1f} s")
            self._told = True
        return True
