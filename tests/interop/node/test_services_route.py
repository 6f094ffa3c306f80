"""In a room without a gateway, in the kernel: what runs in a machine's own network reaches a Service's address."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.waits import until

from nodisk import run
from nodisk.errors import CommandFailed
from nodisk.plan import system
from nodisk.spec.model import Lab

pytestmark = pytest.mark.interop
LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "w1", "mac": "52:54:00:77:00:15", "address": "10.77.0.21"}],
    }
)
ANSWER = """\
import socket
listener = socket.create_server(("10.77.0.1", 6443))
print("listening", flush=True)
while True:
    connection, peer = listener.accept()
    connection.sendall(peer[0].encode())
    connection.close()
"""
ASK = "import socket; print(socket.create_connection(('10.96.0.1', 443), timeout=60).recv(100).decode())"
# As kube-proxy's rules do it for the Service `kubernetes`: on the way out, after the packet was routed.
PROXY = """\
table ip proxy {
	chain output {
		type nat hook output priority -100; policy accept;
		ip daddr 10.96.0.1 tcp dport 443 dnat to 10.77.0.1:6443
	}
}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[str]:
    """A machine's namespace beside the server's, with kube-proxy's rule and no gateway; the server answers."""
    server, machine = (f"sr{os.getpid()}-{who}" for who in ("server", "machine"))
    listener = None
    try:
        for name in (server, machine):
            run.run(["ip", "netns", "add", name])
            run.run(["ip", "-n", name, "link", "set", "lo", "up"])
        ends = ["eth0", "netns", machine, "type", "veth", "peer", "name", "eth0", "netns", server]
        run.run(["ip", "link", "add", *ends])
        for name, address in ((server, "10.77.0.1"), (machine, "10.77.0.21")):
            run.run(["ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0"])
            run.run(["ip", "-n", name, "link", "set", "eth0", "up"])
        run.run(["nft", "-f", "-"], netns=machine, stdin=PROXY)
        log = tmp_path / "server.log"
        listener = run.start([sys.executable, "-c", ANSWER], log_file=log, netns=server)
        until(lambda: "listening" in log.read_text(), why=log.read_text, process=listener)
        yield machine
    finally:
        if listener is not None:
            listener.kill()
            listener.wait()
        for name in (server, machine):
            run.run(["ip", "netns", "del", name], check=False)


def test_a_service_is_reached_from_a_machines_own_network(machine: str) -> None:
    with pytest.raises(CommandFailed, match="unreachable"):
        run.run([sys.executable, "-c", ASK], netns=machine)
    # networkd's [Route] section of the Services, as the words of ip-route(8).
    unit = system.network_unit(LAB, LAB.machines[0])
    found = re.search(r"\[Route\]\nDestination=(\S+)\nScope=(\w+)\nPreferredSource=(\S+)\n", unit)
    assert found is not None
    destination, scope, source = found.groups()
    run.run(["ip", "-n", machine, "route", "add", destination, "dev", "eth0", "scope", scope, "src", source])
    assert run.run([sys.executable, "-c", ASK], netns=machine).stdout.strip() == "10.77.0.21"
