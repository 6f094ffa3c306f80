"""A node's labels and taints against lab.yaml's: what is written, and when nothing is."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nodisk.server import marks
from nodisk.spec.model import Machine

Taint = dict[str, str]


def machine(taints: list[Taint] | None = None, **more: Any) -> Machine:
    value = {"name": "w1", "mac": "52:54:00:00:00:01", "address": "10.0.0.1", "taints": taints or []}
    return Machine.model_validate(value | more)


def node(taints: list[Taint], *, annotation: str | None = None, **meta: Any) -> marks.Node:
    notes = {} if annotation is None else {marks.TAINTS: annotation}
    return {
        "metadata": {"name": "w1", "resourceVersion": "7", "annotations": notes, **meta},
        "spec": {"taints": taints},
    }


def patched(given: marks.Node, change: marks.Node | None) -> marks.Node:
    """As the API's merge patch does it."""
    if change is None:
        return given
    assert change["metadata"]["resourceVersion"] == "7"
    notes = given["metadata"]["annotations"] | change["metadata"]["annotations"]
    kept = {key: value for key, value in notes.items() if value is not None}
    return {"metadata": given["metadata"] | {"annotations": kept}, "spec": change["spec"]}


A, B = {"key": "a", "value": "1", "effect": "NoSchedule"}, {"key": "example.org/b", "effect": "NoExecute"}
OTHER = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"}


def test_nothing_to_do() -> None:
    assert marks.taints_change(machine(), node([OTHER])) is None
    assert (
        marks.taints_change(machine([A, B]), node([OTHER, B, A], annotation="a:NoSchedule,example.org/b:NoExecute"))
        is None
    )


def test_taints_come_change_and_go() -> None:
    change = marks.taints_change(machine([A, B]), node([OTHER]))
    assert change is not None
    assert change["spec"]["taints"] == [OTHER, A, B]
    assert change["metadata"]["annotations"] == {marks.TAINTS: "a:NoSchedule,example.org/b:NoExecute"}
    change = marks.taints_change(
        machine([A | {"value": "2"}]), node([A, OTHER, B], annotation="a:NoSchedule,example.org/b:NoExecute")
    )
    assert change is not None
    assert change["spec"]["taints"] == [A | {"value": "2"}, OTHER]
    change = marks.taints_change(machine(), node([A, OTHER], annotation="a:NoSchedule"))
    assert change is not None
    assert (change["spec"]["taints"], change["metadata"]["annotations"]) == ([OTHER], {marks.TAINTS: None})


def test_a_taint_of_registration_is_taken_over() -> None:
    """kubelet has set it, so it is there; from now on it is known to be lab.yaml's."""
    added = A | {"timeAdded": "2026-01-01T00:00:00Z"}
    change = marks.taints_change(machine([A]), node([added]))
    assert change is not None
    assert change["spec"]["taints"] == [added]
    assert change["metadata"]["annotations"] == {marks.TAINTS: "a:NoSchedule"}


KEYS = st.sampled_from(["a", "b", "c.d/e"])
TAINTS = st.lists(
    st.fixed_dictionaries({"key": KEYS, "effect": st.sampled_from(["NoSchedule", "NoExecute"])}),
    unique_by=lambda one: (one["key"], one["effect"]),
    max_size=4,
)


@given(TAINTS, TAINTS, TAINTS)
def test_once_is_enough_and_others_stay(others: list[Taint], first: list[Taint], second: list[Taint]) -> None:
    def names(taints: list[Taint]) -> set[tuple[str, str]]:
        return {(one["key"], one["effect"]) for one in taints}

    found = node(others)
    for wanted in (first, second):
        found = patched(found, marks.taints_change(machine(wanted), found))
        assert marks.taints_change(machine(wanted), found) is None
        assert names(wanted) <= names(found["spec"]["taints"])
    assert names(others) - names(first) <= names(found["spec"]["taints"])
    assert names(found["spec"]["taints"]) <= names(others) | names(second)


def test_labels_are_applied_when_they_differ_or_are_not_ours() -> None:
    def fields(*keys: str, operation: str = "Apply") -> list[dict[str, Any]]:
        labels: dict[str, Any] = {".": {}, **{f"f:{key}": {} for key in keys}}
        return [{"manager": "nodisk", "operation": operation, "fieldsV1": {"f:metadata": {"f:labels": labels}}}]

    role = "node-role.kubernetes.io/worker"
    one = machine(labels={"room": "b12"})
    have = {"room": "b12", role: "", "kubernetes.io/hostname": "w1"}
    assert not marks.labels_differ(one, node([], labels=have, managedFields=fields("room", role)))
    assert marks.labels_differ(one, node([], labels=have | {"room": "b13"}, managedFields=fields("room", role)))
    assert marks.labels_differ(one, node([], labels=have, managedFields=fields("room", role, "gone")))
    assert marks.labels_differ(one, node([], labels=have, managedFields=fields("room", role, operation="Update")))
    assert marks.labels_differ(one, node([]))
