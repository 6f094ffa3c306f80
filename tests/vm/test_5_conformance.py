"""Some of Kubernetes' own specs on diskless machines, and what is left of them.

Two in ``make test``, so that the runner can't rot. The pod's runs ``pause``; the service's two run ``agnhost``, 96 MiB
unpacked in a worker's RAM, of which ``test_1_ready.py`` demands that 500 are free.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support import assets
from tests.vm.driver import Driver

from nodisk.conformance import cleanup
from nodisk.conformance.specs import QUICK

pytestmark = pytest.mark.vm

POD = r"Pods should get a host IP"
SERVICE = r"Services should serve a basic endpoint from pods"


def ran(vm: Driver, capsys: pytest.CaptureFixture[str], *words: str, seconds: float) -> dict[str, Any]:
    """What ``nodisk conformance WORDS`` reports, once all nodes are there; every spec passed, nothing is left of it.

    A spec that a busy host fails runs once more, with four times the time: that is for the command to do, so the
    limit is far beyond what it should take.
    """
    with capsys.disabled():
        assets.conformance_suite()  # test_0_suite.py has built it, unless somebody runs this file alone
    vm.await_ready("cp1", "w1", "w2")
    done = vm("conformance", *words, "--output", "json", check=False, timeout=seconds)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert {one["name"]: one["outcome"] for one in report["specs"] if one["outcome"] != "passed"} == {}, report
    assert done.returncode == 0, done.stderr
    left = vm.kubectl("get", "namespaces", "-l", "e2e-run")
    assert left["items"] == []
    assert not (vm.context().state.conformance / cleanup.NAME).exists(), "what was there before is as it was"
    return report


def test_a_pod_and_a_service(vm: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    report = ran(vm, capsys, "--focus", f"{POD}|{SERVICE}", seconds=7200)
    assert len(report["specs"]) == 2
    # None of the images is the official one, and that is said.
    assert not report["conformant"]
    assert report["substitutes"]["k8s.gcr.io/e2e-test-images/agnhost:2.21"] == "nodisk/e2e/agnhost:2.21"


@pytest.mark.apart
def test_some_of_each_area(vm: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    report = ran(vm, capsys, "--mode", "quick", seconds=14400)
    assert len(report["specs"]) == len(QUICK)
