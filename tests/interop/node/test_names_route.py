"""A pod's question for a name, in the kernel: kube-proxy's rule, the machine's own firewall, the server's unbound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.node.wires import LAB, Wire
from tests.support.resolver import OUTSIDE, OUTSIDE_ADDRESS, resolver

from nodisk import files, run
from nodisk.kube.watch import Change, WatchEvent
from nodisk.plan import cluster_dns, daemons_unbound
from nodisk.server import names, pod_routes
from nodisk.server.names import Picture
from nodisk.spec.load import parse
from nodisk.spec.model import Lab

pytestmark = pytest.mark.interop
APART = parse(
    "name: room\nnetwork: {subnet: 10.77.0.0/24, server: 10.77.0.1}\n"
    "kubernetes: {source: debian, isolation: names}\nmachines:\n"
    "  - {name: cp1, mac: 52:54:00:77:00:15, address: 10.77.0.21, role: control-plane}\n",
    file=Path("lab.yaml"),
)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    yield from wired(tmp_path, LAB)


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Wire]:
    yield from wired(tmp_path, APART)


def wired(folder: Path, lab: Lab) -> Iterator[Wire]:
    """A machine with the rules that kube-proxy makes of the objects of ``kube-dns``."""
    made = Wire(folder, lab)
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


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_the_server_sees_which_pod_asks(apart: Wire, transport: str) -> None:
    """Where classes' names are kept apart: the question comes under the pod's own address, the answer by the routes."""
    server, route = apart.name("server"), "10.244.21.0/24"
    run.run(["ip", "-n", server, "route", "del", route])
    run.run(["ip", "-batch", "-"], netns=server, stdin=pod_routes.commands(APART, "eth0", "replace"))
    with resolver(APART, server) as dns:
        picture = Picture(APART)
        for space in ("demo-ana", "demo-ben"):
            meta = {"name": "web", "namespace": space}
            picture.take_service(WatchEvent(Change.ADDED, {"metadata": meta, "spec": {"clusterIP": "10.96.1.2"}}))
        for zone, text in picture.files().items():
            files.write(daemons_unbound.zone_path(dns.host, zone), text)
            names.load(dns.host.conf / daemons_unbound.CONF, zone)
        files.write(daemons_unbound.views_path(dns.host), "common default\npod 10.244.21.2 demo-ana\n")
        words = ["kdig", transport, "+retry=0", "+time=20", "+short"]
        asked = ("web.demo-ana.svc.cluster.local", "web.demo-ben.svc.cluster.local", "ns.dns.cluster.local")
        pod = [run.run([*words, "@10.96.0.10", name], netns=apart.name("pod")).stdout for name in asked]
        machine = [
            run.run([*words, "@10.77.0.1", "-p", "1053", name], netns=apart.name("machine")).stdout for name in asked
        ]
        by_dnsmasq = run.run([*words, "@10.77.0.1", OUTSIDE], netns=apart.name("pod")).stdout
    assert pod == ["10.96.1.2\n", "", "10.96.0.10\n"]
    assert machine == ["", "", "10.96.0.10\n"]
    assert by_dnsmasq == f"{OUTSIDE_ADDRESS}\n", "what else pods ask of the server comes from their machine, as ever"
    run.run(["ip", "-force", "-batch", "-"], netns=server, stdin=pod_routes.commands(APART, "eth0", "delete"))
    assert "10.244" not in run.run(["ip", "-n", server, "route"]).stdout
