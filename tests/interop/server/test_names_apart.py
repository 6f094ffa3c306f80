"""Classes' names kept apart, with the real unbound: what pods of two namespaces, and others, get for each name."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.interop.server.rooms import LAB as ROOM
from tests.interop.server.rooms import running_room
from tests.support.resolver import OUTSIDE, OUTSIDE_ADDRESS, Resolver, resolver
from tests.support.waits import until

from nodisk import files, run
from nodisk.kube.watch import Change, WatchEvent
from nodisk.plan import daemons_unbound
from nodisk.server import names
from nodisk.server.name_views import CLASS, Audience
from nodisk.server.names import Picture
from nodisk.spec.load import parse

pytestmark = pytest.mark.interop

LAB = parse(
    "name: room\nnetwork: {subnet: 10.77.0.0/24, server: 10.77.0.1}\n"
    "kubernetes: {source: debian, isolation: names}\nmachines:\n"
    "  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}\n",
    file=Path("lab.yaml"),
)
DOMAIN = "svc.cluster.local"
ALIAS = "alias.example.com"
ANA, BEN, ADDON, SERVER = "10.244.11.5", "10.244.11.6", "10.244.11.7", "10.77.0.1"
ALL = (ANA, BEN, ADDON, SERVER)


def added(obj: dict[str, Any]) -> WatchEvent:
    return WatchEvent(Change.ADDED, obj)


def meta(name: str, space: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": space, **more}


def pod(name: str, space: str, address: str) -> WatchEvent:
    status = {"podIP": address, "phase": "Running"}
    return added({"metadata": meta(name, space), "spec": {"nodeName": "cp1"}, "status": status})


@pytest.fixture(scope="module")
def dns() -> Iterator[Resolver]:
    # An alias outside that leads into a namespace; what dnsmasq itself says of its end is not believed.
    own = f"web.demo-ana.{DOMAIN}"
    with resolver(LAB, None, f"--host-record={own},192.0.2.99", f"--cname={ALIAS},{own}") as made:
        picture, audience = Picture(LAB), Audience()
        for space in ("default", "kube-system"):
            audience.take_space(added({"metadata": {"name": space}}))
        for space in ("demo-ana", "demo-ben"):
            audience.take_space(added({"metadata": {"name": space, "labels": {CLASS: "demo"}}}))
        picture.take_common(audience.common())
        for name, space, spec in (
            ("kubernetes", "default", {"clusterIP": "10.96.0.1"}),
            ("web", "demo-ana", {"clusterIP": "10.96.1.2", "ports": [{"name": "http", "port": 80}]}),
            ("web", "demo-ben", {"clusterIP": "10.96.1.3"}),
            ("pets", "demo-ana", {"clusterIP": "None"}),
            ("out", "demo-ben", {"type": "ExternalName", "externalName": OUTSIDE}),
            ("peep", "demo-ben", {"type": "ExternalName", "externalName": f"web.demo-ana.{DOMAIN}"}),
            ("poke", "demo-ben", {"type": "ExternalName", "externalName": f"none.demo-ana.{DOMAIN}"}),
            ("look", "kube-system", {"type": "ExternalName", "externalName": f"web.demo-ana.{DOMAIN}"}),
            ("round", "demo-ben", {"type": "ExternalName", "externalName": ALIAS}),
        ):
            picture.take_service(added({"metadata": meta(name, space), "spec": spec}))
        labels = {"labels": {"kubernetes.io/service-name": "pets"}}
        ends = [{"addresses": [ANA], "hostname": "pet-0"}]
        picture.take_slice(added({"metadata": meta("pets-1", "demo-ana", **labels), "endpoints": ends}))
        for event in (pod("a", "demo-ana", ANA), pod("b", "demo-ben", BEN), pod("c", "kube-system", ADDON)):
            picture.take_pod(event)
            audience.take_pod(event)
        views = audience.text()
        assert views is not None
        files.write(daemons_unbound.views_path(made.host), views)
        for zone, text in picture.files().items():
            files.write(daemons_unbound.zone_path(made.host, zone), text)
            names.load(made.host.conf / daemons_unbound.CONF, zone)
        yield made


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(
    "question",
    [
        f"web.demo-ana.{DOMAIN} A",
        f"_http._tcp.web.demo-ana.{DOMAIN} SRV",
        f"pet-0.pets.demo-ana.{DOMAIN} A",
        "10-244-11-5.demo-ana.pod.cluster.local A",
        "2.1.96.10.in-addr.arpa PTR",
        "5.11.244.10.in-addr.arpa PTR",
        f"{ALIAS} A",
        f"WEB.Demo-Ana.{DOMAIN} A",
    ],
)
def test_what_is_anas_ana_and_administrators_see(dns: Resolver, question: str, tcp: bool) -> None:
    """Also after others have asked: nothing comes from a cache that somebody else filled."""
    for who in (ANA, ADDON, SERVER, BEN):
        assert bool(dns.ask(question, source=who, tcp=tcp)) is (who != BEN), who
    assert dns.status(question, source=BEN) == "NXDOMAIN"


def test_what_is_everybodys(dns: Resolver) -> None:
    for who in ALL:
        for question, wanted in (
            (f"kubernetes.default.{DOMAIN} A", "10.96.0.1"),
            ("1.0.96.10.in-addr.arpa PTR", f"kubernetes.default.{DOMAIN}."),
            (f"{OUTSIDE} A", OUTSIDE_ADDRESS),
        ):
            assert {line.split()[-1] for line in dns.ask(question, source=who)} == {wanted}


def test_ones_own_aliases_lead_out_but_not_to_others(dns: Resolver) -> None:
    answers = {line.split()[-1] for line in dns.ask(f"out.demo-ben.{DOMAIN} A", source=BEN)}
    assert answers == {f"{OUTSIDE}.", OUTSIDE_ADDRESS}
    for name in ("peep", "poke", "round"):
        assert dns.ask(f"{name}.demo-ben.{DOMAIN} A", source=BEN) == set()
        assert dns.status(f"{name}.demo-ben.{DOMAIN} A", source=BEN) == "NXDOMAIN"
    # Whether what is behind it fails would tell about it, so there is no such alias for anybody.
    assert dns.status(f"peep.demo-ben.{DOMAIN} A", source=ADDON) == "NXDOMAIN"
    assert f"web.demo-ana.{DOMAIN}. A 10.96.1.2" in dns.ask(f"look.kube-system.{DOMAIN} A", source=ADDON)
    assert dns.status(f"look.kube-system.{DOMAIN} A", source=BEN) == "NXDOMAIN"


def test_an_own_name_that_is_not_there(dns: Resolver) -> None:
    assert dns.status(f"nobody.demo-ben.{DOMAIN} A", source=BEN) == "NXDOMAIN"
    assert dns.status(f"web.demo-ben.{DOMAIN} AAAA", source=BEN) == "NOERROR"


def test_only_the_gate_reaches_unbound(dns: Resolver) -> None:
    words = (dns.host.conf / daemons_unbound.CONF).read_text()
    assert "interface: 127.0.0.1@1053" in words
    assert "access-control: 127.0.0.0/8 allow" in words
    assert words.count("access-control:") == 1


def test_it_goes_on_when_unbound_is_back(dns: Resolver) -> None:
    dns.stop("unbound")
    dns.start_unbound()
    assert dns.ask(f"web.demo-ana.{DOMAIN} A", source=ANA) == {f"web.demo-ana.{DOMAIN}. A 10.96.1.2"}
    assert dns.ask(f"web.demo-ana.{DOMAIN} A", source=BEN) == set()


def test_the_whole_server() -> None:
    """Its gate, its routes to pods, and that both are there again after a death, and gone at the end."""
    with running_room(lab=ROOM.replace("1.20.2}}", "1.20.2, isolation: names}}")) as room:
        netns, pod = f"{room.name}-w1", "10.244.21.2"
        run.run(["ip", "-n", netns, "address", "add", f"{pod}/32", "dev", "lo"])

        def asked(name: str, *words: str, source: str = pod) -> str:
            options = ["-b", source, "-p", "1053", "+retry=0", "+time=20", *words]
            said = run.run(["kdig", "@10.99.0.1", *options, name], netns=netns, check=False, timeout=60).stdout
            return said.partition("status: ")[2].partition(";")[0]

        def routes() -> set[str]:
            lines = run.run(["ip", "-n", room.name, "route"]).stdout.splitlines()
            return {line.split()[0] for line in lines if line.startswith("10.244")}

        until(lambda: routes() == {"10.244.11.0/24", "10.244.21.0/24"}, why=routes)
        for more in ("+notcp", "+tcp"):
            assert asked("ns.dns.cluster.local", more) == "NOERROR"
            assert asked("server.test.internal", more) == "NOERROR"
            assert asked(f"web.shop.{DOMAIN}", more) == "SERVFAIL", "nobody knows whose pod it is"
            assert asked(f"web.shop.{DOMAIN}", more, source="10.99.0.21") == "NXDOMAIN", "a machine sees no class"
        files.write(room.state.root / "names" / "views", f"pod {pod} shop\n")
        assert asked(f"web.shop.{DOMAIN}") == "NXDOMAIN", "it has no such Service"

        (gate,) = (pid for pid, words in room.daemons().items() if words.count("names_gate") and "unshare" not in words)
        uid = int(run.run(["ps", "-o", "uid=", "-p", str(gate)]).stdout)
        assert uid != 0
        os.kill(gate, signal.SIGKILL)
        until(lambda: asked("ns.dns.cluster.local") == "NOERROR", why=room.daemons)
        assert room.stop() == 0
        assert routes() == set()
