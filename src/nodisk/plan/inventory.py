"""An inventory boot: the node image with another Ignition, which measures the machine, reports, and switches it off.

It has no role, no SSH, and gets no certificate: its nonce counts for one report alone. The program that measures comes
with the Ignition, so that every image that is built already can be used.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address

from nodisk import node
from nodisk.plan import network
from nodisk.plan.documents import HEADER, file, unit
from nodisk.plan.facts import Facts
from nodisk.spec.model import Lab, Machine
from nodisk.values import Mac, Name

_OFF = (
    *("containerd.service", "kubelet.service", "kube-proxy.service", "nftables.service"),
    *("nodisk-enrol.service", "nodisk-report.service", "nodisk-sshkey.service", "ssh.socket"),
)
_UNIT = """\
[Unit]
Description=Inventory of this machine

[Service]
ExecStart=/bin/sh /etc/nodisk/inventory
ExecStopPost=/usr/bin/systemctl --no-block poweroff

[Install]
WantedBy=multi-user.target
"""


def machine(mac: Mac, address: IPv4Address) -> Machine:
    """A machine of no lab, at the address that it has now."""
    return Machine(name=Name.parse("inventory"), mac=mac, address=address)


def config(lab: Lab, facts: Facts, mac: Mac, seconds: int) -> str:
    """The Ignition config; public, without secrets. ``seconds``: how long the RAM is tested."""
    env = {
        "SERVER": str(lab.network.server),
        "MAC": mac.hyphened,
        "SECONDS_OF_TEST": str(seconds),
        "DOWNLOAD": network.server_url(lab) + facts.image.rootfs.url_path,
    }
    whole = {
        "ignition": {"version": "3.3.0"},
        "storage": {
            "files": [
                file("/etc/hostname", "inventory\n"),
                file("/etc/nodisk/inventory", node.INVENTORY.read_text(encoding="utf-8")),
                file("/etc/nodisk/inventory.env", HEADER + "".join(f"{key}={value}\n" for key, value in env.items())),
            ]
        },
        "systemd": {
            "units": [unit("nodisk-inventory.service", _UNIT), *({"name": name, "mask": True} for name in _OFF)]
        },
    }
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"
