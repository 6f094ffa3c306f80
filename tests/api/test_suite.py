"""Kubernetes' own specs, of the suite that nodisk builds, where an API without machines is all that they need.

``apart``: the suite is compiled where the store has none, which takes longer than all other tests of this folder.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api import conformance_run
from tests.api.apiserver import ControlPlane
from tests.support import assets

from nodisk.assets import progress, suite
from nodisk.assets.work import Work
from nodisk.conformance import cleanup, specs
from nodisk.conformance.program import Folder
from nodisk.conformance.records import Plan, Run
from nodisk.conformance.results import Outcome
from nodisk.kube.client import Client

pytestmark = pytest.mark.apart

QUICK = r"Watchers should observe add|ConfigMap should run through|Lease lease API|server version should find"


@pytest.fixture(scope="session")
def built() -> Folder:
    if named := os.environ.get("NODISK_TEST_SUITE"):
        return Folder(Path(named))
    with assets.builder() as store:
        recipe = suite.recipe(None)
        made = recipe.find(store)
        if made is None:
            with store.builder(), progress.board() as board:
                made = asyncio.run(recipe.make(Work(assets.state(), store, board)))
        return Folder(suite.folder_of(store, made))


@pytest.fixture
def node(client: Client) -> Iterator[None]:
    """A node in the API alone: without one that is ready, the suite begins no spec."""
    room = {"cpu": "2", "memory": "1Gi", "pods": "100"}
    ready = {"type": "Ready", "status": "True", "reason": "Test", "message": ""}
    status = {"capacity": room, "allocatable": room, "conditions": [ready]}
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}, "status": status})
    yield
    client.delete("v1", "Node", "w1")


def test_it_is_the_whole_suite_of_its_release(built: Folder) -> None:
    built.check()
    assert built.version() == suite.VERSION
    assert len(built.specs()) == 311
    ours = built.substitutes()
    assert ours["k8s.gcr.io/e2e-test-images/agnhost:2.21"] == "nodisk/e2e/agnhost:2.21"
    assert set(ours.values()) == set((built.root / suite.IMAGES).read_text().split())


@pytest.mark.usefixtures("node")
def test_specs_run_and_pass(plane: ControlPlane, client: Client, built: Folder, tmp_path: Path) -> None:
    whole = built.specs()
    plan = Plan(
        lab="room",
        version=str(built.version()),
        suite="a test's",
        mode="certified",
        focus=QUICK,
        began="2027-01-31T08:15:00Z",
        specs=specs.choose(whole, mode="certified", focus=QUICK),
        official=len(whole),
        substitutes=built.substitutes(),
    )
    assert len(plan.specs) == 4
    run = Run.begin(tmp_path / "runs", plan)
    found = conformance_run.go(built.program, plane.bin / "kubectl", plane.kubeconfig, run)
    assert {name: one.outcome for name, one in found.items()} == {spec.name: Outcome.PASSED for spec in plan.specs}, (
        "\n".join(path.read_text()[-3000:] for path in run.logs())
    )
    assert cleanup.leftovers(client) == []
