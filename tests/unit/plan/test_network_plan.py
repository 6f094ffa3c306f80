"""Addresses that every other text agrees on."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.plan import network, system
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import PodNetwork
from nodisk.values import Role


def lab(
    count: int,
    *,
    pods: str = "10.244.0.0/16",
    dns: tuple[str, ...] = (),
    subnet: str = "10.77.0.0/16",
    kind: str = "routed",
) -> Lab:
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
            "network": {"subnet": subnet, "server": "10.77.0.1", "dns": dns},
            "kubernetes": {"pods": pods, "network": kind},
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


def without(room: Lab, *places: int) -> Lab:
    kept = tuple(machine for place, machine in enumerate(room.machines) if place not in places)
    return room.model_copy(update={"machines": kept})


def test_pod_range_by_address() -> None:
    room = lab(3)
    assert network.pod_range(room, room.machines[2]) == IPv4Network("10.244.12.0/24")


@pytest.mark.parametrize("subnet", ["10.77.0.0/16", "10.77.0.0/24"])
def test_who_is_added_or_goes_moves_nobody(subnet: str) -> None:
    """Wherever in the file that is."""
    room = lab(20, subnet=subnet)
    for gone in ((0,), (7,), (19,), (3, 4, 5)):
        smaller = without(room, *gone)
        assert network.pod_ranges(smaller).items() <= network.pod_ranges(room).items()
        turned = room.model_copy(update={"machines": room.machines[::-1]})
        assert network.pod_ranges(turned) == network.pod_ranges(room)


def test_addresses_that_want_the_same_range() -> None:
    """More addresses than ranges: the later machine of the file gets the next one; an appended one moves nobody."""
    room = lab(4, pods="10.244.0.0/22")  # .10, .11, .12, .13: each wants another of the four
    assert [str(network.pod_range(room, one)) for one in room.machines] == [
        *("10.244.2.0/24", "10.244.3.0/24", "10.244.0.0/24", "10.244.1.0/24"),
    ]
    moved = room.machines[3].model_copy(update={"address": IPv4Address("10.77.0.14")})
    room = room.model_copy(update={"machines": (*room.machines[:3], moved)})
    assert str(network.pod_range(room, moved)) == "10.244.1.0/24", ".14 wants the range of .10"


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
        IPv4Network("10.244.10.0/24"): IPv4Address("10.77.0.10"),
        IPv4Network("10.244.12.0/24"): IPv4Address("10.77.0.12"),
        IPv4Network("10.244.13.0/24"): IPv4Address("10.77.0.13"),
    }


def test_a_machine_that_runs_knows_the_way_to_one_that_is_added_later() -> None:
    room = lab(20, subnet="10.77.0.0/24")
    before = without(room, 5)
    mine = before.machines[1]
    routes = dict(network.other_ranges(before, mine))
    assert routes == dict(network.other_ranges(room, mine)), "no machine has to boot again"
    assert len(routes) == 254 - 2
    assert all(routes[network.pod_range(room, other)] == other.address for other in room.machines if other != mine)
    assert network.pod_range(room, mine) not in routes
    assert room.network.server not in routes.values()


@pytest.mark.parametrize(("kind", "routes"), [("routed", 252), ("flannel", 0), ("calico", 0), ("cilium", 0)])
def test_only_the_routed_network_gets_routes(kind: str, routes: int) -> None:
    room = lab(3, subnet="10.77.0.0/24", kind=kind)
    assert system.network_unit(room, room.machines[1]).count("\nGateway=10.77.0.") == routes


@pytest.mark.parametrize("kind", ["routed", "flannel", "calico", "cilium"])
@pytest.mark.parametrize("gateway", [None, "10.77.0.254"])
def test_every_machine_has_a_way_to_the_services_whatever_the_gateway(kind: str, gateway: str | None) -> None:
    room = lab(3, kind=kind)
    room = room.model_copy(
        update={"network": room.network.model_copy(update={"gateway": gateway and IPv4Address(gateway)})}
    )
    for machine in room.machines:
        route = f"[Route]\nDestination=10.96.0.0/16\nScope=link\nPreferredSource={machine.address}\n"
        assert route in system.network_unit(room, machine)


def test_services() -> None:
    room = lab(2)
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
    assert system.network_unit(room, room.machines[0]).count("Gateway=") == 2
    other = room.model_copy(update={"kubernetes": room.kubernetes.model_copy(update={"network": PodNetwork.FLANNEL})})
    assert "Gateway=" not in system.network_unit(other, other.machines[0])
