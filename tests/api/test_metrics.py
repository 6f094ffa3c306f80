"""``kubectl top`` by a real API server, the server's own nginx and application, and stand-ins for kubelets."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest
import yaml
from tests.api.apiserver import ControlPlane
from tests.support.inside import enter, inside
from tests.support.kubelets import Kubelet, summary

from nodisk import ports, run
from nodisk.classes import actions, plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.kube.client import Client
from nodisk.pki.profiles import Ca
from nodisk.plan import cluster_metrics
from nodisk.plan.daemons_files import usual_host
from nodisk.records.database import Database
from nodisk.server import daemons, metrics, unix_http
from nodisk.server.app import application
from nodisk.server.handlers.common import AppState
from nodisk.server.kubelets import Kubelets
from nodisk.server.texts import Texts

PODS = {
    ("top-anna", "web"): {"web": (40_000_000, 32 << 20), "log": (2_000_000, 16 << 20)},
    ("top-jan", "db"): {"db": (7_000_000, 8 << 20)},
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """pytest's own are closed to the user that nginx' workers become."""
    made = Path(tempfile.mkdtemp(prefix="nodisk-top-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def plane(release_bin: Path, folder: Path) -> Iterator[ControlPlane]:
    """A control plane in a namespace that has the addresses of the server and its machines."""
    # An autoscaler looks every fifteen seconds unless it is told otherwise.
    often = ("--horizontal-pod-autoscaler-sync-period=2s",)
    made = ControlPlane(folder, release_bin, netns=folder.name, controllers=often)
    run.run(["ip", "netns", "add", made.netns])
    try:
        run.run(["ip", "-n", made.netns, "link", "set", "lo", "up"])
        for address in (made.lab.network.server, *(machine.address for machine in made.lab.machines)):
            run.run(["ip", "-n", made.netns, "address", "add", f"{address}/24", "dev", "lo"])
        made.start()
        yield made
    finally:
        made.stop()
        run.run(["ip", "netns", "delete", made.netns])


@pytest.fixture(scope="module")
def kubelets(plane: ControlPlane, folder: Path) -> Iterator[dict[str, Kubelet]]:
    made = {str(machine.name): Kubelet() for machine in plane.lab.machines}
    made["w1"].answer = json.dumps(summary(PODS)).encode()
    for machine in plane.lab.machines:
        listener = inside(plane.netns, partial(socket.create_server, (str(machine.address), ports.KUBELET)))
        made[str(machine.name)].start(listener, machine, plane.lab, plane.authority, folder)
    yield made
    for one in made.values():
        one.stop()


@contextmanager
def serving(plane: ControlPlane, folder: Path) -> Iterator[list[str]]:
    """nginx, the application and what keeps the objects, as ``nodisk serve`` has them; yields what is said."""
    host = usual_host(plane.lab, plane.lab_state.root, folder)
    host = replace(host, run=folder / "run", conf=folder / "conf")
    daemons.write(plane.lab, host)
    said, stopping, ready = list[str](), asyncio.Event(), threading.Event()
    loops = list[asyncio.AbstractEventLoop]()

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        asked = Kubelets.of(plane.lab, plane.lab_state.pki)
        through = partial(metrics.chosen, plane.lab_state, connect=lambda *_: plane.client(patience=0))
        with Database(plane.lab_state.database) as database:
            app_state = AppState(cast("Texts", None), plane.authority, database, kubelets=asked, chosen=through)
            async with unix_http.serving(application(app_state), host.run / "app.sock", host.web_user, "application"):
                keeping = asyncio.create_task(
                    metrics.keep(plane.lab, plane.lab_state, said.append, lambda *_: plane.client(patience=0))
                )
                ready.set()
                await stopping.wait()
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
        await asked.close()

    def in_netns() -> None:
        enter(plane.netns)
        asyncio.run(serve())

    thread = threading.Thread(target=in_netns)
    thread.start()
    assert ready.wait(60)
    nginx = run.start(
        ["nginx", "-c", host.conf / "nginx.conf", "-p", host.run / "nginx"],
        log_file=folder / "nginx.log",
        netns=plane.netns,
    )
    try:
        yield said
    finally:
        nginx.terminate()
        nginx.wait(30)
        loops[0].call_soon_threadsafe(stopping.set)
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def served(plane: ControlPlane, kubelets: dict[str, Kubelet], folder: Path) -> Iterator[list[str]]:
    """Once the API server says that the API is there."""
    with serving(plane, folder) as said, plane.client(patience=120) as client:
        for name in kubelets:
            status = {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"}}
            client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status})

        def available() -> bool | None:
            found = client.list(
                "apiregistration.k8s.io/v1", "APIService", fields="metadata.name=v1beta1.metrics.k8s.io"
            )
            conditions = [one for item in found for one in item.get("status", {}).get("conditions", [])]
            if not any(one["type"] == "Available" and one["status"] == "True" for one in conditions):
                return None
            # The API server says so a moment before it leads requests there, and a kubelet may be slow to answer first.
            raw = f"/apis/{cluster_metrics.GROUP}/{cluster_metrics.VERSION}/nodes"
            told = plane.kubectl("get", "--raw", raw, check=False)
            if told.returncode != 0:
                return None
            return {one["metadata"]["name"] for one in json.loads(told.stdout)["items"]} == kubelets.keys() or None

        client.until("the cluster's metrics", available)
        yield said


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[1:]]


def test_the_administrator_sees_all(plane: ControlPlane, client: Client, served: list[str]) -> None:
    assert rows(plane.kubectl("top", "nodes").stdout) == [
        [name, "250m", "12%", "1024Mi", "25%"] for name in ("cp1", "w1")
    ]
    assert rows(plane.kubectl("top", "pods", "--all-namespaces").stdout) == [
        ["top-anna", "web", "42m", "48Mi"],
        ["top-jan", "db", "7m", "8Mi"],
    ]
    assert rows(plane.kubectl("top", "pods", "-n", "top-anna", "--containers").stdout) == [
        ["web", "log", "2m", "16Mi"],
        ["web", "web", "40m", "32Mi"],
    ]
    assert rows(plane.kubectl("top", "node", "w1").stdout)[0][0] == "w1"
    assert not served


def test_a_student_sees_the_own_pods(
    plane: ControlPlane, client: Client, served: list[str], tmp_path: Path, folder: Path
) -> None:
    found = plan.merge(
        None,
        [Person("anna"), Person("jan")],
        name="top",
        now=record.now(),
        size=sizes.find("small"),
        role="edit",
    ).record
    # The controller manager takes the metrics' readers into the built-in role.
    client.until(
        "the readers' role",
        lambda: (
            any(
                cluster_metrics.GROUP in rule.get("apiGroups", [])
                for rule in client.get("rbac.authorization.k8s.io/v1", "ClusterRole", "edit")["rules"]
            )
            or None
        ),
    )
    made = actions.create(plane.context, client, found, folder=tmp_path)
    actions.raise_first(made.failed)
    config = yaml.safe_load((tmp_path / "anna.kubeconfig").read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{plane.port}"
    own = tmp_path / "test.kubeconfig"
    own.write_text(yaml.safe_dump(config))
    top = partial(plane.kubectl, "top", as_in=own, check=False)
    assert rows(top("pods").stdout) == [["web", "42m", "48Mi"]]
    for words in (("pods", "-n", "top-jan"), ("pods", "--all-namespaces"), ("nodes",), ("pod", "db", "-n", "top-jan")):
        refused = top(*words)
        assert refused.returncode != 0, words
        assert "forbidden" in refused.stderr.lower(), refused.stderr


def test_a_selector_is_answered_by_the_cluster(plane: ControlPlane, client: Client, served: list[str]) -> None:
    assert plane.kubectl("label", "node", "w1", "room=3").returncode == 0
    assert [row[0] for row in rows(plane.kubectl("top", "nodes", "-l", "room=3").stdout)] == ["w1"]
    refused = plane.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes?labelSelector=%3D%3D", check=False)
    assert refused.returncode != 0


def test_a_machine_that_hangs_is_missing_and_holds_nobody_up(
    plane: ControlPlane, kubelets: dict[str, Kubelet], folder: Path, served: list[str]
) -> None:
    kubelets["cp1"].open.clear()
    try:
        # What it said before counts for a while; then only the others are there.
        for _ in range(3):
            assert ["top-jan", "db", "7m", "8Mi"] in rows(plane.kubectl("top", "pods", "-A").stdout)
    finally:
        kubelets["cp1"].open.set()


def test_an_autoscaler_scales_by_it(plane: ControlPlane, kubelets: dict[str, Kubelet], served: list[str]) -> None:
    """Kubernetes' own controller: one pod that uses four times what it should makes three, the most allowed."""
    pod = {
        "metadata": {"labels": {"app": "busy"}},
        "spec": {"containers": [{"name": "c", "image": "none", "resources": {"requests": {"cpu": "100m"}}}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "busy"}}, "template": pod}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"}
    scaling = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}
    meta, w1 = {"name": "busy", "namespace": "default"}, kubelets["w1"]
    since = "2026-11-01T00:00:00Z"
    before = w1.answer
    try:
        with plane.client(patience=120) as client:
            client.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
            (name,) = client.until(
                "the pod",
                lambda: [one["metadata"]["name"] for one in client.list("v1", "Pod", labels="app=busy")] or None,
            )
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": since}
            status = {"phase": "Running", "startTime": since, "conditions": [ready]}
            path = client.path("v1", "Pod", name, namespace="default", subresource="status")
            client.json("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")
            w1.answer = json.dumps(summary(PODS | {("default", name): {"c": (200_000_000, 1 << 20)}})).encode()
            client.create(
                {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": scaling}
            )
            client.until(
                "three replicas",
                lambda: (
                    client.get("apps/v1", "Deployment", "busy", namespace="default")["spec"]["replicas"] == 3 or None
                ),
            )
    finally:
        w1.answer = before


def test_an_add_on_takes_the_servers_place(plane: ControlPlane, client: Client, served: list[str]) -> None:
    ca_pem = plane.authority.path(f"{Ca.SERVER}.crt").read_bytes()
    name = cluster_metrics.API_SERVICE["name"]
    own = cluster_metrics.objects(plane.lab, ca_pem)[-1]
    other = {**own, "spec": {**own["spec"], "service": {"name": "metrics-server", "namespace": "kube-system"}}}
    del other["spec"]["caBundle"]
    other["spec"]["insecureSkipTLSVerify"] = True
    client.apply(other)
    assert not metrics.provide(client, plane.lab, ca_pem)
    there = client.get(own["apiVersion"], own["kind"], name)
    assert there["spec"]["service"]["name"] == "metrics-server"
    client.delete(own["apiVersion"], own["kind"], name)
    assert metrics.provide(client, plane.lab, ca_pem)
    assert metrics.provide(client, plane.lab, ca_pem)
