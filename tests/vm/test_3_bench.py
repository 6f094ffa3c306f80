"""``nodisk bench`` on the lab: its green walk first, then figures that agree with what others measure."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.vm.driver import Driver

from nodisk import run
from nodisk.assets.bench_image import BENCH

pytestmark = [pytest.mark.vm, pytest.mark.apart]

GROUPS = ("boot", "memory", "api", "etcd", "net")
"""Of ``--profile quick``, those that others' measurements are set against; the whole takes 17 minutes without KVM."""


@pytest.fixture(scope="module")
def report(vm: Driver) -> dict[str, Any]:
    """The report's JSON."""
    words = [word for group in GROUPS for word in ("--only", group)]
    # 0, or 1 where an emulated processor misses an official SLO: both are a complete run.
    done = vm("bench", "--profile", "quick", *words, check=False, timeout=2400)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert re.search(r"verify --quick: 1[34] ok in", said), said
    (path,) = re.findall(r"\S+/reports/bench-\S+\.json", said)
    found: dict[str, Any] = json.loads(Path(path).read_text())
    assert Path(path).with_suffix(".html").exists()
    assert found["failed"] == (done.returncode == 1)
    return found


def measure(report: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in report["measures"] if one["name"] == name)
    assert found["value"] is not None, found["note"]
    return found


def test_the_boot_is_the_one_that_status_shows(vm: Driver, report: dict[str, Any]) -> None:
    stages = [machine["stages"] for machine in vm.status()["machines"].values()]
    at = datetime.fromisoformat
    longest = max((at(one["ready"]) - at(one["dhcp"])).total_seconds() for one in stages)
    assert measure(report, "boot_to_ready")["value"] == pytest.approx(longest, abs=10)


def test_memory_is_what_the_machine_says(vm: Driver, report: dict[str, Any]) -> None:
    found = measure(report, "memory_at_ready")
    nodes = {row["labels"]["node"] for row in found["series"]}
    assert {"cp1", "w1", "w2"} <= nodes
    least, total = re.fullmatch(r"least on (\w+), of (\d+) MiB", found["note"]).groups()  # type: ignore[union-attr]
    seen = vm("ssh", least, "grep", "MemTotal", "/proc/meminfo").stdout.split()[1]
    assert int(seen) // 1024 == int(total)
    assert 0 < found["value"] < int(total)


def test_etcds_own_metric_by_hand(vm: Driver, report: dict[str, Any]) -> None:
    context = vm.context()
    pki = context.state.pki
    words = ["curl", "--silent", "--fail", "--cacert", str(pki / "etcd-ca.crt")]
    words += ["--cert", str(pki / "etcd-probe.crt"), "--key", str(pki / "etcd-probe.key")]
    text = run.run([*words, f"https://{context.lab.network.server}:2379/metrics"], netns=context.netns).stdout
    counts = dict(re.findall(r'etcd_disk_wal_fsync_duration_seconds_bucket\{le="([^"]+)"\} (\d+)', text))
    total = int(counts["+Inf"])
    found = measure(report, "datastore_fsync_p99")
    assert 0 < found["n"] <= total
    # All that etcd ever did bounds what it did during the run.
    slowest = min(float(le) for le, count in counts.items() if int(count) == total and le != "+Inf")
    assert 0 < found["value"] <= slowest * 1000


def test_iperf3_by_hand(vm: Driver, report: dict[str, Any]) -> None:
    """Between two nodes, started by kubectl alone."""
    found = measure(report, "net_tcp")
    node = next(
        row for row in found["series"] if row["labels"]["path"] == "node–node" and row["labels"]["streams"] == "1"
    )
    measured = node["samples"][0]
    vm("kubectl", "create", "namespace", "by-hand")
    try:
        for name, command in (("server", "iperf3 -s -p 15999"), ("client", "sleep 600")):
            target = "w2" if name == "server" else "w1"
            spec = {"nodeName": target, "hostNetwork": True, "restartPolicy": "Never", "containers": []}
            overrides = {"apiVersion": "v1", "spec": {key: value for key, value in spec.items() if key != "containers"}}
            vm(
                *("kubectl", "-n", "by-hand", "run", name, f"--image={BENCH}", "--restart=Never"),
                *(f"--overrides={json.dumps(overrides)}", "--command", "--", "sh", "-c", command),
            )
        vm("kubectl", "-n", "by-hand", "wait", "--for=condition=Ready", "pod", "--all", "--timeout=580s")
        words = ("kubectl", "-n", "by-hand", "exec", "client", "--")
        done = vm(*words, "iperf3", "-c", "10.78.0.22", "-p", "15999", "-t", "3", "-J")
        rate = json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e6
    finally:
        vm("kubectl", "delete", "namespace", "by-hand", "--wait=false")
    # Two runs on emulated processors that others use as well: the same order of magnitude is what can be asked.
    assert 1 / 4 < measured / rate < 4, (measured, rate)


def test_the_report_needs_nothing_from_outside(vm: Driver, report: dict[str, Any]) -> None:
    html = max(vm.context().state.reports.glob("bench-*.html")).read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]+"', html)
    for one in report["measures"]:
        assert one["name"] in html
