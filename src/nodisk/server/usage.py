"""kubelet's ``/stats/summary`` → objects of ``metrics.k8s.io/v1beta1``. Pure.

Sources: k8s.io/kubelet/pkg/apis/stats/v1alpha1 (what is read), k8s.io/metrics/pkg/apis/metrics/v1beta1 (what is made).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard

API_VERSION = "metrics.k8s.io/v1beta1"
WINDOW = "10s"
"""Over which kubelet measures a processor's use: cAdvisor's and its own interval."""
_MOST = (1 << 63) - 1
"""A quantity's largest value in the API, which reads it as a signed number of 64 bits."""
_LONGEST = 253
"""Characters of an object's name."""

Pod = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one machine or container used."""

    cpu: int
    """Billionths of a processor."""
    memory: int
    """Bytes that can't be taken back: the working set."""
    at: datetime

    def to_json(self) -> dict[str, str]:
        """As the API writes it."""
        return {"cpu": f"{self.cpu}n", "memory": f"{self.memory // 1024}Ki"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one kubelet told."""

    node: Usage | None = None
    pods: Mapping[Pod, Mapping[str, Usage]] = field(default_factory=dict)
    """Pod → container → usage; without pods of which something isn't known yet."""


def read(data: bytes) -> Reading:
    """A kubelet's answer; raises ValueError if it is no summary. What is not known of a pod is left out, as what is
    wrong: a container is measured some seconds after its start.
    """
    try:
        summary = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(summary, dict) or not isinstance(summary.get("node"), dict):
        raise ValueError("no summary of kubelet's statistics")
    pods = summary.get("pods")
    return Reading(_usage(summary["node"]), dict(_pods(pods if isinstance(pods, list) else [])))


def _pods(entries: list[Any]) -> Iterator[tuple[Pod, dict[str, Usage]]]:
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(ref := entry.get("podRef"), dict):
            continue
        namespace, name, containers = ref.get("namespace"), ref.get("name"), entry.get("containers")
        if not (_name(namespace) and _name(name) and isinstance(containers, list)):
            continue
        found: dict[str, Usage] = {}
        for one in containers:
            usage = _usage(one) if isinstance(one, dict) and _name(one.get("name")) else None
            if usage is None:
                break
            found[one["name"]] = usage
        else:
            if found:
                yield (namespace, name), found


def _name(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= _LONGEST and text.isascii() and text.isprintable()


def _usage(entry: dict[str, Any]) -> Usage | None:
    cpu, memory = entry.get("cpu"), entry.get("memory")
    if not isinstance(cpu, dict) or not isinstance(memory, dict):
        return None
    cores, working, at = cpu.get("usageNanoCores"), memory.get("workingSetBytes"), _time(cpu.get("time"))
    if type(cores) is not int or type(working) is not int or at is None:
        return None
    return Usage(cores, working, at) if 0 <= cores <= _MOST and 0 <= working <= _MOST else None


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return None if found is None or found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def nodes(readings: Mapping[str, Reading]) -> list[dict[str, Any]]:
    """NodeMetrics, by name; a node of which nothing is known has none."""
    return [
        _object("NodeMetrics", {"name": name}, reading.node.at, usage=reading.node.to_json())
        for name, reading in sorted(readings.items())
        if reading.node is not None
    ]


def pods(readings: Mapping[str, Reading], namespace: str | None = None) -> list[dict[str, Any]]:
    """PodMetrics of a namespace or of all, by name. A pod that two machines tell of is as the later one says."""
    found: dict[Pod, tuple[datetime, Mapping[str, Usage]]] = {}
    for reading in readings.values():
        for pod, containers in reading.pods.items():
            at = max(usage.at for usage in containers.values())
            if namespace in (None, pod[0]) and (pod not in found or found[pod][0] < at):
                found[pod] = (at, containers)
    return [
        _object(
            "PodMetrics",
            {"name": name, "namespace": space},
            at,
            containers=[{"name": key, "usage": usage.to_json()} for key, usage in sorted(containers.items())],
        )
        for (space, name), (at, containers) in sorted(found.items())
    ]


def _object(kind: str, meta: dict[str, str], at: datetime, **more: Any) -> dict[str, Any]:
    stamp = f"{at:%Y-%m-%dT%H:%M:%SZ}" if at.year >= 1000 else "1970-01-01T00:00:00Z"
    meta = meta | {"creationTimestamp": stamp}
    return {"kind": kind, "apiVersion": API_VERSION, "metadata": meta, "timestamp": stamp, "window": WINDOW, **more}
