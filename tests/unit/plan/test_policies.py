"""What the compiler makes of single objects, and what a lab gives its machines."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.policies import pod, policy

from nodisk.plan.policies import Block, Cluster, Pod, Policy, pod_of, policy_of
from nodisk.plan.policy_rules import compile_nodes

NODES = {"n1": IPv4Network("10.244.1.0/24")}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"spec": {"nodeName": "n1", "hostNetwork": True}}, "in the host's network"),
        ({"status": {"phase": "Succeeded", "podIP": "10.244.1.2"}}, "ended"),
        ({"status": {"phase": "Pending"}}, "without an address"),
        ({"status": {"podIP": "fd00::1"}}, "without an IPv4 address"),
        ({"spec": {}}, "not scheduled"),
    ],
)
def test_pods_that_no_policy_means(change: dict[str, Any], what: str) -> None:
    assert pod_of(pod("x", "a", "10.244.1.2") | change) is None, what


def test_directions_are_inferred() -> None:
    assert policy_of(policy("x", "a")) == Policy("x", "a", (), (), None)
    with_egress = policy_of(policy("x", "a", egress=[{}]))
    assert with_egress.ingress == ()
    assert with_egress.egress is not None
    assert policy_of(policy("x", "a", policyTypes=["Egress"])).ingress is None


@given(st.lists(JSON, max_size=2), JSON)
def test_what_is_not_understood_isolates(rules: list[Any], selector: Any) -> None:
    """No shape of a policy is an error, and none opens a direction that it names."""
    found = policy_of(
        {
            "metadata": {"namespace": "x", "name": "a"},
            "spec": {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": rules},
        }
    )
    assert found.ingress is not None


def test_the_younger_pod_has_the_address() -> None:
    old = Pod("x", "old", "n1", IPv4Address("10.244.1.2"), {"app": "a"}, born="2026-01-01T00:00:00Z")
    new = Pod("y", "new", "n1", IPv4Address("10.244.1.2"), {}, born="2026-01-02T00:00:00Z")
    closed = policy_of(policy("x", "deny"))
    for pods in ((old, new), (new, old)):
        text = compile_nodes(Cluster({}, pods, (closed,)), NODES, "cni0")["n1"]
        assert text.count("10.244.1.2 : accept") == 2


def test_blocks_of_ipv6_mean_nobody() -> None:
    found = policy_of(policy("x", "a", ingress=[{"from": [{"ipBlock": {"cidr": "::/0"}}]}]))
    assert found.ingress is not None
    assert found.ingress[0].peers == ()
    mixed = policy_of(policy("x", "a", ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.5/8"}}]}]))
    assert mixed.ingress is not None
    assert mixed.ingress[0].peers == (Block(IPv4Network("10.0.0.0/8")),)


def test_a_comment_holds_nothing_but_a_name() -> None:
    odd = policy('x"; }', "a\n", policyTypes=["Ingress"])
    text = compile_nodes(
        Cluster({}, (Pod('x"; }', "p", "n1", IPv4Address("10.244.1.2"), {}),), (policy_of(odd),)), NODES, "cni0"
    )["n1"]
    assert 'comment "x????/a?"' in text
