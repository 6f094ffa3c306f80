"""containerd and the pod network of one machine."""

from __future__ import annotations

import json

from nodisk import ports
from nodisk.plan import kubelet, network
from nodisk.plan.documents import HEADER
from nodisk.plan.facts import Facts
from nodisk.spec.model import Lab, Machine

BRIDGE = "cni0"
PLUGINS = "/usr/lib/cni"

# Left out at start-up: snapshotters that need a disk, plugins that nothing here uses.
_DISABLED = (
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
)


PULL_PATIENCE = 120
"""Seconds without a byte after which a pull is given up and begun again, where other machines give layers: twice as
long as the server lets one wait for a machine to ask. containerd has 300 by itself, since 1.7."""


def gives_layers(lab: Lab, facts: Facts, machine: Machine) -> bool:
    """Whether a machine takes layers from others and gives them on. Not by containerd 1.6, which waits for ever for a
    machine that is silent."""
    return lab.gives_layers(machine) and _version(facts) >= (1, 7)


def _version(facts: Facts) -> tuple[int, int]:
    major, minor = (int(part) for part in (*facts.image.containerd.split("."), "0")[:2])
    return major, minor


def containerd_config(facts: Facts, *, gives_layers: bool = False) -> str:
    """containerd's config.toml: format 2 for containerd 1.x, format 3 from 2.0 (its plugins have other names there).

    ``gives_layers``: to other machines, so that it keeps them packed as they came.
    """
    pause = kubelet.pause_image(facts)
    major, minor = _version(facts)
    disabled = ", ".join(f'"{plugin}"' for plugin in _DISABLED)
    if major < 2:
        version, images, runtime = 2, "io.containerd.grpc.v1.cri", "io.containerd.grpc.v1.cri"
        sandbox = f'[plugins."{images}"]\n  sandbox_image = "{pause}"\n' if pause else ""
        discard = f'[plugins."{runtime}".containerd]\n  discard_unpacked_layers = true\n'
        # Off by default before containerd 2. An enforcer of NetworkPolicy learns by it of a pod before the pod runs.
        nri = '[plugins."io.containerd.nri.v1.nri"]\n  disable = false\n\n'
    else:
        version, images, runtime = 3, "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"
        sandbox = f'[plugins."{images}".pinned_images]\n  sandbox = "{pause}"\n' if pause else ""
        discard = f'[plugins."{images}"]\n  discard_unpacked_layers = true\n'
        nri = ""
    collector = ""
    if gives_layers:
        own_pull = "use_local_image_pull = true\n" if (major, minor) >= (2, 1) else ""
        patience = f'image_pull_progress_timeout = "{PULL_PATIENCE}s"\n'
        if major < 2:
            discard = ""
            sandbox = f'[plugins."{images}"]\n' + (f'  sandbox_image = "{pause}"\n' if pause else "") + f"  {patience}"
        else:
            # As without peers: another way to pull is what 2.1 takes where layers are kept.
            discard = f'[plugins."{images}"]\n  {patience}' + (f"  {own_pull}" if own_pull else "")
        # What an altered layer leaves goes with the pull that failed: the next one would stumble over it otherwise.
        collector = '[plugins."io.containerd.gc.v1.scheduler"]\n  deletion_threshold = 1\n\n'
    # A pod network that installs its plugin into /opt/cni/bin puts it there too: in the image that is a link.
    plugins = f'bin_dir = "{PLUGINS}"' if (major, minor) < (2, 1) else f'bin_dirs = ["{PLUGINS}"]'
    return (
        f"{HEADER}version = {version}\n"
        f"disabled_plugins = [{disabled}]\n\n"
        f"{discard}\n"
        f"{sandbox}\n"
        f"{nri}"
        f"{collector}"
        f'[plugins."{images}".registry]\n'
        '  config_path = "/etc/containerd/certs.d"\n\n'
        f'[plugins."{runtime}".containerd.runtimes.runc]\n'
        '  runtime_type = "io.containerd.runc.v2"\n'
        f'[plugins."{runtime}".containerd.runtimes.runc.options]\n'
        "  SystemdCgroup = true\n\n"
        f'[plugins."{runtime}".cni]\n'
        f"  {plugins}\n"
        '  conf_dir = "/etc/cni/net.d"\n'
    )


BLOBS = "/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256"
"""Where containerd keeps what it has pulled and checked."""
GIVER = "/usr/lib/nodisk/nodisk-peers"
LAYERS_SERVICE = "nodisk-layers.service"


def layers_unit(lab: Lab, machine: Machine) -> str:
    """The unit of the program that gives container images' layers to other machines, at the rate of ``peers``."""
    rate = lab.peers.rate.bytes if lab.peers is not None else 0
    return f"""{HEADER}[Unit]
Description=Layers of container images for other machines
Wants=network-online.target
After=network-online.target containerd.service
RequiresMountsFor=/var/lib/containerd
ConditionPathExists={GIVER}

[Service]
ExecStartPre=/usr/bin/mkdir -p {BLOBS}
ExecStart={GIVER} layers {BLOBS} {machine.address}:{ports.LAYERS} {rate}
Restart=on-failure
RestartSec=5
Nice=19
MemoryMax=16M
TasksMax=4
DevicePolicy=closed
CapabilityBoundingSet=CAP_SETUID CAP_SETGID
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET

[Install]
WantedBy=multi-user.target
"""


def registry_hosts(lab: Lab, *, gives_layers: bool = False) -> str:
    """hosts.toml for every registry: the lab's server first, then (by containerd's own rule) the registry itself.

    ``gives_layers``: what the server says of a layer comes before that, another machine that has it or 404.
    """
    layers = (
        f'[host."https://{lab.network.server}:{ports.REGISTRY}/peers"]\n'
        '  capabilities = ["pull"]\n'
        '  ca = "/etc/nodisk/ca.crt"\n\n'
        if gives_layers
        else ""
    )
    return (
        f"{HEADER}"
        f"{layers}"
        f'[host."https://{lab.network.server}:{ports.REGISTRY}"]\n'
        '  capabilities = ["pull", "resolve"]\n'
        '  ca = "/etc/nodisk/ca.crt"\n'
    )


def class_registry_hosts(lab: Lab) -> str:
    """hosts.toml for the class registry."""
    return (
        f"{HEADER}"
        # The registry itself, not a mirror before it: containerd says then what that answers.
        f'server = "https://{lab.network.server}:{ports.CLASS_REGISTRY}"\n'
        'capabilities = ["pull", "resolve"]\n'
        'ca = "/etc/nodisk/ca.crt"\n\n'
        "[host]\n"  # containerd 1 reads no file without it
    )


def cni_config(lab: Lab, machine: Machine) -> str:
    """The pod network ``routed``: a bridge with this machine's range; other machines' ranges are routes."""
    return (
        json.dumps(
            {
                "cniVersion": "1.0.0",
                "name": "nodisk",
                "plugins": [
                    {
                        "type": "bridge",
                        "bridge": BRIDGE,
                        "isGateway": True,
                        # Done by the node's own rules: pods reach each other under their own addresses.
                        "ipMasq": False,
                        "hairpinMode": True,
                        "ipam": {
                            "type": "host-local",
                            "dataDir": "/run/cni-ipam",
                            "ranges": [[{"subnet": str(network.pod_range(lab, machine))}]],
                            "routes": [{"dst": "0.0.0.0/0"}],
                        },
                    },
                    {"type": "portmap", "capabilities": {"portMappings": True}},
                ],
            },
            indent=2,
        )
        + "\n"
    )


_ASKS = "the server tells names by the pod that asks"
"""The comment of the rule that shows pods' own addresses to the server."""


def shows_pods(firewall: str) -> bool:
    """Whether these rules let pods ask for names under their own addresses: ``kubernetes.isolation: names``."""
    return _ASKS in firewall


def firewall(lab: Lab, *, names: bool) -> str:
    """nftables rules of a machine: what pods may not reach, how they reach other networks, and addresses that no
    Service has.

    On the server, pods reach the API, DNS and time, and ping for diagnosis; with ``names`` also the cluster's own
    names, which the server has where no CoreDNS runs. Everything else there is for machines, or none of the cluster's
    business. This affects only traffic forwarded from pods: containerd's pulls and the kernel's NFS mounts are the
    machine's own. Answers of pods pass: a Service may give them the server's own address.

    What kube-proxy redirects has another destination by the time of the filters (nat comes at priority -100), so what
    still goes to the Services' range is served by nobody: it is refused here, or the machine's route for that range
    would put it on the wire, where nothing answers. That comes after kube-proxy's own filters, at priority 0 or before:
    they refuse the connection to a Service without endpoints, which is another thing to be told. (Those of its nftables
    mode also drop what no Service has, once they know the range.)

    Pods have IPv4 addresses alone, and all rules and NetworkPolicies are about those. The kernel gives each pod a
    link-local IPv6 address as well, by which it would reach the other pods of its machine, and the machine, past all
    of them: nothing of that passes.

    Where classes' names are kept apart, pods ask for names under their own addresses: the server has routes to them.

    The tables are replaced as a whole.
    """
    pods, services, server = lab.kubernetes.pods, lab.kubernetes.services, lab.network.server
    more = (ports.NAMES,) if names else ()
    forward, own = _peers(lab) if lab.peers is not None else ("", "")
    asking = ""
    if names and lab.isolates_names:
        question = f"ip saddr {pods} ip daddr {server} meta l4proto {{ tcp, udp }} th dport {ports.NAMES}"
        asking = f'\t\t{question} counter accept comment "{_ASKS}"\n'
    tcp, udp = (", ".join(map(str, (*open_to, *more))) for open_to in (ports.POD_TCP, ports.POD_UDP))
    return f"""#!/usr/sbin/nft -f
{HEADER}table ip nodisk
delete table ip nodisk
table ip nodisk {{
	chain forward {{
		type filter hook forward priority -10; policy accept;
		iifname "{BRIDGE}" ip saddr != {pods} counter drop comment "a pod that pretends to be a machine"
		ip saddr {pods} ip daddr {server} jump server
{forward}	}}
{own}	chain server {{
		ct state established,related accept
		tcp dport {{ {tcp} }} accept
		udp dport {{ {udp} }} accept
		icmp type echo-request accept
		counter reject comment "for machines only"
	}}
	chain unserved-forward {{
		type filter hook forward priority filter + 10; policy accept;
		ip daddr {services} counter reject with icmp type host-unreachable comment "no Service has this address"
	}}
	chain unserved-output {{
		type filter hook output priority filter + 10; policy accept;
		ip daddr {services} counter reject with icmp type host-unreachable comment "no Service has this address"
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
{asking}		ip saddr {pods} ip daddr != {pods} counter masquerade comment "only machines know the way to pods"
	}}
}}
table ip6 nodisk
delete table ip6 nodisk
table ip6 nodisk {{
	chain forward {{
		type filter hook forward priority -10; policy accept;
		iifname "{BRIDGE}" counter drop comment "pods have IPv4 alone"
	}}
	chain input {{
		type filter hook input priority -10; policy accept;
		iifname "{BRIDGE}" counter drop comment "pods have IPv4 alone"
	}}
}}
"""


def _peers(lab: Lab) -> tuple[str, str]:
    """Machines give parts of images to machines only, whichever machine's pod asks: a rule and a chain."""
    what = f'tcp dport {{ {ports.PEERS}, {ports.LAYERS} }} counter reject comment "for machines only"'
    forward = f"\t\tip saddr {lab.kubernetes.pods} ip daddr {lab.network.subnet} {what}\n"
    own = "\t\ttype filter hook input priority filter; policy accept;\n"
    own += f"\t\tip saddr {lab.kubernetes.pods} {what}\n"
    return forward, f"\tchain own-peers {{\n{own}\t}}\n"
