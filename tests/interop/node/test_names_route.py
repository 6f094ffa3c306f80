"""A pod's question for a name, in the kernel: kube-proxy's rule, the machine's own firewall, the server's unbound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.node.wires import LAB, Wire
from tests.support.resolver import OUTSIDE, OUTSIDE_ADDRESS, resolver

from nodisk import run
from nodisk.plan import cluster_dns

pytestmark = pytest.mark.interop


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """A machine with the rules that kube-proxy makes of the objects of ``kube-dns``."""
    made = Wire(tmp_path)
    try:
        made.make()
        service, endpoints = cluster_dns.objects(LAB)
        (subset,) = endpoints["subsets"]
        targets = {port["name"]: f"{subset['addresses'][0]['ip']}:{port['port']}" for port in subset["ports"]}
        rules = "".join(
            f"ip daddr {service['spec']['clusterIP']} {port['protocol'].lower()} dport {port['port']} "
            f"dnat to {targets[port['name']]}\n"
            for port in service["spec"]["ports"]
        )
        text = f"table ip proxy {{\nchain c {{\ntype nat hook prerouting priority -100;\n{rules}}}\n}}\n"
        run.run(["nft", "-f", "-"], netns=made.name("machine"), stdin=text)
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_a_pod_asks_the_service_and_the_server_answers(wire: Wire, transport: str) -> None:
    with resolver(LAB, wire.name("server")):
        words = ["kdig", "@10.96.0.10", transport, "+retry=0", "+time=20", "+short"]
        answers = {
            name: run.run([*words, name], netns=wire.name("pod")).stdout for name in ("ns.dns.cluster.local", OUTSIDE)
        }
    assert answers == {"ns.dns.cluster.local": "10.96.0.10\n", OUTSIDE: f"{OUTSIDE_ADDRESS}\n"}
