"""How much is measured: quick for everyday use, full for figures to publish."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """How much to measure. Rates are for PCs: a slower cluster gets them divided by its pace, as the report states."""

    name: str
    api_calls: int
    """Cycles of create, get, patch, list, delete."""
    api_rate: float
    """Cycles per second."""
    pods: int
    pod_rate: float
    """Pods per second."""
    cold: int
    """Pods on each schedulable node, each with an image of its own."""
    burst: int
    """Pods per node in the burst."""
    density: bool
    net_seconds: int
    net_repeats: int
    rtt: int
    """ICMP echoes per path."""
    services: int
    lookups: int
    students: int


QUICK = Profile(
    "quick",
    api_calls=120,
    api_rate=10,
    pods=12,
    pod_rate=1,
    cold=1,
    burst=4,
    density=False,
    net_seconds=2,
    net_repeats=1,
    rtt=20,
    services=5,
    lookups=50,
    students=30,
)
FULL = Profile(
    "full",
    api_calls=3000,
    api_rate=20,
    pods=300,
    pod_rate=1,
    cold=5,
    burst=30,
    density=True,
    net_seconds=10,
    net_repeats=3,
    rtt=100,
    services=40,
    lookups=1000,
    students=30,
)
PROFILES = {one.name: one for one in (QUICK, FULL)}
