"""Ports without a protocol: which get one, and that nothing else of an object is another."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.kube import protocols

PORTS = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]
SAID = [{"protocol": "TCP", "containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]


def thing(kind: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def pod(ports: Any) -> dict[str, Any]:
    return {"containers": [{"name": "a", "ports": ports}, {"name": "b"}], "initContainers": [{"ports": ports}]}


def test_a_service_s() -> None:
    spec = {"type": "NodePort", "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}
    found = protocols.said(thing("Service", spec))
    assert found == thing("Service", spec | {"ports": [{"port": 80, "protocol": "TCP"}, spec["ports"][1]]})


@pytest.mark.parametrize(
    "kind", ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Job"]
)
def test_a_template_s(kind: str) -> None:
    before = thing(kind, {"replicas": 1, "template": {"metadata": {}, "spec": pod(PORTS)}})
    kept = copy.deepcopy(before)
    assert protocols.said(before) == thing(kind, {"replicas": 1, "template": {"metadata": {}, "spec": pod(SAID)}})
    assert before == kept


def test_a_pod_s_and_a_cron_job_s() -> None:
    assert protocols.said(thing("Pod", pod(PORTS))) == thing("Pod", pod(SAID))
    before, after = (
        thing("CronJob", {"jobTemplate": {"spec": {"template": {"spec": pod(ports)}}}}) for ports in (PORTS, SAID)
    )
    assert protocols.said(before) == after


KEYS = st.sampled_from(
    ["spec", "template", "jobTemplate", "containers", "initContainers", "ports", "port", "containerPort", "protocol"]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.sampled_from([*protocols.ABOVE, "Service", "ConfigMap"]), ANY)
def test_whatever_somebody_writes_only_ports_get_more(kind: str, spec: Any) -> None:
    before = thing(kind, spec)
    found = protocols.said(copy.deepcopy(before))
    assert protocols.said(found) == found
    assert _without(found) == _without(before)
    if kind == "ConfigMap":
        assert found == before


def _without(value: Any) -> Any:
    """The same without any protocol."""
    if isinstance(value, dict):
        return {key: _without(one) for key, one in value.items() if key != "protocol"}
    return [_without(one) for one in value] if isinstance(value, list) else value
