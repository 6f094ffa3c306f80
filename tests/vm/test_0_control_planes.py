"""Two control planes: the cluster goes on when the one that works vanishes, and takes it back when it returns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver, lab_of_its_own
from tests.vm.faults import on

from nodisk.assets.container_images import ECHO

pytestmark = [pytest.mark.vm, pytest.mark.apart]

ADDRESSES = {"cp1": "10.80.0.11", "cp2": "10.80.0.12"}
LAB = """\
name: vmtest-two
network: {subnet: 10.80.0.0/24, server: 10.80.0.1, gateway: 10.80.0.254}
os: {kernel: cloud}
machines:
  - {name: cp1, mac: "52:54:00:80:00:0b", address: 10.80.0.11, role: control-plane, memory: 2GiB}
  - {name: cp2, mac: "52:54:00:80:00:0c", address: 10.80.0.12, role: control-plane, memory: 2GiB}
  - {name: w1, mac: "52:54:00:80:00:15", address: 10.80.0.21, memory: 1GiB}
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with lab_of_its_own(tmp_path_factory.mktemp("vmtest-two"), LAB) as driver:
        driver("lab", "up", "--within", str(BOOT_WITHIN), timeout=BOOT_WITHIN + 1500)
        yield driver


def servers(two: Driver) -> set[str]:
    """The addresses that the cluster's own pods find the API at."""
    found = two.kubectl("-n", "default", "get", "endpoints", "kubernetes")
    return {address["ip"] for subset in found.get("subsets") or [] for address in subset["addresses"]}


def worker_of(two: Driver, part: str) -> str:
    """The machine whose controller manager or scheduler acts."""
    lease = two.kubectl("-n", "kube-system", "get", "lease", part)
    name: str = lease["spec"]["holderIdentity"].partition("_")[0]
    return name


def test_both_serve_and_one_acts(two: Driver) -> None:
    nodes = {node["metadata"]["name"]: node for node in two.kubectl("get", "nodes")["items"]}
    for name in ADDRESSES:
        assert "node-role.kubernetes.io/control-plane" in nodes[name]["metadata"]["labels"]
    two.wait(lambda: servers(two) == set(ADDRESSES.values()), "both API servers are endpoints")
    pods = {pod["metadata"]["name"]: pod for pod in two.kubectl("-n", "kube-system", "get", "pods")["items"]}
    for part in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        for name in ADDRESSES:
            assert pods[f"{part}-{name}"]["status"]["phase"] == "Running"
    # This room has a gateway, the others' have none: machines reach Services all the same.
    for name in (*ADDRESSES, "w1"):
        assert on(two, name, "timeout 20 bash -c 'exec 3<>/dev/tcp/10.96.0.1/443 && echo reached'") == "reached\n"
    assert worker_of(two, "kube-controller-manager") in ADDRESSES
    assert worker_of(two, "kube-scheduler") in ADDRESSES
    assert two.status()["alarms"] == 0


def test_the_one_that_acts_vanishes_and_returns(two: Driver) -> None:
    before = two.boot_ids()
    lost = worker_of(two, "kube-controller-manager")
    other = next(name for name in ADDRESSES if name != lost)
    two("lab", "power", lost, "cut")

    # nginx leaves a dead one alone: the API answers at once, and its objects change by what the other one does.
    assert two("kubectl", "get", "nodes", timeout=60).returncode == 0
    two("kubectl", "create", "deployment", "echo", f"--image={ECHO}")

    def runs() -> bool:
        return bool(two.kubectl("get", "deployment", "echo")["status"].get("readyReplicas") == 1)

    two.wait(runs, f"{other} took over from {lost}, and the echo runs")
    two("kubectl", "delete", "deployment", "echo")
    assert worker_of(two, "kube-controller-manager") == other
    two.wait(lambda: servers(two) == {ADDRESSES[other]}, f"{lost}'s API server is no endpoint")
    two.wait(lambda: two.status()["machines"][lost]["node"] != "ready", f"{lost}'s node is not Ready")

    two("lab", "power", lost, "on")
    two.await_ready(lost, before=before)
    two.wait(lambda: servers(two) == set(ADDRESSES.values()), "both API servers are endpoints again")
    assert two.boot_ids()[other] == before[other]
    assert two.status()["alarms"] == 0
