"""The ports of the server and its machines; all other texts take them from here."""

from __future__ import annotations

# The server's.
HTTP = 80
"""Boot scripts and images."""
DNS = 53
NAMES = 1053
"""The cluster's names for pods, where the release brings no CoreDNS: behind port 53 of the Service ``kube-dns``."""
TFTP = 69
"""iPXE, shim and GRUB for firmware."""
NTP = 123
NFS = 2049
"""Students' storage."""
ETCD = 2379
ETCD_PEER = 2380
"""etcd requires a port for peers, although there are none: it is on loopback and requires a certificate."""
REGISTRY = 5000
CLASS_REGISTRY = 5001
"""Students' own images, where lab.yaml wants a registry for them."""
API = 6443
"""The cluster's API, balanced by the server; each control-plane machine's own API server listens on the same port."""
ENROL = 6444
"""Two scripts of the machines' image also have it; ``tests/unit/test_ports.py`` compares them with this."""
CONSOLE = 6445
"""The room's console, unless lab.yaml has another port for it."""
METRICS = 6446
"""What machines and pods use of processors and RAM, for the API servers alone."""

OF_SERVER = frozenset({HTTP, DNS, NAMES, NFS, ETCD, ETCD_PEER, REGISTRY, CLASS_REGISTRY, API, ENROL, METRICS})
"""Its TCP ports besides the console's, which lab.yaml may choose."""

# The machines'.
KUBELET = 10250
PEERS = 6448
"""Chunks of the image, for other machines; never for pods."""
LAYERS = 6449
"""Layers of container images, for other machines; never for pods."""

POD_TCP = (DNS, API)
POD_UDP = (DNS, NTP)
"""The server's ports that pods may use. All others, including those of other services on its host, are not."""
