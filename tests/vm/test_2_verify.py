"""One fault at a time in a cluster that works: the right check finds it, in the right words.

First the command itself, whole. Then its checks as it runs them, on one scene, so that its pods are made once and not
for each fault. Last the greatest fault of all: the room loses its power, and that scene must come back as it was.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import Driver
from tests.vm.faults import assert_found, fault, look, on

from nodisk.kube.client import connect
from nodisk.kube.patience import COMMAND
from nodisk.machines import processes
from nodisk.verify.checks import CHECKS
from nodisk.verify.checks.pods import APP
from nodisk.verify.core import Outcome
from nodisk.verify.scene import Scene, least_pace, measure_pace
from nodisk.verify.staging import remove_leftovers
from nodisk.verify.temporary_class import temporary_class

pytestmark = pytest.mark.vm


def fine(vm: Driver, scene: Scene, name: str) -> None:
    """Wait until a check finds nothing: after a fault, and on a host that emulates, that takes its time."""
    vm.wait(lambda: look(scene, name).outcome is Outcome.OK, f"the check {name} finds nothing")


@pytest.mark.apart
def test_the_whole_walk_is_green(vm: Driver) -> None:
    done = vm("verify", "--output", "json", check=False, timeout=1800)
    report = json.loads(done.stdout)
    # Debian's release has no CoreDNS and nothing that enforces policies, and the cluster has both all the same.
    assert (done.returncode, [one for one in report["checks"] if one["outcome"] != "ok"]) == (0, [])
    assert [one["name"] for one in report["checks"]] == [check.name for check in CHECKS]
    assert vm.kubectl("get", "namespaces", "-l", "nodisk/temporary")["items"] == []


@pytest.fixture(scope="module")
def scene(vm: Driver) -> Iterator[Scene]:
    """The namespace that ``verify --keep`` leaves, with the echo pods of the check ``pods``."""
    kept = vm("verify", "--only", "pods", "--keep", "--output", "json", timeout=900)
    run_id = json.loads(kept.stdout)["run"]
    context = vm.context()
    with connect(context, patience=COMMAND) as client:
        try:
            pace = max(measure_pace(client), least_pace(context))
            yield Scene(context, client, run_id, f"nodisk-verify-{run_id}", pace)
        finally:
            remove_leftovers(client, context.state)


def test_a_stopped_kubelet(vm: Driver, scene: Scene) -> None:
    with fault(vm, "w2", "sudo systemctl stop kubelet", "sudo systemctl start kubelet"):
        assert_found(
            look(scene, "certificates"),
            evidence="w2: kubelet does not answer on 10.78.0.22:10250",
            cause="kubelet on w2 is stopped",
            look="nodisk ssh w2 systemctl status kubelet",
        )

    fine(vm, scene, "certificates")

    def all_ready() -> bool:
        return set(scene.ready(APP)) == {"cp1", "w1", "w2"}

    vm.wait(all_ready, "the echo pod of w2 is ready again")


@pytest.mark.apart
def test_a_dropped_route(vm: Driver, scene: Scene) -> None:
    route = on(vm, "w1", "ip route show 10.244.22.0/24").strip()
    assert "10.78.0.22" in route
    with fault(vm, "w1", f"sudo ip route del {route}", f"sudo ip route add {route}"):
        found = look(scene, "pod-network")
    assert_found(found, evidence="w1 → w2", cause="no route to the other's pods", look="ip route get 10.244.")
    assert not any("cp1" in line for line in found.evidence), found
    assert look(scene, "pod-network").outcome is Outcome.OK


@pytest.mark.apart
def test_a_blocked_node_port(vm: Driver, scene: Scene) -> None:
    block = (
        "sudo nft add table ip blocked; "
        "sudo nft 'add chain ip blocked early { type filter hook prerouting priority -300; }'; "
        "sudo nft add rule ip blocked early tcp dport 30000-32767 drop"
    )
    with fault(vm, "w1", block, "sudo nft delete table ip blocked"):
        found = look(scene, "node-port")
    assert_found(found, evidence="(w1) from outside", cause="something blocks port", look="nodisk ssh w1")
    assert not any("(w2)" in line or "(cp1)" in line for line in found.evidence), found
    assert look(scene, "node-port").outcome is Outcome.OK


def test_a_registry_that_hangs(vm: Driver, scene: Scene) -> None:
    daemon = registry_of(vm)
    os.kill(daemon, signal.SIGSTOP)
    try:
        found = look(scene, "registry")
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert_found(found, evidence="/v2/nodisk/echo/manifests/1", cause="docker-registry or nginx is down", look="status")


def registry_of(vm: Driver) -> int:
    """The registry's process: of those that have its configuration as an argument the one that isn't a caretaker."""
    conf = str(vm.context().state.conf / "registry.yaml")
    (pid,) = [pid for pid in processes.find([conf]) if "docker" in Path(f"/proc/{pid}/comm").read_text()]
    return pid


@pytest.mark.apart
def test_a_wrong_clock(vm: Driver, scene: Scene) -> None:
    cause = "sudo systemctl stop systemd-timesyncd; sudo date -s '-30 seconds'"
    with fault(vm, "w2", cause, "sudo date -s '+30 seconds'; sudo systemctl start systemd-timesyncd"):
        found = look(scene, "clock")
    assert_found(found, evidence="w2: its clock is", cause="w2's clock is wrong", look="nodisk ssh w2 timedatectl")
    assert "behind the server's" in found.evidence[0]
    assert len(found.evidence) == 1, found
    vm.wait(lambda: look(scene, "clock").outcome is Outcome.OK, "the clocks agree again")


@pytest.mark.apart
def test_a_machine_that_enforces_no_policies(vm: Driver, scene: Scene) -> None:
    """Its rules are gone, and it said earlier that it has them."""
    cause = "sudo systemctl stop nodisk-policies; sudo nft delete table ip nodisk-policies"
    with fault(vm, "w1", cause, "sudo systemctl start nodisk-policies"):
        found = look(scene, "isolation")
    assert_found(
        found,
        evidence="allowed, although nodisk's server (rules that each machine applies) runs: on w1",
        cause="nodisk's server is there and does not keep students' pods apart",
        look="nodisk ssh w1 ",
    )
    assert vm.status()["isolation"]["verdict"] == "hole"
    assert "NOT KEPT APART" in vm("status").stdout


@pytest.mark.apart
def test_a_student_bound_to_cluster_admin(vm: Driver, scene: Scene) -> None:
    with temporary_class(scene, 1) as applied:
        (credential,) = applied.credentials.values()
        space = applied.record.namespace(credential.account)
        account = f"{applied.record.identities}:{credential.account.service_account}"
        vm(
            *("kubectl", "-n", space, "create", "rolebinding", "too-much"),
            *("--clusterrole=cluster-admin", f"--serviceaccount={account}"),
        )
        found = look(scene, "rights")
    assert_found(
        found,
        evidence=f"RoleBinding {space}/too-much gives the student {credential.account.label} all rights",
        cause="somebody made a binding by hand",
        look=f"nodisk kubectl get rolebinding too-much -n {space}",
    )


def test_the_whole_room_loses_power(vm: Driver, scene: Scene) -> None:
    """Same cluster, same objects, the echo serves again, and nobody did more than press the power buttons."""
    vm("kubectl", "create", "configmap", "kept", "--from-literal=year=1848")
    before, alarms = vm.boot_ids(), vm.status()["alarms"]
    uids = {item["metadata"]["name"]: item["metadata"]["uid"] for item in vm.kubectl("get", "nodes")["items"]}
    cluster = vm.kubectl("get", "namespace", "kube-system")["metadata"]["uid"]

    vm("lab", "power", "--all", "cut")
    assert [machine["stage"] for machine in vm.status()["machines"].values()] != []
    vm("lab", "power", "--all", "on")
    vm.await_ready("cp1", "w1", "w2", before=before)

    assert vm.kubectl("get", "namespace", "kube-system")["metadata"]["uid"] == cluster
    assert vm.kubectl("get", "configmap", "kept")["data"] == {"year": "1848"}
    after = {item["metadata"]["name"]: item["metadata"]["uid"] for item in vm.kubectl("get", "nodes")["items"]}
    assert after == uids
    assert set(before.values()).isdisjoint(vm.boot_ids().values())
    # What was deployed before the cut, without a command.
    vm.wait(lambda: set(scene.ready(APP)) == set(before), "the echo's pods are ready again")
    for name in ("pod-network", "service", "node-port"):
        fine(vm, scene, name)
    vm("kubectl", "delete", "configmap", "kept")
    assert vm.status()["alarms"] == alarms
