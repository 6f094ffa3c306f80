"""A machine's nftables rules in the kernel: an address of the Services that no Service has stays off the wire."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.interop.node.wires import LAB, Wire

from nodisk import run
from nodisk.plan import system

pytestmark = pytest.mark.interop
SERVED, IDLE, UNSERVED = "10.96.0.1", "10.96.0.20", "10.96.7.7"
"""A Service; one without endpoints; an address that none has."""
API = "10.77.0.1"
# It waits longer than the kernel's own retries take: what it prints hangs on no timeout.
ASK = """\
import errno, socket, sys
try:
    print(socket.create_connection((sys.argv[1], 443), timeout=60).getpeername()[0])
except OSError as error:
    print(errno.errorcode.get(error.errno, error))
"""


def by_iptables(netns: str) -> None:
    """What kube-proxy before 1.33 has in the kernel of these two Services."""
    for chain in ("PREROUTING", "OUTPUT"):
        words = ["iptables-nft", "-t", "nat", "-A", chain, "-d", SERVED, "-p", "tcp", "--dport", "443"]
        run.run([*words, "-j", "DNAT", "--to-destination", f"{API}:6443"], netns=netns)
    for chain in ("FORWARD", "OUTPUT"):
        run.run(["iptables-nft", "-A", chain, "-d", IDLE, "-j", "REJECT"], netns=netns)


def by_nftables(netns: str) -> None:
    """The same by a table of its own, as from 1.33 until it knows the range, and drops what no Service has."""
    redirect = f"ip daddr {SERVED} tcp dport 443 dnat to {API}:6443"
    chains = [
        *(f"type nat hook {hook} priority -100; {redirect}" for hook in ("prerouting", "output")),
        *(f"type filter hook {hook} priority 0; ip daddr {IDLE} reject" for hook in ("forward", "output")),
    ]
    text = "".join(f"chain c{number} {{ {chain}; }}\n" for number, chain in enumerate(chains))
    run.run(["nft", "-f", "-"], netns=netns, stdin=f"table ip kube-proxy {{\n{text}}}\n")


@pytest.fixture(params=[by_iptables, by_nftables])
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    """A machine that knows the way to the Services; whatever asks the wire for the unserved address gets an answer."""
    proxy: Callable[[str], None] = request.param
    made = Wire(tmp_path)
    try:
        made.make()
        machine, server = made.name("machine"), made.name("server")
        # networkd's [Route] section of the Services, as the words of ip-route(8).
        found = re.search(
            r"\[Route\]\nDestination=(\S+)\nScope=(\w+)\nPreferredSource=", system.network_unit(LAB, LAB.machines[0])
        )
        assert found is not None
        made.ip("-n", machine, "route", "add", found[1], "dev", "lan", "scope", found[2], "src", "10.77.0.21")
        proxy(machine)
        made.ip("-n", server, "address", "add", f"{UNSERVED}/32", "dev", "eth0")
        made.listen("server", API, 6443)
        made.listen("server", UNSERVED, 443)
        yield made
    finally:
        made.remove()


def asked(wire: Wire, who: str, address: str) -> str:
    return run.run([sys.executable, "-c", ASK, address], netns=wire.name(who), timeout=120).stdout.strip()


@pytest.mark.parametrize("who", ["machine", "pod"])
def test_an_unserved_address_is_refused_by_the_machine(wire: Wire, who: str) -> None:
    assert asked(wire, who, SERVED) == SERVED
    assert asked(wire, who, IDLE) == "ECONNREFUSED", "kube-proxy's own word comes first"
    assert asked(wire, who, UNSERVED) == "EHOSTUNREACH"
    run.run(["nft", "delete", "table", "ip", "nodisk"], netns=wire.name("machine"))
    assert asked(wire, who, UNSERVED) == UNSERVED, "without these rules it goes onto the wire"
