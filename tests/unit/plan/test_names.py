"""The cluster's names: the examples of the specification, and what holds for any Services and EndpointSlices."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.plan import cluster_dns, zones
from nodisk.plan.names import Record, names, pod_records, records, service_of, slice_of
from nodisk.spec.load import parse

DOMAIN = "cluster.local"
RANGE = IPv4Network("10.3.0.0/24")
LAB = parse(
    "name: room\nnetwork: {subnet: 10.77.0.0/24, server: 10.77.0.1}\nmachines:\n"
    "  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}\n",
    file=Path("lab.yaml"),
)


def service(name: str = "web", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def piece(*endpoints: dict[str, Any], ports: Any = None) -> dict[str, Any]:
    return {"metadata": {"name": "web-1"}, "endpoints": list(endpoints), "ports": ports}


def told(obj: dict[str, Any], *slices: dict[str, Any]) -> list[str]:
    found = records(service_of(obj), map(slice_of, slices), DOMAIN, RANGE)
    return [f"{record.name} {record.kind} {record.data}" for record in found]


HTTPS = {"name": "https", "protocol": "TCP", "port": 443}
HEADLESS: dict[str, Any] = {"clusterIP": "None", "ports": [HTTPS]}


def test_a_service_with_an_address() -> None:
    """Sections 2.3.1 to 2.3.3, with their own example."""
    kubernetes = service("kubernetes", clusterIP="10.3.0.1", ports=[HTTPS, {"port": 80}])
    assert told(kubernetes) == [
        "kubernetes.default.svc.cluster.local. A 10.3.0.1",
        "1.0.3.10.in-addr.arpa. PTR kubernetes.default.svc.cluster.local.",
        "_https._tcp.kubernetes.default.svc.cluster.local. SRV 0 100 443 kubernetes.default.svc.cluster.local.",
    ]


def test_a_service_of_two_families() -> None:
    both = service(clusterIP="10.3.0.2", clusterIPs=["10.3.0.2", "2001:db8::1"])
    assert told(both) == [
        "web.default.svc.cluster.local. A 10.3.0.2",
        "2.0.3.10.in-addr.arpa. PTR web.default.svc.cluster.local.",
        "web.default.svc.cluster.local. AAAA 2001:db8::1",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR web.default.svc.cluster.local.",
    ]


def test_a_headless_service() -> None:
    """Sections 2.4.1 to 2.4.3: endpoints by hostname, or by an identifier of their own."""
    found = told(
        service(**HEADLESS),
        piece(
            {"addresses": ["10.4.0.100"], "hostname": "my-pet", "conditions": {"ready": True}},
            {"addresses": ["10.4.0.101"], "conditions": {}},
            {"addresses": ["10.4.0.102"], "conditions": {"ready": False}},
            ports=[{"name": "https", "port": 8443}],
        ),
    )
    assert found == [
        "web.default.svc.cluster.local. A 10.4.0.100",
        "my-pet.web.default.svc.cluster.local. A 10.4.0.100",
        "100.0.4.10.in-addr.arpa. PTR my-pet.web.default.svc.cluster.local.",
        "_https._tcp.web.default.svc.cluster.local. SRV 0 100 8443 my-pet.web.default.svc.cluster.local.",
        "web.default.svc.cluster.local. A 10.4.0.101",
        "10-4-0-101.web.default.svc.cluster.local. A 10.4.0.101",
        "101.0.4.10.in-addr.arpa. PTR 10-4-0-101.web.default.svc.cluster.local.",
        "_https._tcp.web.default.svc.cluster.local. SRV 0 100 8443 10-4-0-101.web.default.svc.cluster.local.",
    ]


@pytest.mark.parametrize("how", ["field", "annotation"])
def test_endpoints_that_have_names_before_they_are_ready(how: str) -> None:
    obj = service(**HEADLESS, publishNotReadyAddresses=how == "field")
    if how == "annotation":
        obj["metadata"]["annotations"] = {"service.alpha.kubernetes.io/tolerate-unready-endpoints": "true"}
    unready = piece({"addresses": ["10.4.0.1"], "conditions": {"ready": False}})
    assert "web.default.svc.cluster.local. A 10.4.0.1" in told(obj, unready)


def test_a_headless_service_without_ready_endpoints_has_no_name() -> None:
    assert told(service(**HEADLESS), piece({"addresses": ["10.4.0.1"], "conditions": {"ready": False}})) == []
    assert told(service(**HEADLESS)) == []


def test_an_external_name() -> None:
    """Section 2.5."""
    foo = service("foo", type="ExternalName", externalName="www.Example.com")
    assert told(foo) == ["foo.default.svc.cluster.local. CNAME www.example.com."]
    assert told(service("foo", type="ExternalName", externalName="a b\n$INCLUDE /etc/passwd")) == []


def test_a_service_that_has_no_address_yet_has_no_name() -> None:
    assert told(service(clusterIP="", ports=[HTTPS])) == []


def test_a_port_whose_label_would_be_too_long_has_no_record() -> None:
    assert told(service(clusterIP="10.3.0.1", ports=[{"name": "p" * 63, "port": 1}]))[2:] == []
    assert len(told(service(clusterIP="10.3.0.1", ports=[{"name": "p" * 62, "port": 1}]))[2:]) == 1


def test_nobody_takes_the_reverse_name_of_a_service() -> None:
    thief = told(service(**HEADLESS), piece({"addresses": ["10.3.0.1"], "hostname": "bank"}))
    assert not [line for line in thief if " PTR " in line]


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ({"podIP": "10.3.1.5", "phase": "Running"}, ["10-3-1-5.shop.pod.cluster.local. A 10.3.1.5"]),
        (
            {"podIP": "10.3.1.5", "podIPs": [{"ip": "10.3.1.5"}, {"ip": "fd00::5"}]},
            [
                "10-3-1-5.shop.pod.cluster.local. A 10.3.1.5",
                "fd00-0000-0000-0000-0000-0000-0000-0005.shop.pod.cluster.local. AAAA fd00::5",
            ],
        ),
        ({"phase": "Pending"}, []),
        # Its address may be another pod's by now.
        ({"podIP": "10.3.1.5", "phase": "Succeeded"}, []),
        ({"podIP": "not one"}, []),
    ],
)
def test_a_pods_own_name(status: dict[str, Any], wanted: list[str]) -> None:
    found = pod_records({"metadata": {"name": "one", "namespace": "shop"}, "status": status}, DOMAIN)
    assert [f"{record.name} {record.kind} {record.data}" for record in found] == wanted
    assert all(zones.zone_of(record.name, zones.zones(LAB)) == "pod.cluster.local" for record in found)


def test_the_schemas_version() -> None:
    assert names((), {}, DOMAIN, RANGE) == {Record("dns-version.cluster.local.", "TXT", '"1.1.0"')}
    assert 'dns-version.cluster.local. 5 IN TXT "1.1.0"\n' in zones.zone_file(LAB, DOMAIN)


@pytest.mark.parametrize(
    ("addresses", "wanted"),
    [
        ("10.96.0.0/16", ("96.10.in-addr.arpa",)),
        ("10.244.7.0/24", ("7.244.10.in-addr.arpa",)),
        ("172.16.0.0/14", tuple(f"{number}.172.in-addr.arpa" for number in range(16, 20))),
        ("10.0.0.0/8", ("10.in-addr.arpa",)),
        ("10.1.2.252/30", tuple(f"{number}.2.1.10.in-addr.arpa" for number in range(252, 256))),
    ],
)
def test_reverse_zones(addresses: str, wanted: tuple[str, ...]) -> None:
    assert zones.reverse_zones(IPv4Network(addresses)) == wanted


@given(st.integers(8, 32).flatmap(lambda prefix: st.tuples(st.integers(0, 2**32 - 1), st.just(prefix))))
def test_reverse_zones_cover_a_range_and_nothing_else(drawn: tuple[int, int]) -> None:
    addresses = IPv4Network(drawn, strict=False)
    found = zones.reverse_zones(addresses)
    inside = (addresses.network_address, addresses.broadcast_address)
    assert all(zones.zone_of(f"{address.reverse_pointer}.", found) for address in inside)
    for outside in (int(inside[0]) - 1, int(inside[1]) + 1):
        if 0 <= outside < 2**32:
            assert zones.zone_of(f"{ip_address(outside).reverse_pointer}.", found) is None


def test_pods_ask_the_server() -> None:
    made, endpoints = cluster_dns.objects(LAB)
    assert made["spec"]["clusterIP"] == "10.96.0.10"
    assert "selector" not in made["spec"]
    assert {(port["protocol"], port["port"], port["targetPort"]) for port in made["spec"]["ports"]} == {
        ("UDP", 53, 1053),
        ("TCP", 53, 1053),
    }
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "10.77.0.1"}]
    assert endpoints["metadata"]["name"] == made["metadata"]["name"]


TEXT = st.one_of(st.text(max_size=70), st.text('aZ0-._ \n\t;$()@\\"', max_size=70), st.sampled_from(["web", "a-1"]))
ADDRESS = st.one_of(st.ip_addresses().map(str), TEXT, st.just("fe80::1%eth0"), st.just("10.3.0.7"))
PORTS = st.lists(
    st.fixed_dictionaries({"name": TEXT, "port": st.integers(0, 70000)}, optional={"protocol": TEXT}), max_size=3
)
SERVICES = st.builds(
    lambda name, namespace, spec: {"metadata": {"name": name, "namespace": namespace}, "spec": spec},
    TEXT,
    TEXT,
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["ClusterIP", "ExternalName"]),
            "clusterIP": st.one_of(st.just("None"), ADDRESS),
            "clusterIPs": st.lists(ADDRESS, max_size=2),
            "externalName": TEXT,
            "ports": PORTS,
        },
    ),
)
SLICES = st.builds(
    lambda endpoints, ports: {"endpoints": endpoints, "ports": ports},
    st.lists(
        st.fixed_dictionaries({"addresses": st.lists(ADDRESS, max_size=2)}, optional={"hostname": TEXT}), max_size=3
    ),
    PORTS,
)
LINE = re.compile(r"(?P<name>[a-z0-9_.-]+\.) 5 IN (?:A|AAAA|PTR|CNAME|SRV) [0-9a-z_.: -]+")


@given(SERVICES, st.lists(SLICES, max_size=2))
def test_whatever_the_api_holds_a_zone_file_stays_one(obj: dict[str, Any], slices: list[dict[str, Any]]) -> None:
    """Each record is one line, of names that DNS can hold, in its own Service's place."""
    served = zones.zones(LAB)
    found = records(service_of(obj), map(slice_of, slices), DOMAIN, RANGE)
    assert len(set(found)) == len(found)
    own = f"{obj['metadata']['name']}.{obj['metadata']['namespace']}.svc.{DOMAIN}."
    for record in found:
        whose = record.data if record.kind == "PTR" else record.name
        assert whose == own or whose.endswith("." + own)
        if record.kind == "CNAME":
            assert len([one for one in found if one.name == record.name]) == 1
    for zone, text in zones.lines(found, served).items():
        for line in text.splitlines():
            match = LINE.fullmatch(line)
            assert match, line
            assert len(match["name"]) <= 254
            assert all(0 < len(label) <= 63 for label in match["name"][:-1].split("."))
            assert match["name"].endswith(f".{zone}.")
