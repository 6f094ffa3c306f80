"""Students kept apart, on every node and in every boot: their pods by rules from the server, and their names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver, lab_of_its_own
from tests.vm.faults import on

from nodisk.assets.container_images import ECHO, ECHO_PORT

pytestmark = [pytest.mark.vm, pytest.mark.apart]

LAB = """\
name: vmtest-apart
network: {subnet: 10.91.0.0/24, server: 10.91.0.1}
os: {kernel: cloud}
kubernetes: {source: debian, isolation: names}
machines:
  - {name: cp1, mac: "52:54:00:91:00:0b", address: 10.91.0.11, role: control-plane, memory: 2GiB}
  - {name: w1, mac: "52:54:00:91:00:15", address: 10.91.0.21, memory: 1GiB}
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with lab_of_its_own(tmp_path_factory.mktemp("vmtest-apart"), LAB) as driver:
        driver("lab", "up", "--within", str(BOOT_WITHIN), timeout=BOOT_WITHIN + 1500)  # proved without any policy
        yield driver


def test_students_pods_are_kept_apart_on_every_node(room: Driver) -> None:
    done = room("verify", "--only", "isolation", "--output", "json", check=False, timeout=1200)
    report = json.loads(done.stdout)
    assert [(one["name"], one["outcome"]) for one in report["checks"]] == [("isolation", "ok")], report
    assert room.status()["isolation"]["verdict"] == "ok"


def test_each_machine_has_applied_its_rules_in_this_boot(room: Driver) -> None:
    nodes = room.kubectl("get", "nodes")["items"]
    applied = {one["metadata"]["name"]: one["metadata"]["annotations"].get("nodisk/policies-applied") for one in nodes}
    assert applied == room.boot_ids()
    for name in applied:
        assert "table ip nodisk-policies" in on(room, name, "sudo nft list tables")


JAN, EWA = "apart-jan-kowalski", "apart-ewa-lis"
KUBERNETES = "kubernetes.default.svc.cluster.local"


def test_a_student_finds_their_own_names_and_nobody_elses(room: Driver, tmp_path: Path) -> None:
    students = ("--students", "Jan Kowalski,Ewa Lis", "--days", "2", "--overcommit")
    room("class", "create", "apart", *students, "--out", str(tmp_path / "handouts"), timeout=1200)
    for space in (JAN, EWA):
        room("kubectl", "-n", space, "run", "web", f"--image={ECHO}", f"--port={ECHO_PORT}", "--expose")
    for space in (JAN, EWA):
        room("kubectl", "-n", space, "wait", "--for=condition=Ready", "pod/web", "--timeout=580s")

    def answers(space: str, name: str) -> str:
        done = room("kubectl", "-n", space, "exec", "web", "--", "nslookup", name, check=False)
        return done.stdout + done.stderr

    for space, other in ((JAN, EWA), (EWA, JAN)):
        address = room.kubectl("-n", space, "get", "service", "web")["spec"]["clusterIP"]

        def own(space: str = space, address: str = address) -> bool:
            return f"Address: {address}\n" in answers(space, f"web.{space}.svc.cluster.local")

        room.wait(own, f"a pod of {space} finds its own Service")
        assert "Address: 10.96.0.1\n" in answers(space, KUBERNETES)
        assert "NXDOMAIN" in answers(space, f"web.{other}.svc.cluster.local")
    room("class", "delete", "apart", "--yes", "--timeout", "900", timeout=1200)
