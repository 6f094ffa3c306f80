"""A room's own DHCP server for ``nodisk lab bench --matrix``: Debian's dnsmasq on the segment, with a pool for anybody.

It runs in a network namespace without a name, which is gone when its last process is, also after kill -9.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from nodisk import files, run
from nodisk.machines.segment import Segment
from nodisk.records.virtual_lab import BRIDGE

_PORT = "room"
"""The server's port of the segment's bridge."""
_SCRIPT = 'echo $$; dnsmasq --conf-file="$1" >"$2" 2>&1 & cat >/dev/null; kill $!; wait $!'


def configuration(address: IPv4Interface, pool: tuple[IPv4Address, IPv4Address], folder: Path, snippet: str) -> str:
    """dnsmasq.conf(5) of a server at ``address`` that gives ``pool`` to anybody, with a snippet at its end."""
    lines = (
        *("keep-in-foreground", "port=0", "user=root", "no-ping", "interface=eth0", "bind-dynamic"),
        *(f"dhcp-leasefile={folder / 'leases'}", "dhcp-authoritative"),
        f"dhcp-range={pool[0]},{pool[1]},{address.netmask}",
    )
    return "\n".join((*lines, snippet, ""))


@contextmanager
def serving(
    segment: Segment, address: IPv4Interface, pool: tuple[IPv4Address, IPv4Address], folder: Path, snippet: str
) -> Iterator[None]:
    """Run it while the block runs; its files and log are in ``folder``."""
    config = folder / "dnsmasq.conf"
    files.write(config, configuration(address, pool, folder, snippet))
    words = ["unshare", "--net", "sh", "-c", _SCRIPT, "sh", str(config), str(folder / "dnsmasq.log")]
    with run.held(words, cwd=folder) as pid:
        inside = ["nsenter", "--target", pid, "--net", "ip"]
        run.run(["ip", "-n", segment.netns, "link", "add", _PORT, "type", "veth", "peer", "name", "eth0", "netns", pid])
        run.run(["ip", "-n", segment.netns, "link", "set", _PORT, "master", BRIDGE, "up"])
        run.run([*inside, "address", "add", str(address), "dev", "eth0"])
        run.run([*inside, "link", "set", "eth0", "up"])
        yield
