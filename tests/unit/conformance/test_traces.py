"""What a killed spec left, told apart from what an administrator made at the same time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.conformance import traces
from nodisk.conformance.traces import Before, NodeMarks, judge
from nodisk.errors import IntegrityError

SPACE = "webhook-5466"
GROUPS = {kind: api_version for api_version, kind in (*traces.KINDS, *traces.IN_SYSTEM)}
NOTHING = Before("c", frozenset(), {})


def obj(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    labels, owners = rest.pop("labels", {}), rest.pop("owners", None)
    meta = {"name": name, "uid": f"{kind}/{name}", "labels": labels}
    meta |= {} if owners is None else {"ownerReferences": owners}
    return {"apiVersion": GROUPS[kind], "kind": kind, "metadata": meta, **rest}


def hook(space: str) -> list[dict[str, Any]]:
    return [{"name": "a.k8s.io", "clientConfig": {"service": {"namespace": space, "name": "e2e-test-webhook"}}}]


def account(space: str) -> list[dict[str, Any]]:
    return [{"kind": "ServiceAccount", "name": "default", "namespace": space}]


OURS = [
    obj("ValidatingWebhookConfiguration", "blocking", webhooks=hook(SPACE)),
    obj("MutatingWebhookConfiguration", SPACE + "-3"),
    obj("ValidatingWebhookConfiguration", "listed", labels={"e2e-list-test-uuid": "1"}),
    obj("APIService", "v1.x.example.org", spec={"service": {"namespace": SPACE, "name": "api"}}),
    obj("CustomResourceDefinition", "e2e-test-webhook-12-crds.webhook.example.com"),
    obj(
        "CustomResourceDefinition",
        "things.example.org",
        spec={"conversion": {"webhook": {"clientConfig": {"service": {"namespace": SPACE}}}}},
    ),
    obj("ClusterRoleBinding", "anything", subjects=account(SPACE)),
    obj("ClusterRoleBinding", "group", subjects=[{"kind": "Group", "name": f"system:serviceaccounts:{SPACE}"}]),
    obj("ClusterRoleBinding", f"wardler:{SPACE}:auth-delegator", subjects=[{"kind": "User", "name": "x"}]),
    obj("ClusterRole", "sample-apiserver-reader"),
    obj("RoleBinding", "webhook-auth-reader", subjects=account(SPACE)),
    obj("PriorityClass", "sched-preemption-high-priority", value=1000),
    obj("PersistentVolume", "pv1", spec={"claimRef": {"namespace": SPACE, "name": "claim"}}),
    obj("RuntimeClass", "rc", labels={"test": SPACE}),
    obj("IngressClass", "ingressclass1", labels={"ingressclass": SPACE, "special-label": "generic"}),
    obj("CertificateSigningRequest", "e2e-example-csr-x7f2q"),
    obj(
        "Pod",
        "critical-pod",
        spec={"containers": [{"resources": {"requests": {"scheduling.k8s.io/foo": "2"}}}]},
    ),
]
THEIRS = [
    obj("CustomResourceDefinition", "foosabc12as.mygroup.example.com"),
    obj("APIService", "v1alpha1.wardle.example.com", spec={"service": {"namespace": "wardle", "name": "api"}}),
    obj("ValidatingWebhookConfiguration", "policy", webhooks=hook("policy-system")),
    obj("ValidatingWebhookConfiguration", "mixed", webhooks=[*hook(SPACE), *hook("policy-system")]),
    obj("ValidatingWebhookConfiguration", "far", webhooks=[{"clientConfig": {"url": "https://a.example"}}]),
    obj("CustomResourceDefinition", "crontabs.stable.example.com", spec={"conversion": {"strategy": "None"}}),
    obj("ClusterRoleBinding", "staff", subjects=[*account(SPACE), {"kind": "User", "name": "teacher"}]),
    obj("ClusterRoleBinding", "nobody"),
    obj("PriorityClass", "p1", value=1),
    obj("PriorityClass", "my-webhook-5466"),
    obj("PriorityClass", "webhook-54667"),
    obj("PersistentVolume", "pv2", spec={"capacity": {"storage": "1Gi"}}),
    obj("StorageClass", "fast"),
]
NOBODYS = [
    obj("ClusterRole", "e2e-test-runner", labels={"app.kubernetes.io/managed-by": "Helm"}),
    obj("ClusterRole", "class", labels={"app.kubernetes.io/managed-by": "nodisk"}),
    obj("ClusterRole", "edit", labels={"kubernetes.io/bootstrapping": "rbac-defaults"}),
    obj("APIService", "v1.stable.example.com", labels={"kube-aggregator.kubernetes.io/automanaged": "true"}, spec={}),
    obj("PersistentVolume", "pv3", spec={}, owners=[{"uid": "x"}]),
    obj("CertificateSigningRequest", "csr-8d2xk"),
    obj("Pod", "kube-proxy-w1", spec={"containers": [{"name": "a"}]}),
    obj("RoleBinding", "an-administrators", subjects=account("tools")),
]


@pytest.mark.parametrize("one", OURS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_the_suites_own_goes(one: dict[str, Any]) -> None:
    found = judge(NOTHING, {SPACE}, [one], [])
    assert [thing.name for thing in found.ours] == [one["metadata"]["name"]]
    assert found.others == ()


@pytest.mark.parametrize("one", THEIRS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_what_may_be_an_administrators_is_named(one: dict[str, Any]) -> None:
    found = judge(NOTHING, {SPACE}, [one], [])
    assert found.ours == ()
    name = one["metadata"]["name"]
    assert [other.removal for other in found.others] == [f"nodisk kubectl delete {one['kind'].lower()} {name}"]


@pytest.mark.parametrize("one", NOBODYS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_what_a_controller_keeps_is_no_news(one: dict[str, Any]) -> None:
    assert judge(NOTHING, {SPACE}, [one], []) == traces.Found((), (), ())


def test_what_was_there_before_is_nobodys_business() -> None:
    every = [*OURS, *THEIRS, *NOBODYS]
    assert judge(traces.remember("c", every, []), {SPACE}, every, []) == traces.Found((), (), ())


def test_without_a_memory_only_what_refers_to_the_suites_namespaces_goes() -> None:
    found = judge(None, {SPACE}, [*OURS, *THEIRS, *NOBODYS], [])
    assert "blocking" in {thing.name for thing in found.ours}
    assert not {"sched-preemption-high-priority", "sample-apiserver-reader"} & {thing.name for thing in found.ours}
    assert found.others == ()


def node(name: str, labels: dict[str, str], taints: dict[str, str], *resources: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [{"key": key, "effect": effect} for key, effect in taints.items()]},
        "status": {"capacity": dict.fromkeys(("cpu", *resources), "2")},
    }


def test_marks_on_nodes() -> None:
    # The latter is an example of Kubernetes' own pages, which a teacher may have copied.
    was = [node("w1", {"kubernetes.io/hostname": "w1", "seat": "3"}, {}), node("w2", {"kubernetes.io/e2e-az": "a"}, {})]
    before = traces.remember("c", [], was)
    assert before.nodes["w1"] == NodeMarks(frozenset({"kubernetes.io/hostname", "seat"}), frozenset())
    uuid = "kubernetes.io/e2e-4711"
    now = [
        node(
            "w1",
            {"kubernetes.io/hostname": "w1", "seat": "3", uuid: "42", "node": "w1", "daemonset-color": "blue"},
            {
                "kubernetes.io/e2e-evict-taint-key": "NoExecute",
                "node.kubernetes.io/unschedulable": "NoSchedule",
                "exam": "NoSchedule",
            },
            "scheduling.k8s.io/foo",
            "nvidia.com/gpu",
        ),
        node("w2", {"kubernetes.io/e2e-az": "a", "kubernetes.io/e2e-az-name": "a"}, {}),
        node("new", {"shelf": "2", "kubernetes.io/e2e-4712": "x", "kubernetes.io/e2e-az-name": "a"}, {}),
    ]
    found = judge(before, set(), [], now)
    assert [str(mark) for mark in found.marks] == [
        f"label {uuid} of node w1",
        "label daemonset-color of node w1",
        "taint kubernetes.io/e2e-evict-taint-key:NoExecute of node w1",
        "resource scheduling.k8s.io/foo of node w1",
        "label kubernetes.io/e2e-4712 of node new",
    ]
    assert {one.node for one in found.marks} == {"w1", "new"}
    assert [one.removal for one in found.others] == [
        "nodisk kubectl label node w1 node-",
        "nodisk kubectl taint node w1 exam:NoSchedule-",
        "nodisk kubectl label node w2 kubernetes.io/e2e-az-name-",
    ]
    left = [one["key"] for one in traces.taints_without(now[0], found.marks)]
    assert left == ["node.kubernetes.io/unschedulable", "exam"]


@pytest.mark.parametrize(
    ("name", "labels", "own"),
    [
        ("pods-12", {"e2e-run": "x"}, True),
        ("webhook-5466-markers", {"webhook-5466-markers": "true"}, True),
        ("exempted-namesapce", {}, True),
        ("exempted-namespace", {}, False),
        ("book-markers", {"kind": "true"}, False),
        ("3b-jan", {"nodisk.dev/class": "3b"}, False),
    ],
)
def test_the_suites_namespaces(name: str, labels: dict[str, str], own: bool) -> None:
    assert traces.is_space({"metadata": {"name": name, "labels": labels}}) is own


@given(st.frozensets(st.text()), st.dictionaries(st.text(), st.frozensets(st.text())))
def test_a_memory_survives_the_state(uids: frozenset[str], nodes: dict[str, frozenset[str]]) -> None:
    before = Before("c", uids, {name: NodeMarks(keys, keys) for name, keys in nodes.items()})
    assert traces.from_json(before.to_json()) == before


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_else_in_the_state_is_refused(value: object) -> None:
    with pytest.raises(IntegrityError):
        traces.from_json(value)
