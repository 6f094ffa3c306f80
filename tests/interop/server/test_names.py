"""The real unbound answers what is rendered and follows external names; a change loses no name that stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.interop.server.rooms import Room
from tests.support.resolver import OUTSIDE, OUTSIDE_ADDRESS, Resolver, resolver

from nodisk import files, run
from nodisk.kube.watch import Change, WatchEvent
from nodisk.plan import daemons_unbound
from nodisk.plan.names import records, service_of, slice_of
from nodisk.server import names
from nodisk.server.names import Picture
from nodisk.spec.load import parse

pytestmark = pytest.mark.interop

LAB = parse(
    "name: room\nnetwork: {subnet: 10.77.0.0/24, server: 10.77.0.1}\nmachines:\n"
    "  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}\n",
    file=Path("lab.yaml"),
)
DOMAIN = "cluster.local"


@pytest.fixture(scope="module")
def dns() -> Iterator[Resolver]:
    with resolver(LAB) as made:
        yield made


def give(dns: Resolver, picture: Picture) -> None:
    """What the keeper does with a picture that has changed."""
    for zone, text in picture.files().items():
        files.write(daemons_unbound.zone_path(dns.host, zone), text)
        names.load(dns.host.conf / daemons_unbound.CONF, zone)


def added(obj: dict[str, Any]) -> WatchEvent:
    return WatchEvent(Change.ADDED, obj)


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def slice_for(name: str, *endpoints: dict[str, Any], ports: Any = ()) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name}
    meta = {"name": f"{name}-1", "namespace": "default", "labels": labels}
    return {"metadata": meta, "endpoints": list(endpoints), "ports": list(ports)}


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
PORT = st.fixed_dictionaries(
    {"name": LABEL, "port": st.integers(1, 65535), "protocol": st.sampled_from(["TCP", "UDP", "SCTP"])}
)
IN_PODS = st.integers(1, 65534).map(lambda number: f"10.244.{number >> 8}.{number & 255}")
IN_SERVICES = st.integers(1, 65534).map(lambda number: f"10.96.{number >> 8}.{number & 255}")
SIX = st.integers(1, 2**32).map(lambda number: str(IPv6Address((0x20010DB8 << 96) + number)))
ENDPOINT = st.fixed_dictionaries(
    {"addresses": st.lists(st.one_of(IN_PODS, SIX), min_size=1, max_size=1)},
    optional={"hostname": LABEL, "conditions": st.fixed_dictionaries({"ready": st.booleans()})},
)
SPEC = st.one_of(
    st.fixed_dictionaries({"clusterIP": IN_SERVICES, "ports": st.lists(PORT, max_size=3)}),
    st.just({"clusterIP": "None"}),
)


def pod(name: str, address: str, phase: str = "Running") -> dict[str, Any]:
    meta = {"name": name, "namespace": "default"}
    return {"metadata": meta, "status": {"podIP": address, "phase": phase}}


def test_pods_own_names(dns: Resolver) -> None:
    """As the conformance suite asks for them; two pods of a machine's own network have one name."""
    picture, name = Picture(LAB), "10-244-3-4.default.pod.cluster.local A"
    give(dns, picture)
    assert dns.status(name) == "NXDOMAIN"
    for one in (pod("one", "10.244.3.4"), pod("two", "10.77.0.11"), pod("three", "10.77.0.11")):
        assert picture.take_pod(added(one))
    assert not picture.take_pod(added(pod("one", "10.244.3.4")))
    picture.take_pod(WatchEvent(Change.DELETED, pod("two", "10.77.0.11")))
    assert list(picture.files()) == ["pod.cluster.local"]  # Services' zones are left alone
    picture.take_pod(added(pod("four", "10.244.3.5")))
    give(dns, picture)
    assert dns.ask(name) == {"10-244-3-4.default.pod.cluster.local. A 10.244.3.4"}
    assert dns.ask("10-77-0-11.default.pod.cluster.local A") == {"10-77-0-11.default.pod.cluster.local. A 10.77.0.11"}
    assert picture.take_pod(added(pod("one", "10.244.3.4", "Succeeded")))
    give(dns, picture)
    assert dns.status(name) == "NXDOMAIN"
    assert picture.pods() == {("default", name) for name in ("one", "three", "four")}


@given(st.dictionaries(LABEL, st.tuples(SPEC, st.lists(ENDPOINT, max_size=4), st.lists(PORT, max_size=2)), max_size=6))
@settings(max_examples=8, deadline=None, database=None)
def test_every_record_is_answered(dns: Resolver, drawn: dict[str, Any]) -> None:
    picture, wanted = Picture(LAB), set[str]()
    for name, (spec, endpoints, ports) in drawn.items():
        obj, piece = service(name, **spec), slice_for(name, *endpoints, ports=ports)
        picture.take_service(added(obj))
        picture.take_slice(added(piece))
        told = records(service_of(obj), [slice_of(piece)], DOMAIN, LAB.kubernetes.services)
        wanted |= {f"{one.name} {one.kind} {one.data}" for one in told if "ip6.arpa" not in one.name}
    give(dns, picture)
    questions = sorted({" ".join(line.split()[:2]) for line in wanted})
    assert (dns.ask(*questions) if questions else set()) == wanted
    assert dns.status(f"nobody.default.svc.{DOMAIN}. A") == "NXDOMAIN"


def test_what_each_kind_of_service_answers(dns: Resolver) -> None:
    picture = Picture(LAB)
    picture.take_service(added(service("outside", type="ExternalName", externalName=OUTSIDE)))
    picture.take_service(added(service("again", type="ExternalName", externalName=f"outside.default.svc.{DOMAIN}")))
    picture.take_service(added(service("empty", clusterIP="None")))
    picture.take_service(added(service("web", clusterIP="10.96.1.2", ports=[{"name": "http", "port": 80}])))
    give(dns, picture)
    web = f"web.default.svc.{DOMAIN}"
    cname = f"outside.default.svc.{DOMAIN}. CNAME {OUTSIDE}."
    there = f"{OUTSIDE}. A {OUTSIDE_ADDRESS}"
    assert dns.ask(f"outside.default.svc.{DOMAIN} A") == {cname, there}
    assert dns.ask(f"again.default.svc.{DOMAIN} A") == {
        f"again.default.svc.{DOMAIN}. CNAME outside.default.svc.{DOMAIN}.",
        cname,
        there,
    }
    assert {line.lower() for line in dns.ask(f"{web.upper()} A")} == {f"{web}. a 10.96.1.2"}
    assert dns.ask("2.1.96.10.in-addr.arpa PTR") == {f"2.1.96.10.in-addr.arpa. PTR {web}."}
    assert dns.ask(f"dns-version.{DOMAIN} TXT") == {f'dns-version.{DOMAIN}. TXT "1.1.0"'}
    assert dns.ask(f"{OUTSIDE} A") == {there}
    assert dns.status(f"empty.default.svc.{DOMAIN} A") == "NXDOMAIN"
    assert dns.status(f"{web} AAAA") == "NOERROR"


def test_a_change_is_answered_at_once_and_what_stays_never_misses(dns: Resolver) -> None:
    """While one endpoint of a headless Service comes and goes, the other's name is there in each answer."""
    picture = Picture(LAB)
    picture.take_service(added(service("pets", clusterIP="None")))
    name, stop, missed = f"pets.default.svc.{DOMAIN}", threading.Event(), list[set[str]]()
    one, other = ({"addresses": [f"10.244.0.{number}"], "hostname": f"pet-{number}"} for number in (1, 2))

    def watch() -> None:
        while not stop.is_set():
            said = dns.ask(*[f"{name} A", f"pet-1.{name} A"] * 20)
            if not {f"{name}. A 10.244.0.1", f"pet-1.{name}. A 10.244.0.1"} <= said:
                missed.append(said)

    picture.take_slice(added(slice_for("pets", one)))
    give(dns, picture)
    asker = threading.Thread(target=watch)
    asker.start()
    try:
        for turn in range(30):
            there = bool(turn % 2)
            picture.take_slice(added(slice_for("pets", one, *([other] if there else []))))
            give(dns, picture)
            assert (f"{name}. A 10.244.0.2" in dns.ask(f"{name} A")) is there
    finally:
        stop.set()
        asker.join()
    assert missed == []


def test_names_stay_through_a_restart(dns: Resolver) -> None:
    picture = Picture(LAB)
    picture.take_service(added(service("web", clusterIP="10.96.1.2")))
    give(dns, picture)
    dns.stop("unbound")
    names.prepare(LAB, dns.host)
    dns.start_unbound()
    assert dns.ask(f"web.default.svc.{DOMAIN} A") == {f"web.default.svc.{DOMAIN}. A 10.96.1.2"}


def test_the_server_answers_machines_before_any_api_does(room: Room) -> None:
    """The whole server, and what a pod's question looks like to it: one that comes from the pod's machine."""
    words = ["kdig", "@10.99.0.1", "-p", "1053", "+short"]
    netns = f"{room.name}-w1"
    assert run.run([*words, f"dns-version.{DOMAIN}", "TXT"], netns=netns).stdout == '"1.1.0"\n'
    assert run.run([*words, "+tcp", f"ns.dns.{DOMAIN}"], netns=netns).stdout == "10.96.0.10\n"
    assert run.run([*words, "w1.test.internal"], netns=netns).stdout == "10.99.0.21\n"
    assert run.run([*words, "-x", "10.99.0.21"], netns=netns).stdout == "w1.\n"
