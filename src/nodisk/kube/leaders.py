"""Which node's controllers act, where several could: the Leases of leader election.

Source: k8s.io/client-go/tools/leaderelection, whose holder is ``HOST_UUID``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from nodisk.kube.client import Client, Object

COMPONENTS = ("kube-controller-manager", "kube-scheduler")
Leaders = Mapping[str, str | None]
"""Component → the node on which it leads; None: nobody holds a lease that is still good."""


def ask(client: Client, now: float) -> Leaders:
    """Who leads at ``now`` (seconds since 1970); raises ApiError."""
    return read(client.list("coordination.k8s.io/v1", "Lease", namespace="kube-system"), now)


def read(leases: Iterable[Object], now: float) -> Leaders:
    """The same, of the Leases of kube-system."""
    found: dict[str, str | None] = dict.fromkeys(COMPONENTS)
    for lease in leases:
        if (name := lease["metadata"]["name"]) in found:
            found[name] = _holder(lease.get("spec") or {}, now)
    return found


def words(leaders: Leaders) -> str:
    """``cp1 leads``, or who does which."""
    controllers, scheduler = (leaders[name] for name in COMPONENTS)
    if controllers == scheduler:
        return f"{controllers} leads" if controllers else "NOBODY LEADS: no controllers, no scheduler"
    return f"controllers lead on {controllers or 'NO NODE'}, the scheduler on {scheduler or 'NO NODE'}"


def _holder(spec: Mapping[str, object], now: float) -> str | None:
    node, _, _ = str(spec.get("holderIdentity") or "").rpartition("_")
    try:
        renewed = datetime.fromisoformat(str(spec.get("renewTime"))).timestamp()
        lasts = float(str(spec.get("leaseDurationSeconds")))
    except (ValueError, OverflowError):
        return None
    return node if node and renewed + lasts > now else None
