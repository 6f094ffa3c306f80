"""How much is measured: quick for every day, full for figures that are published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Amounts. Rates are for a cluster of PCs; a slow one gets them divided by its pace, and the report says so."""

    name: str
    api_calls: int
    """Cycles of create, get, patch, list, delete."""
    api_rate: float
    """Cycles a second."""
    pods: int
    pod_rate: float
    """Pods a second."""
    cold: int
    """Pods on each node that takes ordinary pods, each with an image of its own."""
    burst: int
    """Pods a node in the burst."""
    density: bool
    net_seconds: int
    net_repeats: int
    rtt: int
    """Echoes a path."""
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
