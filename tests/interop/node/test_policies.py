"""NetworkPolicies in the kernel: what the compiled tables let through, compared with the words of the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.interop.node.pod_wires import OUTSIDE, PODS, PORTS, RANGES, Flow, PodWires, flows
from tests.interop.node.wires import LAB
from tests.support.policies import allowed, pod, policy
from tests.support.waits import LONG

from nodisk import run
from nodisk.plan import containers, system
from nodisk.plan.policies import Cluster, pod_of, policy_of
from nodisk.plan.policy_rules import absent, closed, compile_nodes
from nodisk.waiting import Deadline, until

pytestmark = pytest.mark.interop

SPACES = {"x": {"ns": "x", "team": "a"}, "y": {"ns": "y"}}
A, B, C, D, E = PODS
IN: dict[str, Any] = {"policyTypes": ["Ingress"]}
OUT: dict[str, Any] = {"policyTypes": ["Egress"]}
BOTH: dict[str, Any] = {"policyTypes": ["Ingress", "Egress"]}
OF_A = {"matchLabels": {"pod": "a"}}


def pods(**labels: str) -> list[dict[str, Any]]:
    """Five on two nodes, in two namespaces; their port called web is 80, in one of them 81."""
    return [
        pod("x", "a", A, {"pod": "a", **labels}, web=80),
        pod("x", "b", B, {"pod": "b"}, web=81),
        pod("y", "a", C, {"pod": "a"}, web=80),
        pod("x", "c", D, {"pod": "c"}, node="n2", web=80),
        pod("y", "b", E, {"pod": "b"}, node="n2"),
    ]


@pytest.fixture(scope="module")
def wires(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodWires]:
    made = PodWires(tmp_path_factory.mktemp("policies"))
    try:
        made.make()
        yield made
    finally:
        made.remove()


def apply(
    wires: PodWires,
    policies: list[dict[str, Any]],
    there: list[dict[str, Any]],
    spaces: dict[str, dict[str, str]] = SPACES,
) -> None:
    known = tuple(found for one in there if (found := pod_of(one)) is not None)
    cluster = Cluster(spaces, known, tuple(map(policy_of, policies)))
    wires.load(compile_nodes(cluster, RANGES, containers.BRIDGE))


def expected(
    policies: list[dict[str, Any]], there: list[dict[str, Any]], spaces: dict[str, dict[str, str]] = SPACES
) -> set[Flow]:
    by = {one["status"]["podIP"]: one for one in there}
    return {
        flow
        for flow in flows()
        if allowed(spaces, policies, by.get(flow[0], flow[0]), by.get(flow[1], flow[1]), protocol=flow[2], port=flow[3])
    }


def reached(found: set[Flow]) -> dict[str, set[int]]:
    """Who reaches A over TCP, and at which ports."""
    return {
        one: ports for one in (*PODS, OUTSIDE) if (ports := {p for a, b, k, p in found if (a, b, k) == (one, A, "TCP")})
    }


def test_nothing_is_refused_without_policies(wires: PodWires) -> None:
    apply(wires, [], pods())
    assert wires.passed(flows()) == set(flows())
    # A pod that is not known yet has traffic too: there is no policy that could be meant for it.
    apply(wires, [], [])
    assert wires.passed(flows()) == set(flows())


def test_nothing_passes_before_the_first_rules(wires: PodWires) -> None:
    wires.load({node: closed(pods) for node, pods in RANGES.items()})
    assert wires.passed(flows()) == set()


def test_all_passes_once_the_server_enforces_nothing_any_more(wires: PodWires) -> None:
    wires.load({node: closed(pods) for node, pods in RANGES.items()})
    for _ in range(2):  # it is sent to machines that have no table, too
        wires.load(dict.fromkeys(RANGES, absent()))
        assert wires.passed(flows()) == set(flows())


def test_an_unknown_pod_has_no_traffic_where_there_are_policies(wires: PodWires) -> None:
    there = [one for one in pods() if one["status"]["podIP"] != A]
    apply(wires, [policy("z", "any")], there)
    assert wires.passed(flows()) == {flow for flow in flows() if A not in flow[:2]}


# Each as the suite's own case of [Feature:NetworkPolicy]: who reaches pod a of namespace x, at which ports.
CASES: dict[str, tuple[list[dict[str, Any]], dict[str, set[int]]]] = {
    "default-deny": ([policy("x", "deny", **IN)], {}),
    "deny-both-and-allow-inside": (
        [
            policy(
                "x", "both", **BOTH, ingress=[{"from": [{"podSelector": {}}]}], egress=[{"to": [{"podSelector": {}}]}]
            )
        ],
        {B: set(PORTS), D: set(PORTS)},
    ),
    "pod-selector": (
        [policy("x", "one", OF_A, ingress=[{"from": [{"podSelector": {"matchLabels": {"pod": "b"}}}]}])],
        {B: set(PORTS)},
    ),
    "expressions": (
        [
            policy(
                "x",
                "one",
                ingress=[
                    {
                        "from": [
                            {"podSelector": {"matchExpressions": [{"key": "pod", "operator": "In", "values": ["c"]}]}}
                        ]
                    }
                ],
            )
        ],
        {D: set(PORTS)},
    ),
    "other-namespaces": (
        [
            policy(
                "x",
                "ns",
                ingress=[
                    {
                        "from": [
                            {
                                "namespaceSelector": {
                                    "matchExpressions": [{"key": "ns", "operator": "NotIn", "values": ["x"]}]
                                }
                            }
                        ]
                    }
                ],
            )
        ],
        {C: set(PORTS), E: set(PORTS)},
    ),
    "pod-or-namespace": (
        [
            policy(
                "x",
                "or",
                ingress=[
                    {
                        "from": [
                            {"podSelector": {"matchLabels": {"pod": "b"}}},
                            {"namespaceSelector": {"matchLabels": {"ns": "y"}}},
                        ]
                    }
                ],
            )
        ],
        {B: set(PORTS), C: set(PORTS), E: set(PORTS)},
    ),
    "pod-and-namespace": (
        [
            policy(
                "x",
                "and",
                ingress=[
                    {
                        "from": [
                            {
                                "podSelector": {"matchLabels": {"pod": "b"}},
                                "namespaceSelector": {"matchLabels": {"ns": "y"}},
                            }
                        ]
                    }
                ],
            )
        ],
        {E: set(PORTS)},
    ),
    "port": ([policy("x", "port", ingress=[{"ports": [{"port": 81}]}])], {one: {81} for one in (B, C, D, E, OUTSIDE)}),
    "named-port": (
        [policy("x", "web", ingress=[{"ports": [{"port": "web"}]}])],
        {one: {80} for one in (B, C, D, E, OUTSIDE)},
    ),
    "port-range": (
        [policy("x", "range", ingress=[{"ports": [{"port": 80, "endPort": 100}, {"port": 90, "endPort": 95}]}])],
        {one: {80, 81} for one in (B, C, D, E, OUTSIDE)},
    ),
    "two-ports-of-two-policies": (
        [policy("x", name, ingress=[{"ports": [{"port": port}]}]) for name, port in (("one", 80), ("two", 443))],
        {one: {80, 443} for one in (B, C, D, E, OUTSIDE)},
    ),
    "stacked": (
        [policy("x", "port", ingress=[{"ports": [{"port": 81}]}]), policy("x", "all", ingress=[{}])],
        {one: set(PORTS) for one in (B, C, D, E, OUTSIDE)},
    ),
    "egress-of-others": (
        [policy("x", "out", {"matchLabels": {"pod": "b"}}, **OUT)],
        {one: set(PORTS) for one in (C, D, E, OUTSIDE)},
    ),
    "egress-named-port": (
        [
            policy(
                "x",
                "out",
                {"matchLabels": {"pod": "b"}},
                egress=[{"to": [{"podSelector": OF_A}], "ports": [{"port": "web"}]}],
            )
        ],
        {B: {80}, **{one: set(PORTS) for one in (C, D, E, OUTSIDE)}},
    ),
    "block-without-one": (
        [policy("x", "block", ingress=[{"from": [{"ipBlock": {"cidr": "10.244.0.0/16", "except": [f"{B}/32"]}}]}])],
        {one: set(PORTS) for one in (C, D, E)},
    ),
    "block-everything": (
        [policy("x", "block", ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])],
        {one: set(PORTS) for one in (B, C, D, E, OUTSIDE)},
    ),
    "not-understood": ([policy("x", "odd", OF_A, ingress=[{"from": [{"fqdn": "*"}]}])], {}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_suites_cases(wires: PodWires, case: str) -> None:
    policies, wanted = CASES[case]
    apply(wires, policies, pods())
    found = wires.passed(flows())
    assert reached(found) == wanted
    if case != "not-understood":
        assert found == expected(policies, pods())


def test_labels_change(wires: PodWires) -> None:
    """A pod's and a namespace's: what the rules mean changes with them, and an old connection goes on."""
    by_pod = policy("x", "label", OF_A, ingress=[{"from": [{"podSelector": {"matchLabels": {"role": "x"}}}]}])
    apply(wires, [by_pod], pods())
    assert reached(wires.passed(flows())) == {}
    there = pods()
    there[1]["metadata"]["labels"]["role"] = "x"
    apply(wires, [by_pod], there)
    assert reached(wires.passed(flows())) == {B: set(PORTS)}
    by_space = policy("x", "label", OF_A, ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"new": "1"}}}]}])
    apply(wires, [by_space], pods())
    assert reached(wires.passed(flows())) == {}
    apply(wires, [by_space], pods(), {**SPACES, "y": {"ns": "y", "new": "1"}})
    assert reached(wires.passed(flows())) == {C: set(PORTS), E: set(PORTS)}


KEYS, VALUES = st.sampled_from(["pod", "team", "ns"]), st.sampled_from(["a", "b", "x"])
SELECTORS = st.one_of(
    st.just({}),
    st.builds(lambda key, value: {"matchLabels": {key: value}}, KEYS, VALUES),
    st.builds(
        lambda key, operator, values: {
            "matchExpressions": [
                {"key": key, "operator": operator, **({"values": values} if operator in ("In", "NotIn") else {})}
            ]
        },
        KEYS,
        st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        st.lists(VALUES, min_size=1, max_size=2),
    ),
)
BLOCKS = st.sampled_from(["0.0.0.0/0", "10.244.0.0/16", "10.244.21.0/24", "10.99.0.0/16", f"{A}/32", f"{D}/31"])
PEERS = st.one_of(
    st.builds(lambda pods: {"podSelector": pods}, SELECTORS),
    st.builds(lambda spaces: {"namespaceSelector": spaces}, SELECTORS),
    st.builds(lambda pods, spaces: {"podSelector": pods, "namespaceSelector": spaces}, SELECTORS, SELECTORS),
    st.builds(lambda cidr, out: {"ipBlock": {"cidr": cidr, "except": out}}, BLOCKS, st.lists(BLOCKS, max_size=2)),
)
ASKED = st.one_of(
    st.builds(lambda kind: {"protocol": kind}, st.sampled_from(["TCP", "UDP", "SCTP"])),
    st.builds(
        lambda port, kind: {"port": port, "protocol": kind}, st.sampled_from(PORTS), st.sampled_from(["TCP", "UDP"])
    ),
    st.builds(lambda first, more: {"port": first, "endPort": first + more}, st.integers(78, 82), st.integers(0, 400)),
    st.just({"port": "web"}),
)
POLICIES = st.builds(
    lambda number, space, pods, types, into, out: policy(
        space,
        f"p{number}",
        pods,
        **({"policyTypes": types} if types else {}),
        ingress=[{"from": peers, "ports": ports} for peers, ports in into],
        egress=[{"to": peers, "ports": ports} for peers, ports in out],
    ),
    st.integers(0, 9),
    st.sampled_from(["x", "y"]),
    SELECTORS,
    st.sampled_from([None, ["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    *[st.lists(st.tuples(st.lists(PEERS, max_size=3), st.lists(ASKED, max_size=3)), max_size=2)] * 2,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(POLICIES, min_size=1, max_size=4))
def test_any_policies(wires: PodWires, policies: list[dict[str, Any]]) -> None:
    """Whatever they say, the kernel lets through what the documentation's words do, and no more."""
    apply(wires, policies, pods())
    assert wires.passed(flows()) == expected(policies, pods())


def test_an_address_of_another_node_is_not_believed(wires: PodWires) -> None:
    """On its own bridge a pod can't claim to be one of another machine."""
    apply(wires, [], pods())
    wires.ip(A, "address", "add", f"{E}/32", "dev", "eth0")
    try:
        assert IPv4Network(f"{E}/32").subnet_of(RANGES["n2"])
        assert not wires.heard(A, E, B)
        assert wires.heard(A, A, B)
    finally:
        wires.ip(A, "address", "del", f"{E}/32", "dev", "eth0")


def link_local(wires: PodWires, who: str, link: str) -> str:
    """The IPv6 address that the kernel gave an interface by itself, once it may be used."""

    def found() -> str | None:
        words = ["ip", "-n", wires.name(who), "-6", "-j", "address", "show", "dev", link, "scope", "link", "-tentative"]
        listed = json.loads(run.run(words).stdout or "[]")
        return next((one["local"] for entry in listed for one in entry.get("addr_info", [])), None)

    assert until(lambda: found() is not None, Deadline(LONG), every=0.1)
    return found() or ""


def test_pods_do_not_meet_by_ipv6(wires: PodWires) -> None:
    """Policies are about IPv4 addresses: the kernel's own addresses for a link must not lead past them."""
    apply(wires, [policy("x", "deny", **IN)], pods())
    targets = [link_local(wires, B, "eth0"), link_local(wires, "n1", containers.BRIDGE)]

    def answered() -> list[str]:
        asked = ("ping", "-6", "-c", "2", "-i", "0.2", "-W", "2", "-q")
        done = {one: run.run([*asked, f"{one}%eth0"], netns=wires.name(A), check=False) for one in targets}
        return [one for one, told in done.items() if told.returncode == 0]

    assert answered() == targets, "without the machine's own rules they would"
    (setting,) = [line for line in system.SYSCTL.splitlines() if "ip6tables" in line]
    run.run(["sysctl", "-qw", setting.replace(" ", "")], netns=wires.name("n1"))
    wires.load({"n1": containers.firewall(LAB, names=True)})
    try:
        assert answered() == []
        assert (A, B, "TCP", 80) not in wires.passed(flows())
        assert (C, B, "TCP", 80) not in wires.passed(flows())
    finally:
        wires.load({"n1": "delete table ip nodisk\ndelete table ip6 nodisk\n"})
