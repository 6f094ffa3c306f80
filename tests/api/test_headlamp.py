"""Tokens for Headlamp on a real API server: what each may do, until when, and what ends it; no Headlamp runs here."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.api.apiserver import ControlPlane
from tests.api.test_door import ends_of, until_refused

from nodisk.classes import accounts, actions, headlamp, plan, record, sizes
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.errors import EnvironmentProblem
from nodisk.kube import addon_sets, applyset
from nodisk.kube.client import Client
from nodisk.spec.model_addons import Addon

pytestmark = pytest.mark.usefixtures("forgotten")
LABELS = {"k8s-app": "headlamp"}


def service(name: str, **spec: Any) -> dict[str, Any]:
    spec = {"selector": LABELS, "ports": [{"port": 80, "targetPort": 4466}], **spec}
    meta = {"name": name, "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


@pytest.fixture
def applied(client: Client, tmp_path: Path) -> Iterator[None]:
    """An add-on headlamp whose Service is as its project's: of the cluster alone."""
    file = tmp_path / "headlamp.yaml"
    file.write_text(yaml.safe_dump(service("headlamp")))
    pinned = {"path": file, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    addon = Addon.model_validate({"name": "headlamp", "manifest": pinned})
    assert [done.outcome.problems for done in addon_sets.apply(client, [addon])] == [[]]
    yield
    with contextlib.ExitStack() as after:
        for one in headlamp.looker():
            meta = one["metadata"]
            after.callback(client.delete, one["apiVersion"], one["kind"], meta["name"], namespace=meta.get("namespace"))
        after.callback(applyset.remove, client, "headlamp")


def make(plane: ControlPlane, client: Client, name: str, folder: Path) -> Class:
    people, size = [Person("Jan Kowalski"), Person("Ewa Żak")], sizes.find("small")
    planned = plan.merge(None, people, name=name, now=record.now(), size=size, role="edit", teachers=("Anna Nowak",))
    made = actions.create(plane.context, client, planned.record, folder=folder, test=False)
    actions.raise_first(made.failed)
    return made.record


def may(client: Client, token: str, verb: str, resource: str, namespace: str = "", *, group: str = "") -> bool:
    """What the API server says to the token itself: a SelfSubjectAccessReview."""
    asked = {"verb": verb, "resource": resource, "group": group} | ({"namespace": namespace} if namespace else {})
    review = client.with_token(token, patience=5).create(
        {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
         "spec": {"resourceAttributes": asked}}
    )  # fmt: skip
    return bool(review["status"]["allowed"])


def _lives(token: str) -> float:
    return (ends_of(token) - datetime.now(UTC)) / timedelta(minutes=1)


def test_a_student_s_token_has_the_student_s_rights(
    plane: ControlPlane, client: Client, applied: None, tmp_path: Path
) -> None:
    found = make(plane, client, "hstud", tmp_path / "handouts")
    jan = found.students[0]
    way = headlamp.ask(plane.context, found, jan)
    assert (way.namespaces, way.forward, way.address) == (("hstud-jan-kowalski",), "", "")
    assert 50 < _lives(way.token) <= 60.5
    assert abs(way.ends - ends_of(way.token)) < timedelta(seconds=2)
    assert may(client, way.token, "list", "pods", "hstud-jan-kowalski")
    assert may(client, way.token, "create", "deployments", "hstud-jan-kowalski", group="apps")
    for verb, resource, namespace in (
        ("list", "pods", "hstud-ewa-zak"),
        ("list", "pods", "kube-system"),
        ("list", "pods", ""),
        ("list", "namespaces", ""),
        ("get", "secrets", "hstud"),
        ("delete", "resourcequotas", "hstud-jan-kowalski"),
    ):
        assert not may(client, way.token, verb, resource, namespace), (verb, resource, namespace)
    # Rotated: it is good for nothing any more.
    made = actions.rotate(plane.context, client, found, [jan], folder=tmp_path / "handouts")
    actions.raise_first(made.failed)
    until_refused(client.with_token(way.token, patience=5), "hstud-jan-kowalski")


def test_suspending_takes_the_token_s_rights(
    plane: ControlPlane, client: Client, applied: None, tmp_path: Path
) -> None:
    found = make(plane, client, "hsusp", tmp_path / "handouts")
    way = headlamp.ask(plane.context, found, found.students[0])
    accounts.set_suspended(client, found, plane.lab, [found.students[0]], True, by_hand=True)
    until_refused(client.with_token(way.token, patience=5), "hsusp-jan-kowalski")


def test_a_teacher_s_token_has_the_class_s_namespaces(
    plane: ControlPlane, client: Client, applied: None, tmp_path: Path
) -> None:
    found = make(plane, client, "hteach", tmp_path / "handouts")
    way = headlamp.ask(plane.context, found, found.teachers[0])
    assert (set(way.namespaces), way.forward) == ({"hteach-jan-kowalski", "hteach-ewa-zak"}, "")
    assert 50 < _lives(way.token) <= 60.5
    for namespace in way.namespaces:
        assert may(client, way.token, "list", "pods", namespace)
        assert may(client, way.token, "delete", "pods", namespace)
    for verb, resource, namespace in (
        ("list", "pods", "kube-system"),
        ("list", "pods", ""),
        ("list", "secrets", "hteach"),
        ("list", "nodes", ""),
    ):
        assert not may(client, way.token, verb, resource, namespace), (verb, resource, namespace)


def test_an_administrator_s_token_looks_at_everything_but_secrets(
    plane: ControlPlane, client: Client, applied: None
) -> None:
    way = headlamp.ask(plane.context, None, None)
    assert way.namespaces == ()
    assert way.forward == "kubectl --namespace kube-system port-forward service/headlamp 8080:80"
    assert 50 < _lives(way.token) <= 60.5
    for resource, group in (
        ("pods", ""),
        ("nodes", ""),
        ("namespaces", ""),
        ("events", ""),
        ("persistentvolumes", ""),
        ("deployments", "apps"),
        ("storageclasses", "storage.k8s.io"),
        ("customresourcedefinitions", "apiextensions.k8s.io"),
    ):
        assert may(client, way.token, "list", resource, group=group), resource
        assert not may(client, way.token, "delete", resource, group=group), resource
    for verb, resource in (
        ("get", "secrets"),
        ("create", "pods"),
        ("create", "serviceaccounts"),
        ("impersonate", "users"),
    ):
        assert not may(client, way.token, verb, resource), (verb, resource)
    # Asked for once more, it is another; and all end with their Secret.
    again = headlamp.ask(plane.context, None, None)
    assert again.token != way.token
    client.delete("v1", "Secret", f"{headlamp.LOOKER}-token", namespace="kube-system")
    for token in (way.token, again.token):
        until_refused(client.with_token(token, patience=5), "kube-system")


def test_the_address_is_a_node_port_of_the_same_pods(plane: ControlPlane, client: Client, applied: None) -> None:
    assert headlamp.ask(plane.context, None, None).address == ""
    other = client.create(service("other", type="NodePort", selector={"k8s-app": "another"}))
    door = client.create(service("headlamp-door", type="NodePort"))
    try:
        port = door["spec"]["ports"][0]["nodePort"]
        assert headlamp.ask(plane.context, None, None).address == f"http://10.77.0.21:{port}/"
    finally:
        for one in (other, door):
            client.delete("v1", "Service", one["metadata"]["name"], namespace="kube-system")


def test_an_add_on_that_is_not_applied(plane: ControlPlane) -> None:
    with pytest.raises(EnvironmentProblem, match="nodisk addons apply headlamp"):
        headlamp.ask(plane.context, None, None)
