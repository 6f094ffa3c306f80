"""A student's terminal as objects of the cluster: what its pod takes, what it may, and that no secret is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nodisk.classes import capacity, plan, record, sizes, terminal
from nodisk.classes.desired import desired
from nodisk.classes.features import Features
from nodisk.classes.manifests import Networks
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.classes.sizes import amount
from nodisk.spec.load import parse
from nodisk.values import KubeVersion

NOW = record.now()
LAB = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines: [{name: cp1, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}]
"""
NETWORKS = Networks.of(parse(LAB, file="lab.yaml"))
FEATURES = Features(KubeVersion.parse("1.36.0"), None, True, True, {"edit": (), "admin": (), "view": ()})


def class_(**more: Any) -> Class:
    how: dict[str, Any] = {"size": sizes.find("small"), "role": "edit"} | more
    return plan.merge(None, [Person("Jan Kowalski")], name="k8s", now=NOW, **how).record


@pytest.mark.parametrize("name", sizes.named())
def test_a_terminal_fits_into_every_size_beside_the_student_s_own_pods(name: str) -> None:
    size = sizes.named()[name]
    need = terminal.needs(size)
    assert amount(need.memory) <= amount(size.memory) * terminal.SHARE
    assert amount(need.cpu) * 2 <= amount(size.cpu)
    assert amount(size.container.cpu_burst) <= amount(need.cpu_burst) <= amount(size.cpu_burst) * terminal.CORES_SHARE
    assert amount(need.ephemeral) * 2 <= amount(size.ephemeral)


def test_the_pod_holds_no_secret_and_passes_the_restricted_profile() -> None:
    found = class_()
    pod = terminal.pod(found, found.students[0])
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert pod["metadata"]["namespace"] == "k8s-jan-kowalski"
    assert not {"env", "envFrom", "args", "command"} & container.keys()
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys()
    key = next(one for one in spec["volumes"] if one["name"] == "key")
    assert key["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}


def test_home_is_the_student_s_volume_if_there_is_one() -> None:
    def home(found: Class) -> Any:
        return next(one for one in terminal.pod(found, found.students[0])["spec"]["volumes"] if one["name"] == "home")

    assert home(class_()) == {"name": "home", "emptyDir": {}}
    assert home(class_(storage="1Gi")) == {"name": "home", "persistentVolumeClaim": {"claimName": "home"}}


def test_the_key_s_command_has_its_length_and_nothing_else_of_it() -> None:
    words = terminal.key_command(1234)
    assert "head -c 1234 " in words[2]
    assert words[2].startswith("umask 077")
    assert words[-1] == "/run/nodisk/config"


def test_only_classes_with_terminals_open_the_way_to_the_api() -> None:
    def policies(found: Class) -> list[str]:
        objects = desired(found, NETWORKS, FEATURES)
        return [one["metadata"]["name"] for one in objects if one["kind"] == "NetworkPolicy"]

    assert policies(class_()) == ["nodisk", "nodisk-terminal"]
    for without in (class_(terminals=False), class_(door=False), class_(role="view")):
        assert policies(without) == ["nodisk"]
    found = class_()
    policy = terminal.network_policy(found, found.students[0], NETWORKS)
    assert policy["spec"]["podSelector"] == {"matchLabels": {"nodisk.dev/terminal": "door"}}
    assert policy["spec"]["egress"] == [
        {"to": [{"ipBlock": {"cidr": "10.77.0.1/32"}}], "ports": [{"protocol": "TCP", "port": 6443}]}
    ]


def test_a_class_of_before_has_none_until_it_is_asked_for() -> None:
    value = json.loads(class_().model_dump_json())
    del value["terminals"]
    old = Class.model_validate(value)
    assert not old.has_terminals
    again = plan.merge(old, [Person("Jan Kowalski")], name="k8s", now=NOW)
    assert not again.record.has_terminals
    asked = plan.merge(old, [Person("Jan Kowalski")], name="k8s", now=NOW, terminals=True)
    assert asked.record.has_terminals


def test_a_dry_run_says_what_they_take() -> None:
    everybody = [Person(f"Student {number}") for number in range(30)]
    found = plan.merge(None, everybody, name="k8s", now=NOW, size=sizes.find("small"), role="edit").record
    assert capacity.of_terminals(found) == (
        "a terminal each: 1.5 cores, 3.8 GiB RAM; one takes 50m of CPU, 96Mi of memory and 1 pod of its student's quota"
    )
    assert capacity.of_terminals(class_(terminals=False)) is None


def pod(**status: Any) -> dict[str, Any]:
    found = class_()
    return terminal.pod(found, found.students[0]) | {"status": status}


def test_which_container_runs() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert terminal.running(pod(**ready, containerStatuses=[{"containerID": "containerd://a"}])) == "containerd://a"
    assert terminal.running(pod(containerStatuses=[{"containerID": "containerd://a"}])) == ""
    assert terminal.running(pod(**ready)) == ""
    going = pod(**ready, containerStatuses=[{"containerID": "x"}])
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert terminal.running(going) == ""
    assert terminal.is_over(going)
    assert terminal.is_over(pod(phase="Failed"))
    assert not terminal.is_over(pod(phase="Running"))
    other = pod()
    other["spec"]["containers"][0]["image"] = "nginx"
    assert terminal.is_ours(pod())
    assert not terminal.is_ours(other)
