"""A machine's nftables rules in the kernel: what a pod reaches of the server, and what else goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.node.wires import LAB, Wire

from nodisk import ports, run
from nodisk.spec.model_peers import Peers

pytestmark = pytest.mark.interop
PORTS = (53, 67, 69, 80, 123, 1053, 2049, 2379, 4011, 5000, 6443, 6444, 6446, 8080)
ASK = """\
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

WITHIN = 15


def tcp(port):
    try:
        socket.create_connection((sys.argv[1], port), timeout=WITHIN).close()
    except OSError:
        return False
    return True


def udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(WITHIN)
        one.connect((sys.argv[1], port))
        try:
            one.send(b"x")
            one.recv(100)
        except OSError:
            return False
    return True


ports = [int(word) for word in sys.argv[2:]]
with ThreadPoolExecutor(2 * len(ports)) as pool:
    found = {ask.__name__: [port for port, answers in zip(ports, answered) if answers]
             for ask, answered in [(ask, pool.map(ask, ports)) for ask in (tcp, udp)]}
print(json.dumps(found))
"""
"""All at once, since what a port says that is shut is nothing: each of those is waited for."""


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path)
    try:
        made.make()
        for who, address in (("server", "10.77.0.1"), ("other", "10.77.0.22"), ("pod", "10.244.21.2")):
            made.listen(who, address, *PORTS)
        yield made
    finally:
        made.remove()


def reached(wire: Wire, who: str, address: str, asked: tuple[int, ...] = PORTS) -> dict[str, list[int]]:
    done = run.run([sys.executable, "-c", ASK, address, *map(str, asked)], netns=wire.name(who), timeout=120)
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


def test_what_a_pod_reaches(wire: Wire) -> None:
    everything = {"tcp": list(PORTS), "udp": list(PORTS)}
    assert reached(wire, "pod", "10.77.0.1") == {"tcp": [53, 1053, 6443], "udp": [53, 123, 1053]}
    run.run(["ping", "-c", "1", "-W", "60", "10.77.0.1"], netns=wire.name("pod"))
    assert reached(wire, "pod", "10.77.0.22") == everything, "another machine, such as the API's own"
    assert reached(wire, "machine", "10.77.0.1") == everything, "the machine itself: pulls, NFS, enrolment"
    assert reached(wire, "server", "10.244.21.2") == everything, "a pod answers the server"


def test_no_pod_reaches_what_machines_give_to_each_other(tmp_path: Path) -> None:
    both = (8080, ports.PEERS, ports.LAYERS)
    wire = Wire(tmp_path, LAB.model_copy(update={"peers": Peers()}))
    try:
        wire.make()
        for who, address in (("machine", "10.77.0.21"), ("other", "10.77.0.22")):
            wire.listen(who, address, *both)
        for address in ("10.77.0.21", "10.77.0.22"):
            assert reached(wire, "pod", address, both)["tcp"] == [8080]
        for who, address in (("machine", "10.77.0.22"), ("other", "10.77.0.21")):
            assert reached(wire, who, address, both)["tcp"] == list(both)
    finally:
        wire.remove()
