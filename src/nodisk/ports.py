"""The ports of the server and of its machines: every other text has them from here."""

from __future__ import annotations

# The server's.
HTTP = 80
"""Boot scripts, images, and the console."""
DNS = 53
NTP = 123
NFS = 2049
"""Students' storage."""
ETCD = 2379
ETCD_PEER = 2380
"""etcd insists on a port for its peers; it has none, so this is on loopback, and asks for a certificate."""
REGISTRY = 5000
API = 6443
"""The cluster's, balanced by the server; each control-plane machine's own API server listens on the same."""
ENROL = 6444
"""The machines' script has it too: ``node/image/usr/lib/nodisk/enrol``."""

# The machines'.
KUBELET = 10250

POD_TCP = (DNS, API)
POD_UDP = (DNS, NTP)
"""The ports of the server that pods may use. Its others are for machines, and so is whatever else its host serves."""
