"""Two of Kubernetes' own specs on diskless machines, one of a pod and one of a service, and what is left of them."""

from __future__ import annotations

import json

import pytest
from tests.support import assets
from tests.vm.driver import Driver

from nodisk.assets.build import build

pytestmark = [pytest.mark.vm, pytest.mark.apart]

POD = r"Pods should get a host IP"
SERVICE = r"Services should serve a basic endpoint from pods"


def test_a_pod_and_a_service(vm: Driver) -> None:
    with assets.builder():  # minutes of compiling, where the store has no suite
        build(vm.context().lab, assets.state(), only=["suite"])
    done = vm("conformance", "--focus", f"{POD}|{SERVICE}", "--output", "json", check=False, timeout=3600)
    report = json.loads(done.stdout)
    assert [one["outcome"] for one in report["specs"]] == ["passed", "passed"], report
    assert done.returncode == 0
    # None of the images is the official one, and that is said.
    assert not report["conformant"]
    assert report["substitutes"]["k8s.gcr.io/e2e-test-images/agnhost:2.21"] == "nodisk/e2e/agnhost:2.21"
    left = vm.kubectl("get", "namespaces", "-l", "e2e-run")
    assert left["items"] == []
