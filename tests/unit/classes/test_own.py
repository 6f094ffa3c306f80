"""What a student's page says of the objects in their namespace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nodisk.classes.own import Link, Own, Running, Used, own

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def look(**what: Any) -> Own:
    found = {"quota": None, "pods": [], "services": [], "events": []} | what
    return own(found.pop("quota"), **found, node="10.77.0.12", now=NOW)


def pod(name: str, *containers: dict[str, Any], phase: str = "Running", ready: str = "False", **meta: Any) -> Any:
    status = {"phase": phase, "containerStatuses": list(containers)}
    status["conditions"] = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": name, "namespace": "k8s-jan", **meta}, "spec": {}, "status": status}


def test_nothing_is_there_yet() -> None:
    assert look() == Own((), (), (), ())
    assert look(pods=[{"metadata": {"name": "a", "namespace": "x"}}]).pods == (Running("a", "Unknown", 0),)


def test_pods_by_name_with_the_reason_why_they_wait() -> None:
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}, "restartCount": 0}
    again = {"state": {"running": {}}, "restartCount": 3}
    found = look(
        pods=[
            pod("web", again, ready="True"),
            pod("typo", waiting, phase="Pending"),
            pod("going", again, ready="True", deletionTimestamp="2026-11-01T00:00:00Z"),
            pod("job", {"state": {"terminated": {}}}, phase="Succeeded"),
        ]
    )
    assert found.pods == (
        Running("going", "Terminating", 3),
        Running("job", "Succeeded", 0),
        Running("typo", "ImagePullBackOff", 0),
        Running("web", "Ready", 3),
    )


def test_links_are_of_node_ports_by_tcp() -> None:
    ports = [{"port": 80, "nodePort": 30080}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}, {"port": 81}]
    services = [{"metadata": {"name": "web"}, "spec": {"ports": ports}}, {"metadata": {"name": "none"}, "spec": {}}]
    assert look(services=services).links == (Link("web", "http://10.77.0.12:30080/"),)


def test_of_the_quota_what_there_is() -> None:
    status = {"hard": {"pods": "10", "requests.cpu": "2", "count/secrets": "5"}, "used": {"pods": "1"}}
    assert look(quota={"status": status}).quota == (Used("CPU (requests)", "0", "2"), Used("Pods", "1", "10"))


@given(st.lists(st.integers(30000, 32767), max_size=5), st.lists(st.text("abc-", min_size=1, max_size=5), max_size=5))
def test_every_port_and_every_pod_is_there_once(ports: list[int], names: list[str]) -> None:
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"nodePort": port} for port in ports]}}
    found = look(services=[service], pods=[pod(name) for name in names])
    assert sorted(link.url for link in found.links) == sorted(f"http://10.77.0.12:{port}/" for port in ports)
    assert [one.name for one in found.pods] == sorted(names)
