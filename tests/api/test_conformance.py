"""Runs of a suite against a real API server: results, interruption, another day, and what is left in the cluster."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from tests.api import conformance_run, conformance_suite
from tests.api.apiserver import ControlPlane

from nodisk.conformance import cleanup, sparing, specs, traces
from nodisk.conformance.program import NAME, Folder, fits
from nodisk.conformance.records import Plan, Run
from nodisk.conformance.results import Outcome, Reason, Result
from nodisk.conformance.sparing import Sparing
from nodisk.conformance.specs import Spec
from nodisk.conformance.suite import Ended
from nodisk.kube.client import Client, Object
from nodisk.waiting import Deadline, until

SPECS = [
    "[sig-a] passes [Conformance]",
    "[sig-a] fails [Conformance]",
    "[sig-b] is flaky [Conformance]",
    "[sig-b] skips itself [Conformance]",
    "[sig-c] hangs [Serial] [Conformance]",
]
Begin = Callable[..., Run]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    program = tmp_path / NAME
    shutil.copyfile(conformance_suite.__file__, program)
    program.chmod(0o755)
    (tmp_path / "names").write_text("\n".join(SPECS) + "\n")
    return Folder(tmp_path)


@pytest.fixture
def run(folder: Folder, tmp_path: Path) -> Run:
    whole = folder.specs()
    plan = Plan(
        lab="room",
        version=str(folder.version()),
        suite="a test's",
        mode="certified",
        focus=None,
        began="2027-01-31T08:15:00Z",
        specs=specs.choose(whole, mode="certified"),
        official=len(whole),
        substitutes={},
    )
    return Run.begin(tmp_path / "runs", plan)


def test_results_interruption_and_another_day(
    plane: ControlPlane, client: Client, folder: Folder, run: Run, tmp_path: Path
) -> None:
    """Ctrl-C in the last piece: earlier results stay, the cluster is empty, and the next run does only the rest."""
    folder.check()
    fits(folder.version(), client.version())
    argv = [folder.program, plane.bin / "kubectl", plane.kubeconfig, run.folder.parent]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.api.conformance_run", *map(str, argv)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(4)]  # then the serial spec begins
        assert told[-1].startswith("4 "), told
        _until_it_hangs(tmp_path)
        assert len(_clutter(client)) == 8
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=120) == 130
    assert cleanup.leftovers(client) == []
    assert _clutter(client) == []
    kept = Run.latest(run.folder.parent).results()
    assert set(kept) == set(SPECS[:4])

    (tmp_path / "woken").touch()
    found = conformance_run.go(folder.program, plane.bin / "kubectl", plane.kubeconfig, Run.latest(run.folder.parent))
    assert {name: (one.outcome, one.runs) for name, one in found.items()} == {
        SPECS[0]: (Outcome.PASSED, 1),
        SPECS[1]: (Outcome.FAILED, 2),
        SPECS[2]: (Outcome.PASSED, 2),
        SPECS[3]: (Outcome.SKIPPED, 1),
        SPECS[4]: (Outcome.PASSED, 1),
    }
    assert (found[SPECS[3]].reason, found[SPECS[3]].text) == (Reason.NODES, "Requires at least 9 nodes (not 0)")
    assert cleanup.leftovers(client) == []
    assert len(run.logs()) == 4  # the first piece, the serial spec, and two that ran once more


def test_after_a_kill_the_next_start_removes_what_is_left(
    plane: ControlPlane,
    client: Client,
    folder: Folder,
    run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After kill -9 the suite's own goes with the next start; what an administrator made meanwhile stays."""
    argv = [folder.program, plane.bin / "kubectl", plane.kubeconfig, run.folder.parent]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.api.conformance_run", *map(str, argv)],
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    ) as child:
        _until_it_hangs(folder.root)
        child.kill()
    memory = run.folder.parent / cleanup.NAME
    assert memory.exists()
    mine = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "exam"}, "value": 7}
    client.create(mine)
    try:
        assert len(_clutter(client)) == 8
        (folder.root / "woken").touch()
        found = conformance_run.go(folder.program, plane.bin / "kubectl", plane.kubeconfig, run)
        assert found[SPECS[4]].outcome is Outcome.PASSED
        assert _clutter(client) == []
        assert cleanup.leftovers(client) == []
        assert not memory.exists()
        said = capsys.readouterr().out.splitlines()
        assert "removing ValidatingWebhookConfiguration blocking" in said
        named = [line for line in said if "PriorityClass exam" in line]
        assert len(named) == 1
        assert named[0].endswith("PriorityClass exam; to remove it: nodisk kubectl delete priorityclass exam")
        client.get("scheduling.k8s.io/v1", "PriorityClass", "exam")
    finally:
        client.delete("scheduling.k8s.io/v1", "PriorityClass", "exam")


def test_nodes_are_as_they_were(client: Client, tmp_path: Path) -> None:
    """Labels, taints and resources that specs gave a node go; an administrator's taint stays and is named."""
    said: list[str] = []
    keeper = cleanup.Keeper(client, tmp_path / cleanup.NAME, said.append)
    with conformance_run.node(client):
        client.patch("v1", "Node", "w1", {"metadata": {"labels": {"seat": "3"}}})
        keeper.begin()
        taints = [
            {"key": "kubernetes.io/e2e-evict-taint-key", "value": "evictTaintVal", "effect": "NoExecute"},
            {"key": "exam", "effect": "NoSchedule"},
        ]
        labels = {"kubernetes.io/e2e-47": "42", "daemonset-color": "blue"}
        client.patch("v1", "Node", "w1", {"metadata": {"labels": labels}, "spec": {"taints": taints}})
        path = client.path("v1", "Node", "w1", subresource="status")
        status = {"capacity": {"scheduling.k8s.io/foo": "3"}, "allocatable": {"scheduling.k8s.io/foo": "3"}}
        client.request("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")
        keeper.end()
        node = client.get("v1", "Node", "w1")
    assert "seat" in node["metadata"]["labels"]
    assert not labels.keys() & node["metadata"]["labels"].keys()
    assert "exam" in {taint["key"] for taint in node["spec"]["taints"]}
    assert "kubernetes.io/e2e-evict-taint-key" not in {taint["key"] for taint in node["spec"]["taints"]}
    assert "scheduling.k8s.io/foo" not in node["status"]["capacity"]
    assert "scheduling.k8s.io/foo" not in node["status"]["allocatable"]
    assert said[-1].endswith("to remove it: nodisk kubectl taint node w1 exam:NoSchedule-")


def test_the_suites_taint_takes_away_nobody_elses_pods(plane: ControlPlane, client: Client) -> None:
    """The controller that deletes pods from a tainted node is the real one; the student's stays, the suite's goes."""
    evicts = Spec("[sig-node] NoExecuteTaintManager evicts [Serial] [Disruptive] [Conformance]")
    spaces = {"care-e2e": {traces.LABEL: "test"}, "care-student": {}}
    for name, labels in spaces.items():
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def lives(space: str, name: str) -> bool:
        return "deletionTimestamp" not in client.get("v1", "Pod", name, namespace=space)["metadata"]

    class Evicting:
        """What the spec does."""

        def run(self, piece: Sequence[Spec]) -> Ended:
            _pod(client, "care-student", "late")
            assert until(lambda: not sparing.lacks(_get(client, "care-student", "late")), Deadline(60), every=0.1)
            taint = {"key": sparing.TAINT, "value": "evictTaintVal", "effect": "NoExecute"}
            plane.kubectl("taint", "node", "w1", f"{taint['key']}={taint['value']}:{taint['effect']}")
            assert until(lambda: not lives("care-e2e", "victim"), Deadline(60), every=0.1)
            return Ended(tuple(Result(spec.name, Outcome.PASSED) for spec in piece), None, "")

    try:
        with conformance_run.node(client):
            for space, name in (("care-e2e", "victim"), ("care-student", "early")):
                _pod(client, space, name)
            assert Sparing(Evicting(), client).run([evicts]).results[0].outcome is Outcome.PASSED
            assert lives("care-student", "early")
            assert lives("care-student", "late")
            for space, name in (("care-e2e", "victim"), ("care-student", "early"), ("care-student", "late")):
                client.delete("v1", "Pod", name, namespace=space, grace=0)
    finally:
        for name in spaces:
            client.delete("v1", "Namespace", name)


def _pod(client: Client, space: str, name: str) -> None:
    """One that is on w1 already; no kubelet runs it."""
    client.until("the default account", lambda: client.list("v1", "ServiceAccount", namespace=space))
    spec = {"nodeName": "w1", "containers": [{"name": "one", "image": "none"}]}
    client.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": space}, "spec": spec})


def _get(client: Client, space: str, name: str) -> Object:
    return client.get("v1", "Pod", name, namespace=space)


def _until_it_hangs(folder: Path) -> None:
    """Wait until the serial spec has made everything and waits for its end."""
    assert until((folder / "hanging").exists, Deadline(120), every=0.1)


def _clutter(client: Client) -> list[str]:
    """What the fake suite's spec that hangs has made, as far as it is there."""
    listed = client.list("rbac.authorization.k8s.io/v1", "RoleBinding", namespace=traces.SYSTEM)
    for api_version, kind in (*traces.KINDS, ("v1", "Namespace")):
        listed += client.list(api_version, kind)
    made = [one["metadata"]["name"] for one in yaml.safe_load_all(conformance_suite.CLUTTER.replace("SPACE", "e2e-4"))]
    return [one["metadata"]["name"] for one in listed if one["metadata"]["name"] in {*made, "e2e-4"}]
