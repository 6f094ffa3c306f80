"""From what the API says to a cause: bindings that give too much, pods that don't run, routes that are gone."""

from __future__ import annotations

from typing import Any

import pytest

from nodisk.verify.checks.rights import People, people, suspicious
from nodisk.verify.diagnose import cause, pod_trouble, pressures

WHO = People(
    spaces={"class-a": "a", "a-anna": "a", "a-jan": "a", "class-b": "b", "b-ola": "b"},
    accounts={("class-a", "anna"): "anna", ("class-a", "jan"): "jan", ("class-b", "ola"): "ola"},
    owners={"a-anna": "anna", "a-jan": "jan", "b-ola": "ola"},
)


def binding(role: str, subject: dict[str, str], space: str | None = None) -> dict[str, Any]:
    kind = "RoleBinding" if space else "ClusterRoleBinding"
    meta = {"name": "x"} | ({"namespace": space} if space else {})
    return {"kind": kind, "metadata": meta, "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [subject]}


def account(space: str, name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "namespace": space, "name": name}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (binding("cluster-admin", account("class-a", "anna")), "the student anna rights in the whole cluster"),
        (binding("view", account("a-anna", "default")), "a-anna/default of the class a rights in the whole cluster"),
        (binding("cluster-admin", account("class-a", "anna"), "a-anna"), "anna all rights in a-anna"),
        (binding("edit", account("class-a", "anna"), "a-jan"), "anna rights in a-jan, which is another's"),
        (binding("edit", account("class-a", "anna"), "b-ola"), "which is not of that class"),
        (binding("view", account("class-a", "anna"), "kube-system"), "which is not of that class"),
        (binding("edit", {"kind": "Group", "name": "system:authenticated"}), "everybody in system:authenticated"),
        (binding("view", {"kind": "Group", "name": "system:serviceaccounts:class-a"}), "all of the class a"),
        (binding("cluster-admin", account("dashboard", "dashboard")), "dashboard/dashboard the whole cluster"),
    ],
)
def test_too_much_is_found_and_named(made: dict[str, Any], words: str) -> None:
    (found,) = suspicious([made], WHO)
    assert words in found[0]
    assert "nodisk kubectl get" in found[1]


@pytest.mark.parametrize(
    "made",
    [
        binding("nodisk-student-edit", account("class-a", "anna"), "a-anna"),
        binding("admin", account("class-a", "teacher-x"), "a-anna"),
        binding("cluster-admin", {"kind": "Group", "name": "system:masters"}),
        binding("system:basic-user", {"kind": "Group", "name": "system:authenticated"}),
        binding("cluster-admin", account("kube-system", "clusterrole-aggregation-controller")),
        binding("view", account("a-anna", "default"), "a-anna"),
    ],
)
def test_what_is_right_is_left_alone(made: dict[str, Any]) -> None:
    assert list(suspicious([made], WHO)) == []


def test_people_are_known_by_the_labels_of_classes() -> None:
    spaces: list[dict[str, Any]] = [
        {"metadata": {"name": "class-a", "labels": {"nodisk.dev/class": "a"}}},
        {"metadata": {"name": "a-anna", "labels": {"nodisk.dev/class": "a", "nodisk.dev/student": "anna"}}},
        {"metadata": {"name": "default"}},
    ]
    accounts: list[dict[str, Any]] = [
        {"metadata": {"namespace": "class-a", "name": "anna", "labels": {"nodisk.dev/student": "anna"}}},
        {"metadata": {"namespace": "default", "name": "fake", "labels": {"nodisk.dev/student": "anna"}}},
        {"metadata": {"namespace": "a-anna", "name": "default"}},
    ]
    assert people(spaces, accounts) == People(
        {"class-a": "a", "a-anna": "a"}, {("class-a", "anna"): "anna"}, {"a-anna": "anna"}
    )


def waiting(reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"status": {"phase": "Pending", "containerStatuses": [{"state": state}]}}


@pytest.mark.parametrize(
    ("pod", "why", "look"),
    [
        (waiting("ImagePullBackOff", "Back-off pulling image"), "w1 can't get images", "5000/v2/_catalog"),
        (waiting("ContainerCreating", "write /var/lib: no space left on device"), "RAM disk of w1 is full", "df -h"),
        (
            {"status": {"phase": "Failed", "reason": "Evicted", "message": "low on resource: memory"}},
            "too little RAM",
            "",
        ),
        (
            {
                "status": {
                    "conditions": [
                        {
                            "type": "PodScheduled",
                            "status": "False",
                            "message": "1 node(s) had taint {node.kubernetes.io/disk-pressure: }",
                        }
                    ]
                }
            },
            "RAM disk",
            "",
        ),
    ],
)
def test_a_pod_that_does_not_run_has_a_cause(pod: dict[str, Any], why: str, look: str) -> None:
    found, command = cause(pod_trouble(pod), registry="10.77.0.1:5000", node="w1")
    assert why in found
    assert look in command
    assert "{" not in found + command


def test_pressure_is_read_from_conditions() -> None:
    node = {
        "status": {
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "DiskPressure", "status": "True", "message": "kubelet has disk pressure"},
                {"type": "MemoryPressure", "status": "False"},
            ]
        }
    }
    assert pressures(node) == ["DiskPressure: kubelet has disk pressure"]
