"""The pod of an official suite, what the API says of it, and what a room needs for it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets.mirrored import Copy
from nodisk.conformance import official, official_pod, specs
from nodisk.conformance.official import Official
from nodisk.conformance.official_pod import Look, State
from nodisk.conformance.program import Folder, fits
from nodisk.conformance.specs import Spec
from nodisk.errors import EnvironmentProblem, UsageError
from nodisk.spec.model import Lab
from nodisk.values import KubeVersion

DIGEST = "sha256:" + "5" * 64
IMAGE = f"registry.k8s.io/conformance:v1.36.1@{DIGEST}"
SPECS = [Spec("[sig-a] does (it) [Conformance]"), Spec("[sig-b] does that too [Conformance]")]


def test_it_runs_as_hydrophone_runs_it() -> None:
    environment = official_pod.environment(SPECS, procs=2, stretch=1)
    pod = official_pod.pod("suite-1", image=IMAGE, keeper="nodisk/echo:1", environment=environment, seconds=60)
    suite, keeper = pod["spec"]["containers"]
    assert "command" not in suite, "the image knows its own program, which has changed its name before"
    told = {one["name"]: one["value"] for one in suite["env"]}
    assert told["E2E_FOCUS"] == specs.focus_of(SPECS)
    assert shlex.split(told["E2E_EXTRA_GINKGO_ARGS"]) == ["--timeout=2100s", "-v", "--procs=2"]
    assert told["E2E_EXTRA_ARGS"] == "--node-schedulable-timeout=30m --system-pods-startup-timeout=30m"
    assert told["E2E_PARALLEL"] == "false"
    assert suite["volumeMounts"] == keeper["volumeMounts"] == [{"name": "results", "mountPath": told["RESULTS_DIR"]}]
    assert pod["spec"]["restartPolicy"] == "Never", "a suite that began twice would overwrite its own results"
    assert pod["spec"]["activeDeadlineSeconds"] == 60 + official_pod.LEFT


def test_its_account_may_do_everything_and_is_bound_in_no_other_namespace() -> None:
    space, account, binding = official_pod.surroundings()
    assert account["metadata"]["namespace"] == space["metadata"]["name"]
    assert binding["roleRef"]["name"] == "cluster-admin"
    assert [(one["name"], one["namespace"]) for one in binding["subjects"]] == [
        (account["metadata"]["name"], space["metadata"]["name"])
    ]


@given(st.integers(1, 200), st.integers(1, 16), st.floats(1, 8))
def test_ginkgo_ends_a_run_before_the_kubelet_does(count: int, procs: int, stretch: float) -> None:
    piece = [Spec(f"[sig-a] {number} [Conformance]") for number in range(count)]
    seconds = official_pod.limit(piece, procs=procs, stretch=stretch)
    environment = official_pod.environment(piece, procs=procs, stretch=stretch)
    pod = official_pod.pod("x", image=IMAGE, keeper="y", environment=environment, seconds=seconds)
    (own,) = [word for word in environment["E2E_EXTRA_GINKGO_ARGS"].split() if word.startswith("--timeout=")]
    assert float(own.removeprefix("--timeout=").removesuffix("s")) < pod["spec"]["activeDeadlineSeconds"]
    assert ("--procs" in environment["E2E_EXTRA_GINKGO_ARGS"]) == (procs > 1)
    assert all(len(word) < 128 * 1024 for word in environment.values()), "the kernel's limit for one of them"


@given(st.integers(0, 60), st.integers(0, 12), st.integers(1, 16))
def test_pieces_for_several_at_once_leave_serial_ones_alone(many: int, serial: int, shards: int) -> None:
    listed = [Spec(f"[sig-a] {number} [Conformance]") for number in range(many)]
    listed += [Spec(f"[sig-a] {number} [Serial] [Conformance]") for number in range(serial)]
    found = specs.pieces(listed, size=shards * specs.PIECE)
    assert sorted(spec.name for piece in found for spec in piece) == sorted(spec.name for spec in listed)
    for piece in found:
        assert len(piece) <= (specs.PIECE if piece[0].apart else shards * specs.PIECE)
        assert len({spec.apart for spec in piece}) == 1


RUNNING: dict[str, Any] = {"running": {"startedAt": "2027-01-31T08:15:00Z"}}


def status(suite: dict[str, Any], keeper: dict[str, Any] = RUNNING, ready: str = "True", **more: Any) -> dict[str, Any]:
    containers = [{"name": "results", "state": keeper}, {"name": "suite", "state": suite}]
    return {"status": {"containerStatuses": containers, "conditions": [{"type": "Ready", "status": ready}], **more}}


UNPLACED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({}, Look(State.WAITING, "no machine says anything of it")),
        ({"status": {"phase": "Pending", "conditions": [UNPLACED]}}, Look(State.WAITING, "Unschedulable: 0/3 nodes")),
        (
            status({"waiting": {"reason": "ErrImagePull", "message": "not found"}}, ready="False"),
            Look(State.WAITING, "ErrImagePull: not found"),
        ),
        (status(RUNNING), Look(State.RUNNING)),
        (status(RUNNING, {"waiting": {"reason": "ContainerCreating"}}, ready="False"), Look(State.RUNNING)),
        (status(RUNNING, ready="Unknown"), Look(State.LOST)),
        (status(RUNNING, ready="False"), Look(State.LOST)),
        (
            status({"terminated": {"exitCode": 1, "reason": "Error"}}, ready="False"),
            Look(State.ENDED, "exit status 1"),
        ),
        (
            status({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            Look(State.ENDED, "exit status 137, OOMKilled"),
        ),
        (
            {"status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}},
            Look(State.ENDED, "Evicted: low on memory"),
        ),
    ],
)
def test_what_the_api_says_of_it(pod: dict[str, Any], expected: Look) -> None:
    assert official_pod.look(pod) == expected


def test_of_what_a_suite_lists_conformance_needs_some() -> None:
    listed = [
        "registry.k8s.io/e2e-test-images/agnhost:2.52",
        "gcr.io/k8s-authenticated-test/agnhost:2.6",
        "invalid.registry.k8s.io/invalid/alpine:3.1",
        "registry.k8s.io/e2e-test-images/cuda-vector-add:2.3",
        "registry.k8s.io/e2e-test-images/httpd:2.4.39-4",
        "registry.k8s.io/e2e-test-images/httpd:2.4.38-4",
        "registry.k8s.io/pause:3.10",
        "I0131 this is no image",
    ]
    assert [str(name) for name in official.wanted(listed)] == [
        "registry.k8s.io/e2e-test-images/agnhost:2.52",
        "registry.k8s.io/e2e-test-images/httpd:2.4.38-4",
        "registry.k8s.io/e2e-test-images/httpd:2.4.39-4",
        "registry.k8s.io/pause:3.10",
    ]


def room(gateway: str | None) -> Lab:
    network = {"subnet": "10.77.0.0/24", "server": "10.77.0.1"} | ({"gateway": gateway} if gateway else {})
    machine = {"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}
    return Lab.model_validate({"name": "room", "network": network, "machines": [machine]})


def made(tmp_path: Path, missing: dict[str, str]) -> Official:
    copy = Copy(DIGEST, DIGEST, "addon-image-1", 250_000_000, "2027-01-31T08:15:00+00:00", ("conformance",))
    images = ("registry.k8s.io/conformance:v1.36.1", "registry.k8s.io/e2e-test-images/agnhost:2.52")
    return Official(Folder(tmp_path), IMAGE, dict.fromkeys(images, copy), missing)


def test_a_room_with_a_gateway_is_told_what_its_machines_load(tmp_path: Path) -> None:
    lines = official.ready(room("10.77.0.254"), made(tmp_path, {"registry.k8s.io/pause:3.10": "no answer"}))
    assert lines == [
        f"the suite is {IMAGE}, 250 MB to load, and more in the memory of a machine that runs it",
        "1 test images are loaded by the server",
        "each machine loads it by 10.77.0.254: registry.k8s.io/pause:3.10 (no answer)",
    ]


def test_a_room_without_one_needs_them_all(tmp_path: Path) -> None:
    assert "no gateway" in official.ready(room(None), made(tmp_path, {}))[-1]
    with pytest.raises(EnvironmentProblem, match=r"no gateway.*pause:3\.10 \(no answer\)") as caught:
        official.ready(room(None), made(tmp_path, {"registry.k8s.io/pause:3.10": "no answer"}))
    assert "NODISK_UPSTREAM_REGISTRY" in (caught.value.hint or "")


def test_which_suite_fits_which_cluster() -> None:
    new, old = KubeVersion(1, 36, 1), KubeVersion(1, 24, 9)
    fits(old, KubeVersion(1, 24, 1))
    fits(new, KubeVersion(1, 36, 4), in_pods=True)
    with pytest.raises(UsageError, match="the cluster of"):
        fits(new, KubeVersion(1, 35, 1), in_pods=True)
    with pytest.raises(UsageError, match="Ginkgo 2") as caught:
        fits(new, new)
    assert "leave out --suite" in (caught.value.hint or "")
