"""What a real API server says before an upgrade: who uses what goes, budgets that let nothing go, nodes too old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.api.apiserver import ControlPlane
from tests.support.waits import until

from nodisk.assets import built
from nodisk.assets.store import Store
from nodisk.check import upgrade
from nodisk.check.findings import Finding, Level
from nodisk.cli import nodisk
from nodisk.errors import UsageError
from nodisk.kube import removals
from nodisk.kube.client import Client
from nodisk.kube.removals import Requested, Stored
from nodisk.state import State
from nodisk.values import KubeVersion

RULE = {"host": "old.example", "http": {"paths": [{"backend": {"serviceName": "web", "servicePort": 80}}]}}
INGRESS = {
    "apiVersion": "extensions/v1beta1",
    "kind": "Ingress",
    "metadata": {"name": "upgrade-old", "namespace": "default"},
    "spec": {"rules": [RULE]},
}
ANY = {"rule": "RunAsAny"}
POLICY = {
    "apiVersion": "policy/v1beta1",
    "kind": "PodSecurityPolicy",
    "metadata": {"name": "upgrade-old"},
    "spec": {"seLinux": ANY, "runAsUser": ANY, "supplementalGroups": ANY, "fsGroup": ANY},
}


def found_by_hand(client: Client, obj: dict[str, Any]) -> Iterator[None]:
    """Made as a student's kubectl makes it, and gone afterwards."""
    meta = obj["metadata"]
    path = client.path(obj["apiVersion"], obj["kind"], namespace=meta.get("namespace"))
    client.json("POST", path, params={"fieldManager": "kubectl-create"}, body=obj)
    yield
    client.delete(obj["apiVersion"], obj["kind"], meta["name"], namespace=meta.get("namespace"))


@pytest.fixture
def ingress(client: Client) -> Iterator[None]:
    yield from found_by_hand(client, INGRESS)


@pytest.fixture
def policy(client: Client) -> Iterator[None]:
    yield from found_by_hand(client, POLICY)


@pytest.mark.usefixtures("ingress", "policy")
def test_what_goes_and_who_uses_it(client: Client) -> None:
    assert Requested("extensions/v1beta1", "ingresses", (1, 22)) in removals.ask(client)
    on_the_way = removals.between(KubeVersion(1, 20), KubeVersion(1, 25))
    seen = [one for one in removals.stored(client, on_the_way) if one.name.endswith("upgrade-old")]
    old, gone = seen
    assert (old.kind, old.name, old.removal.api_version) == ("Ingress", "default/upgrade-old", "extensions/v1beta1")
    assert gone == Stored(gone.removal, "PodSecurityPolicy", "upgrade-old")
    # What the release's own programs wrote is theirs to write anew.
    assert not [one for one in removals.stored(client, on_the_way) if one.kind in ("FlowSchema", "ClusterRole")]


@pytest.fixture
def closed(client: Client) -> Iterator[None]:
    """A node whose kubelet is old, and on it a pod that its budget lets nobody take away."""
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "upgrade-1"}})
    kubelet = {"status": {"nodeInfo": dict.fromkeys(NODE_INFO, "") | {"kubeletVersion": "v1.17.5"}}}
    path = client.path("v1", "Node", "upgrade-1", subresource="status")
    client.json("PATCH", path, body=kubelet, content_type="application/merge-patch+json")
    labels = {"app": "upgrade-closed"}
    meta = {"name": "upgrade-closed", "namespace": "default"}
    container = {"name": "main", "image": "nothing.invalid/none"}
    spec = {"nodeName": "upgrade-1", "automountServiceAccountToken": False, "containers": [container]}
    client.create({"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "labels": labels}, "spec": spec})
    budget = {"minAvailable": 1, "selector": {"matchLabels": labels}}
    version = client.first_supported("PodDisruptionBudget", ("policy/v1", "policy/v1beta1"))
    client.create({"apiVersion": version, "kind": "PodDisruptionBudget", "metadata": meta, "spec": budget})
    yield
    client.delete(str(version), "PodDisruptionBudget", "upgrade-closed", namespace="default")
    client.delete("v1", "Pod", "upgrade-closed", namespace="default", grace=0)
    client.delete("v1", "Node", "upgrade-1")


NODE_INFO = (
    *("architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion"),
    *("machineID", "operatingSystem", "osImage", "systemUUID"),
)


@pytest.mark.usefixtures("closed")
def test_what_stops_an_upgrade_is_named(plane: ControlPlane) -> None:

    def findings() -> list[Finding]:
        return upgrade.upgrade(plane.context, KubeVersion(1, 21))

    # A controller fills in the budget's status.
    until(lambda: any("default/upgrade-closed" in one.message for one in findings()), every=0.2, why=findings)
    found = findings()
    messages = [one.message for one in found]
    errors = [one.message for one in found if one.level is Level.ERROR]
    assert errors == ["upgrade-1: kubelet 1.17.5 is more than 2 minor releases older than 1.21"]
    assert [text for text in messages if "no backup of the last 24 hours was proved" in text]


def test_the_release_that_runs_and_one_too_far(plane: ControlPlane, client: Client) -> None:
    running = client.version()
    (same,) = upgrade.upgrade(plane.context, running)
    assert (same.level, same.message) == (Level.OK, f"Kubernetes {running} runs, and no other release is asked for")
    (far,) = upgrade.upgrade(plane.context, KubeVersion(running.major, running.minor + 2))
    assert (far.level, "skips" in far.message) == (Level.ERROR, True)


def build(state: State, plane: ControlPlane, version: str) -> None:
    """A build of that release, as far as going back looks at it."""
    store, made = Store(state), {}
    with store.workspace() as folder:
        for kind in built.KINDS:
            (folder / kind).write_text(f"{kind} {version}")
            made[kind] = store.add(
                kind,
                name=kind,
                version=version,
                inputs={"version": version},
                content={kind: folder / kind},
                facts={"source": "path"},
            )
    built.record(state, plane.lab, made, why="a test")


@pytest.mark.parametrize("older", [True, False])
def test_a_cluster_does_not_go_back_across_a_minor(
    plane: ControlPlane, client: Client, tmp_path: Path, older: bool
) -> None:
    """The API server that runs decides: a build that no control plane has booted yet may be taken back."""
    running = client.version()
    state = State(tmp_path / "state")
    folder = state.lab(plane.lab_state.name).root
    folder.mkdir(parents=True)
    for name in ("pki", "run"):
        (folder / name).symlink_to(plane.lab_state.root / name)
    before = running.minor - 1 if older else running.minor
    for minor in (before, before + 1):
        build(state, plane, f"{running.major}.{minor}.0")
    words = ["rollback", "--lab", str(plane.lab_file), "--state", str(state.root)]
    done = CliRunner().invoke(nodisk, words)
    if older:
        assert isinstance(done.exception, UsageError), done.output
        assert "no way back across a minor release" in done.exception.message
    else:
        assert done.exit_code == 0, done.output
    current = built.release_before(state, plane.lab)
    assert current is not None
    assert current.version.minor == running.minor
