"""An official suite's pods on a real API server: results, interruption, another day, and what is left in the cluster.

The image's program and the machine are stand-ins (tests/api/kubeconformance.py, tests/api/conformance_machine.py); its
rights, the pod and the way in which its files are fetched are real. No official image was ever run here.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api import conformance_pods_run
from tests.api.apiserver import ControlPlane
from tests.api.conformance_machine import Machine
from tests.api.kubelet import kubelet
from tests.support.spec_runs import begun

from nodisk.conformance import cleanup, official_pod
from nodisk.conformance.records import Run
from nodisk.conformance.results import Outcome, Reason
from nodisk.kube.client import Client

SPECS = [
    "[sig-a] passes [Conformance]",
    "[sig-a] fails [Conformance]",
    "[sig-b] is flaky [Conformance]",
    "[sig-b] skips itself [Conformance]",
    "[sig-c] hangs [Serial] [Conformance]",
]


@pytest.fixture
def machine(plane: ControlPlane, client: Client, tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "names").write_text("\n".join(SPECS) + "\n")
    with kubelet(plane, client, tmp_path) as node, Machine(plane, node, tmp_path) as made:
        yield made


def left(client: Client) -> list[str]:
    """What is in the cluster of the suite."""
    spaces = [one["metadata"]["name"] for one in cleanup.leftovers(client)]
    own = client.list("v1", "Namespace", fields=f"metadata.name={official_pod.NAMESPACE}")
    rights = client.list(official_pod.RBAC, "ClusterRoleBinding", fields=f"metadata.name={official_pod.BINDING}")
    return spaces + [one["metadata"]["name"] for one in (*own, *rights)]


def test_results_interruption_and_another_day(
    plane: ControlPlane, client: Client, machine: Machine, tmp_path: Path
) -> None:
    """Ctrl-C while a pod runs: earlier results stay, the cluster is empty, and the next run does only the rest."""
    run = begun(tmp_path / "runs", SPECS)
    words = ["tests.api.conformance_pods_run", plane.lab_file, plane.state.root, run.folder.parent]
    with subprocess.Popen(
        [sys.executable, "-m", *map(str, words)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(4)]  # then the serial spec begins
        assert told[-1].startswith("4 "), told
        with plane.client(patience=120) as waiting:
            waiting.until("the last spec", lambda: "e2e-4" in left(waiting))
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=120) == 130
    assert left(client) == []
    assert set(Run.latest(run.folder.parent).results()) == set(SPECS[:4])

    (tmp_path / "woken").touch()
    found = conformance_pods_run.go(plane.context, Run.latest(run.folder.parent))
    assert {name: (one.outcome, one.runs) for name, one in found.items()} == {
        SPECS[0]: (Outcome.PASSED, 1),
        SPECS[1]: (Outcome.FAILED, 2),
        SPECS[2]: (Outcome.PASSED, 2),
        SPECS[3]: (Outcome.SKIPPED, 1),
        SPECS[4]: (Outcome.PASSED, 1),
    }
    assert (found[SPECS[3]].reason, found[SPECS[3]].text) == (Reason.NODES, "Requires at least 9 nodes (not 1)")
    assert found[SPECS[1]].text == "it was to"
    assert left(client) == []
    # The first piece with both processes; the serial spec twice, and two that ran once more, each alone.
    procs = ["--procs=2" in one["E2E_EXTRA_GINKGO_ARGS"] for one in machine.environments]
    assert procs == [True, False, False, False, False]
    logs = [path.read_text() for path in run.logs()]
    assert [log.count("runs ") for log in logs] == [4, 1, 1, 1]
    assert logs[0].startswith("ginkgo --timeout=")


def test_a_pod_that_is_lost_decides_nothing(
    plane: ControlPlane, client: Client, machine: Machine, tmp_path: Path
) -> None:
    machine.loses = 1
    run = begun(tmp_path / "runs", SPECS[:1], official=len(SPECS))
    found = conformance_pods_run.go(plane.context, run)
    assert (found[SPECS[0]].outcome, found[SPECS[0]].runs) == (Outcome.PASSED, 2)
    first = run.folder / "0001.json"
    assert "its pod was deleted" in first.read_text()
    assert left(client) == []
