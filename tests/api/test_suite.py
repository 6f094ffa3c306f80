"""Kubernetes' own specs, of the suite that nodisk builds, where an API without machines is all that they need.

``apart``: the suite is compiled where the store has none, which takes longer than all other tests of this folder.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api import conformance_run
from tests.api.apiserver import ControlPlane

from nodisk.assets import suite
from nodisk.conformance import cleanup
from nodisk.conformance.program import Folder
from nodisk.conformance.results import Outcome
from nodisk.kube.client import Client

pytestmark = pytest.mark.apart

QUICK = r"Watchers should observe add|ConfigMap should run through|Lease lease API|server version should find"


def test_it_is_the_whole_suite_of_its_release(built: Folder) -> None:
    built.check()
    assert built.version() == suite.VERSION
    assert len(built.specs()) == 311
    assert len(built.policy_specs()) == 29
    ours = built.substitutes()
    assert ours["k8s.gcr.io/e2e-test-images/agnhost:2.21"] == "nodisk/e2e/agnhost:2.21"
    assert set(ours.values()) == set((built.root / suite.IMAGES).read_text().split())


def test_specs_run_and_pass(plane: ControlPlane, client: Client, built: Folder, tmp_path: Path) -> None:
    with conformance_run.node(client):
        run = conformance_run.begin(built, QUICK, tmp_path / "runs")
        assert len(run.plan.specs) == 4
        found = conformance_run.go(built.program, plane.bin / "kubectl", plane.kubeconfig, run)
    outcomes = {name: one.outcome for name, one in found.items()}
    assert outcomes == {spec.name: Outcome.PASSED for spec in run.plan.specs}, conformance_run.words(run)
    assert cleanup.leftovers(client) == []
