"""Addresses that every other text agrees on."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.plan import network, system
from nodisk.spec.model import Lab, PodNetwork
from nodisk.values import Role


def lab(count: int, *, pods: str = "10.244.0.0/16", dns: tuple[str, ...] = ()) -> Lab:
    machines = [
        {
            "name": f"m{n}",
            "mac": f"52:54:00:00:{n >> 8:02x}:{n & 255:02x}",
            "address": str(IPv4Address("10.77.0.10") + n),
            "role": "control-plane" if n == 0 else "worker",
        }
        for n in range(count)
    ]
    return Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.77.0.0/16", "server": "10.77.0.1", "dns": dns},
            "kubernetes": {"pods": pods},
            "machines": machines,
        }
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 256))
def test_pod_ranges_are_disjoint_and_inside(count: int) -> None:
    room = lab(count)
    ranges = [network.pod_range(room, machine) for machine in room.machines]
    assert len(set(ranges)) == count
    assert all(one.subnet_of(room.kubernetes.pods) and one.prefixlen == 24 for one in ranges)


def test_pod_range_by_place() -> None:
    room = lab(3)
    assert network.pod_range(room, room.machines[2]) == IPv4Network("10.244.2.0/24")


@pytest.mark.parametrize("pods", ["10.244.0.0/23", "10.244.0.0/25"])
def test_no_range_left(pods: str) -> None:
    room = lab(3, pods=pods)
    with pytest.raises(IndexError, match=pods):
        network.pod_range(room, room.machines[2])


def test_routes_lead_to_all_others() -> None:
    room = lab(4)
    mine = room.machines[1]
    routes = dict(network.other_ranges(room, mine))
    assert routes == {
        IPv4Network("10.244.0.0/24"): IPv4Address("10.77.0.10"),
        IPv4Network("10.244.2.0/24"): IPv4Address("10.77.0.12"),
        IPv4Network("10.244.3.0/24"): IPv4Address("10.77.0.13"),
    }


def test_services() -> None:
    room = lab(2)
    assert network.api_service(room) == IPv4Address("10.96.0.1")
    assert network.dns_service(room) == IPv4Address("10.96.0.10")


def test_a_worker_uses_the_labs_api_and_a_control_plane_its_own() -> None:
    room = lab(2)
    assert room.machines[0].role is Role.CONTROL_PLANE
    assert network.api_url(room, room.machines[0]) == "https://10.77.0.10:6443"
    assert network.api_url(room, room.machines[1]) == network.api_url(room) == "https://10.77.0.1:6443"


def test_at_most_three_resolvers_and_the_server_first() -> None:
    room = lab(1, dns=("9.9.9.9", "10.77.0.1", "1.1.1.1"))
    assert list(map(str, network.resolvers(room))) == ["10.77.0.1", "9.9.9.9", "1.1.1.1"]


def test_only_the_routed_network_has_routes_of_its_own() -> None:
    room = lab(3)
    assert system.card(room, room.machines[0]).count("[Route]") == 2
    other = room.model_copy(update={"kubernetes": room.kubernetes.model_copy(update={"network": PodNetwork.FLANNEL})})
    assert "[Route]" not in system.card(other, other.machines[0])
