"""unbound's configuration: the cluster's names where the release brings no CoreDNS, and for pods all others. Pure.

Its zones are files that the server writes (``server.names``); it follows an ExternalName to wherever that leads, and
asks dnsmasq for all other names, as machines do.

Where lab.yaml keeps classes' names apart, it listens on loopback alone, behind the names' gate (``server.names_gate``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from nodisk import ports
from nodisk.plan import network
from nodisk.plan.daemons import Host
from nodisk.plan.name_views import Judge, labels_of
from nodisk.plan.zones import TTL, reverse_zones, zones
from nodisk.spec.model import Lab

CONF, GATE = "unbound.conf", "names-gate.json"
LOOPBACK = "127.0.0.1"


def zone_path(host: Host, zone: str) -> Path:
    """Where a zone's file is."""
    return host.data / "names" / f"{zone}.zone"


def views_path(host: Host) -> Path:
    """Where the text is that says whose names each pod may ask for."""
    return host.data / "names" / "views"


def judge(lab: Lab) -> Judge:
    """What decides by the views who may have which names."""
    kube = lab.kubernetes
    reverse = frozenset(labels_of(zone) for one in (kube.services, kube.pods) for zone in reverse_zones(one))
    trusted = frozenset((LOOPBACK, str(lab.network.server)))
    return Judge(labels_of(network.CLUSTER_DOMAIN), reverse, kube.pods, trusted)


def gate(lab: Lab, host: Host) -> str:
    """The configuration of the names' gate. The server itself sees all names, as its administrator does anyway.

    A machine doesn't: its address is also that of whatever hides behind it, such as pods in a machine's own network.
    """
    kube = lab.kubernetes
    told = {
        "listen": [str(lab.network.server), ports.NAMES],
        "unbound": [LOOPBACK, ports.NAMES],
        "subnet": str(lab.network.subnet),
        "views": str(views_path(host)),
        "user": host.names_user,
        "domain": network.CLUSTER_DOMAIN,
        "reverse": [zone for one in (kube.services, kube.pods) for zone in reverse_zones(one)],
        "pods": str(kube.pods),
        "trusted": [LOOPBACK, str(lab.network.server)],
        "ttl": TTL,
    }
    return json.dumps(told, indent=2) + "\n"


def unbound(lab: Lab, host: Host) -> str:
    """The configuration file for ``unbound -c``."""
    return "\n".join((*_server(lab, host), *_zones(lab, host), *_forward(lab), *_control(host), ""))


def _server(lab: Lab, host: Host) -> Iterator[str]:
    yield "server:"
    yield f'    directory: "{host.data / "names"}"'
    yield '    chroot: ""'
    yield f'    username: "{host.names_user}"'
    yield '    pidfile: ""'
    yield "    do-daemonize: no"
    yield "    use-syslog: no"
    yield f"    interface: {LOOPBACK if lab.isolates_names else lab.network.server}@{ports.NAMES}"
    yield "    do-ip6: no"
    # Pods' questions come with the address of their machine, or by the gate.
    yield f"    access-control: {'127.0.0.0/8' if lab.isolates_names else lab.network.subnet} allow"
    yield "    num-threads: 2"
    yield "    so-reuseport: yes"
    yield "    edns-buffer-size: 1232"
    yield "    hide-identity: yes"
    yield "    hide-version: yes"
    # Nothing in the lab is signed, and what dnsmasq passes on is checked by the servers that it asks.
    yield '    module-config: "iterator"'
    # The Services' and pods' addresses are private ones, for which unbound otherwise knows no names.
    yield "    unblock-lan-zones: yes"
    yield "    qname-minimisation: no"
    # dnsmasq is asked again as soon as it is back.
    yield "    infra-keep-probing: yes"
    yield "    infra-host-ttl: 5"


def _zones(lab: Lab, host: Host) -> Iterator[str]:
    for zone in zones(lab):
        yield "auth-zone:"
        yield f'    name: "{zone}."'
        yield f'    zonefile: "{zone_path(host, zone)}"'
        # For its own look-ups, not as an authoritative server: only so it follows a CNAME that leads out of the zone.
        yield "    for-downstream: no"
        yield "    for-upstream: yes"
        # The forwarding of all names would come before a zone that has no servers. This one is never asked.
        yield "stub-zone:"
        yield f'    name: "{zone}."'
        yield "    stub-addr: 127.0.0.1@9"


def _forward(lab: Lab) -> Iterator[str]:
    yield "forward-zone:"
    yield '    name: "."'
    yield f"    forward-addr: {lab.network.server}@{ports.DNS}"


def _control(host: Host) -> Iterator[str]:
    yield "remote-control:"
    yield "    control-enable: yes"
    yield f'    control-interface: "{host.run / "unbound.sock"}"'
    yield "    control-use-cert: no"
