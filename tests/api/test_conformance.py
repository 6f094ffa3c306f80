"""Runs of a suite against a real API server: results, interruption, another day, and what is left in the cluster."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.api import conformance_run, conformance_suite
from tests.api.apiserver import ControlPlane

from nodisk.conformance import cleanup, specs
from nodisk.conformance.program import NAME, Folder, fits
from nodisk.conformance.records import Plan, Run
from nodisk.conformance.results import Outcome, Reason
from nodisk.kube.client import Client

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
        _until_it_hangs(plane)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=120) == 130
    assert cleanup.leftovers(client) == []
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


def _until_it_hangs(plane: ControlPlane) -> None:
    """Wait until the serial spec's namespace is there."""
    with plane.client(patience=120) as client:
        client.until(
            "the last spec", lambda: any(one["metadata"]["name"] == "e2e-4" for one in cleanup.leftovers(client))
        )
