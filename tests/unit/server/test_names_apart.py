"""Classes' names kept apart: what the gate is told, what machines and the server do for that, and when it can't be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.waits import LONG

from nodisk import ports, run
from nodisk.classes import manifests
from nodisk.errors import SpecError
from nodisk.kube.watch import Change, WatchEvent
from nodisk.plan import cluster_dns, containers, daemons_unbound
from nodisk.plan.daemons_files import configure, usual_host
from nodisk.plan.name_views import parse as parse_views
from nodisk.server import name_views, names, pod_routes
from nodisk.server.host import bound_ports
from nodisk.server.name_views import Audience
from nodisk.spec.load import parse
from nodisk.spec.model import Lab
from nodisk.waiting import Deadline

TEXT = (
    "name: room\nnetwork: {subnet: 10.77.0.0/24, server: 10.77.0.1}\nkubernetes: {source: debian%s}\nmachines:\n"
    "  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}\n"
    "  - {name: w1, mac: 52:54:00:77:00:15, address: 10.77.0.21}\n"
)


def lab(more: str = "") -> Lab:
    return parse(TEXT % more, file=Path("lab.yaml"))


APART, OPEN = lab(", isolation: names"), lab()


def pod(name: str, space: str, address: str, **more: Any) -> dict[str, Any]:
    spec = {"nodeName": "w1", **more.pop("spec", {})}
    status = {"phase": "Running", "podIP": address, **more.pop("status", {})}
    return {"metadata": {"name": name, "namespace": space, **more}, "spec": spec, "status": status}


def space(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def told(audience: Audience) -> tuple[set[str], dict[str, str]]:
    text = audience.text()
    assert text is not None
    views = parse_views(text)
    return set(views.common), dict(views.pods or {})


def test_the_label_is_the_one_that_classes_give() -> None:
    assert name_views.CLASS == manifests.CLASS


def test_which_namespaces_are_common_and_whose_pods_are_where() -> None:
    audience = Audience()
    for one in (space("default"), space("kube-system"), space("demo-ana", **{manifests.CLASS: "demo"})):
        assert audience.take_space(WatchEvent(Change.ADDED, one))
    added = [
        pod("a", "demo-ana", "10.244.21.5"),
        pod("dns", "kube-system", "10.244.21.6"),
        pod("proxy", "kube-system", "10.77.0.21", spec={"hostNetwork": True}),
        pod("done", "demo-ana", "10.244.21.7", status={"phase": "Succeeded"}),
        pod("new", "demo-ana", ""),
    ]
    assert [audience.take_pod(WatchEvent(Change.ADDED, one)) for one in added] == [True, True, False, False, False]
    assert told(audience) == (
        {"default", "kube-system"},
        {"10.244.21.5": "demo-ana", "10.244.21.6": "kube-system"},
    )
    assert not audience.take_pod(WatchEvent(Change.MODIFIED, pod("a", "demo-ana", "10.244.21.5", labels={"x": "y"})))
    assert audience.text() is None, "nothing has changed"
    assert audience.take_space(WatchEvent(Change.MODIFIED, space("kube-system", **{manifests.CLASS: "demo"})))
    assert audience.take_pod(WatchEvent(Change.MODIFIED, pod("a", "demo-ana", "10.244.21.9")))
    assert audience.take_pod(WatchEvent(Change.DELETED, pod("dns", "kube-system", "10.244.21.6")))
    assert told(audience) == ({"default"}, {"10.244.21.9": "demo-ana"})
    assert audience.take_space(WatchEvent(Change.DELETED, space("default")))
    assert told(audience)[0] == set()
    assert audience.spaces() == {("", "demo-ana"), ("", "kube-system")}


def test_of_two_pods_with_one_address_the_newer_counts() -> None:
    """A machine has booted: what it says of the old pod comes late."""
    audience = Audience()
    for name, where, born in (("old", "demo-ana", "2026-11-30T08:00:00Z"), ("new", "demo-ben", "2026-11-30T09:00:00Z")):
        audience.take_pod(WatchEvent(Change.ADDED, pod(name, where, "10.244.21.5", creationTimestamp=born)))
    assert told(audience)[1] == {"10.244.21.5": "demo-ben"}


def test_only_then_is_there_a_gate(tmp_path: Path) -> None:
    host = usual_host(APART, tmp_path, tmp_path)
    assert "names-gate.json" not in configure(OPEN, host)
    assert "names-gate.json" in configure(APART, host)
    assert "interface: 10.77.0.1@1053" in daemons_unbound.unbound(OPEN, host)
    assert "interface: 127.0.0.1@1053" in daemons_unbound.unbound(APART, host)
    for one, addresses in ((OPEN, {"10.77.0.1"}), (APART, {"10.77.0.1", "127.0.0.1"})):
        found = {str(port.address) for port in bound_ports(one, "eth0", names=True) if port.number == ports.NAMES}
        assert found == addresses


def test_what_was_seen_is_forgotten_with_the_setting(tmp_path: Path) -> None:
    host = usual_host(APART, tmp_path, tmp_path)
    views = daemons_unbound.views_path(host)
    names.prepare(APART, host)
    views.write_text("common default\n")
    names.prepare(APART, host)
    assert views.exists()
    names.prepare(OPEN, host)
    assert not views.exists()


def test_pods_ask_under_their_own_addresses_only_then() -> None:
    rule = "ip saddr 10.244.0.0/16 ip daddr 10.77.0.1 meta l4proto { tcp, udp } th dport 1053 counter accept"
    text = containers.firewall(APART, names=True)
    assert text.index(rule) < text.index("counter masquerade"), "before the rule that hides them"
    assert rule not in containers.firewall(OPEN, names=True)
    assert rule not in containers.firewall(APART, names=False)


def test_routes_to_all_machines_pods() -> None:
    assert pod_routes.commands(APART, "eth0", "replace") == (
        "route replace 10.244.11.0/24 via 10.77.0.11 dev eth0 proto 187\n"
        "route replace 10.244.21.0/24 via 10.77.0.21 dev eth0 proto 187\n"
    )


def test_a_route_that_cant_be_set_takes_no_other_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "ip").write_text(f'#!/bin/sh\n/bin/cat >> {seen}\necho "no way there" >&2\nexit 1\n')
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setattr(run, "SEARCH_PATH", str(tmp_path))
    monkeypatch.setattr(pod_routes, "AGAIN", 0.01)
    said = list[str]()

    async def keep() -> None:
        keeping = asyncio.create_task(pod_routes.keep(APART, "eth0", said.append))
        deadline = Deadline(LONG)
        while not seen.exists() or seen.read_text().count("replace") < 6:
            assert not keeping.done()
            assert await deadline.pause_async(0.01)
        assert "delete" not in seen.read_text()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(keep())
    assert seen.read_text().endswith(pod_routes.commands(APART, "eth0", "delete"))
    assert len(said) == 1, "once, not each time"
    assert said[0].startswith("not all routes to pods can be set: ")
    assert said[0].endswith("no way there")


def test_no_alias_of_anothers_name_gets_a_record() -> None:
    """Neither before a class's namespace is known, nor after; that of one that is common does."""
    picture, target = names.Picture(APART), "web.demo-ana.svc.cluster.local"
    for space_name, external in (("demo-ben", target), ("tools", target), ("demo-ben", "www.example.com")):
        spec = {"type": "ExternalName", "externalName": external}
        name = "out" if external != target else "peep"
        obj = {"metadata": {"name": name, "namespace": space_name}, "spec": spec}
        picture.take_service(WatchEvent(Change.ADDED, obj))
    zone = picture.files()["cluster.local"]
    assert ("www.example.com" in zone, target in zone) == (True, False)
    picture.take_common(frozenset({"tools"}))
    zone = picture.files()["cluster.local"]
    assert "peep.tools" in zone
    assert "peep.demo-ben" not in zone
    picture.take_common(frozenset())
    assert target not in picture.files()["cluster.local"]


def test_a_release_with_coredns_is_refused() -> None:
    cluster_dns.need_own(APART, coredns=False)
    cluster_dns.need_own(OPEN, coredns=True)
    with pytest.raises(SpecError, match=r"isolation: names can't be kept: this release brings CoreDNS"):
        cluster_dns.need_own(APART, coredns=True)
