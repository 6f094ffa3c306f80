"""Figures from records and programs' output: the boot, RAM, iperf3, the registry's disk, health."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nodisk.bench.health import Health
from nodisk.bench.net_load import rate_of, tcp_measure
from nodisk.bench.recorded import boot_measures, budget_measure, memory_measure
from nodisk.bench.result import Verdict
from nodisk.bench.service_load import dns_measure
from nodisk.errors import NodiskError
from nodisk.records.events import Progress
from nodisk.values import Stage

WAY = Progress(
    stage=Stage.READY,
    started=100.0,
    times=((Stage.DHCP, 100.0), (Stage.KERNEL, 104.0), (Stage.OS, 120.0), (Stage.READY, 140.0)),
)


def test_the_boot_by_stage_adds_up_to_the_whole() -> None:
    late = Progress(stage=Stage.OS, started=102.0, times=((Stage.KERNEL, 106.0), (Stage.OS, 124.0)))
    ready, phases, rate = boot_measures({"a": WAY, "b": late}, {"a": 150_000_000, "b": 50_000_000})
    assert (ready.value, ready.n, ready.lost) == (40.0, 1, 1)
    assert "b" in ready.note
    assert sum(one.value or 0 for one in phases.series if one.labels["node"] == "a") == 40.0
    assert (phases.value, phases.note) == (20.0, "the longest: os → ready")
    assert rate.value == pytest.approx(200 / (124 - 104))


def _boot(begin: float) -> Progress:
    times = ((Stage.DHCP, begin), (Stage.KERNEL, begin + 4), (Stage.OS, begin + 20), (Stage.READY, begin + 40))
    return Progress(stage=Stage.READY, started=begin, times=times)


def test_a_machine_that_booted_another_day_is_not_of_the_mass_boot() -> None:
    ways = {"a": _boot(100), "b": _boot(103), "c": _boot(90_000)}
    ready, phases, rate = boot_measures(ways, dict.fromkeys("abc", 95_000_000), link=100)
    assert (ready.value, ready.n) == (40.0, 3)
    assert ready.note.startswith("all up 43 s after the first machine's first event; powered on within 3 s")
    assert "booted at other times: c" in ready.note
    assert rate.value == pytest.approx(10)
    assert rate.n == 2
    assert "80.0 % of the link of 100 Mbit/s" in rate.note
    assert {float(one.labels["start"]) for one in phases.series if one.labels["node"] == "c"} == {0, 4, 20}


def test_machines_that_never_booted_together_have_no_rate() -> None:
    _, _, rate = boot_measures({"a": _boot(100), "b": _boot(5000)}, {"a": 10**8, "b": 10**8})
    assert rate.value is None
    assert "booted at different times" in rate.note
    alone = boot_measures({"a": _boot(100)}, {"a": 160_000_000})[2]
    assert alone.value == pytest.approx(10)
    assert "link" not in alone.note  # the card's speed is not known


def test_no_boot_is_said_not_guessed() -> None:
    assert [one.value for one in boot_measures({"a": Progress()}, {})] == [None, None, None]


def test_ram_parts_add_up_to_the_total() -> None:
    ram = {"total": 1000, "available": 500, "rootfs": 150, "overlay": 10, "images": 60, "kubelet": 1, "processes": 200}
    measured = memory_measure({"a": ram, "b": ram | {"available": 420}})
    assert (measured.value, measured.n) == (420.0, 2)
    assert sum(one.value or 0 for one in measured.series if one.labels["node"] == "a") == 1000


def test_each_machine_is_judged_by_its_own_budget() -> None:
    found = {"a": {"total": 1000, "available": 550}, "b": {"total": 2000, "available": 900}}
    good = budget_measure(found, {"a": 500, "b": 1100})
    assert (good.value, good.n, good.verdict) == (100.0, 2, Verdict.PASS)
    bad = budget_measure(found, {"a": 400, "b": 1200})
    assert (bad.value, bad.note) == (112.5, "above their budget: a used 450 of 400 MiB")
    assert (bad.verdict, bad.fails_the_run) == (Verdict.FAIL, False)
    assert budget_measure(found, {}).verdict is Verdict.SKIPPED


def test_iperf3s_result_is_what_the_receiver_counted() -> None:
    output = {"end": {"sum_sent": {"bits_per_second": 9e8}, "sum_received": {"bits_per_second": 8.5e8}}}
    assert rate_of(json.dumps(output)) == 850
    for broken in ("", "{}", '{"error": "unable to connect"}', '{"end": null}'):
        with pytest.raises(NodiskError, match="iperf3 gave no result"):
            rate_of(broken)


def test_the_value_of_the_network_is_one_stream_between_pods() -> None:
    rates = {("node–node", "1"): [940.0], ("pod–pod", "1"): [900.0, 920.0, 910.0], ("pod–pod", "4"): [1.0]}
    assert tcp_measure(rates, "").value == 910.0
    assert tcp_measure({("node–node", "1"): [940.0]}, "").value is None


# By dnsperf 2.10 against a server that leaves the second unanswered.
DNSPERF = """\
[Status] Stopping after 1 run through file
> NOERROR kubernetes.default.svc.cluster.local A 0.000510
> T kubernetes.default.svc.cluster.local A
> NXDOMAIN kubernetes.default.svc.cluster.local A 0.000132
> NOERROR kubernetes.default.svc.cluster.local A 0.001205
[Status] Testing complete (end of file)
  Average Latency (s):  0.000176 (min 0.000044, max 0.000510)
"""


def test_lookups_that_fail_are_lost_not_timed() -> None:
    measured = dns_measure(DNSPERF, 4)
    assert measured.value == pytest.approx(1.205)
    assert (measured.n, measured.lost) == (2, 2)
    assert "median 0.51 ms" in measured.note
    assert dns_measure("", 4).lost == 4


def _pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "uid": "u", "namespace": "kube-system"}, "status": status}


def _container(restarts: int, **state: Any) -> dict[str, Any]:
    return {"name": "c", "restartCount": restarts, "state": {}, "lastState": state}


KILLED = {"terminated": {"reason": "OOMKilled", "containerID": "x"}}


def test_health_does_not_count_the_past() -> None:
    health = Health(None, "bench")  # type: ignore[arg-type]
    past = [_pod(reason="Evicted", message="last week"), _pod(containerStatuses=[_container(3, **KILLED)])]
    health.before(past)
    for pod in past:  # a watch begins with all that is there
        health.pod(pod)
    assert health.measurement().value == 0
    health.pod(_pod(containerStatuses=[_container(4, terminated={"reason": "OOMKilled", "containerID": "y"})]))
    assert dict(health.counts) == {"restarts": 1, "OOM kills": 1}


def test_a_node_that_goes_and_comes_back_is_one_flap() -> None:
    health = Health(None, "bench")  # type: ignore[arg-type]
    for status in ("True", "True", "Unknown", "False", "True", "True"):
        condition = {"type": "Ready", "status": status}
        health.node({"metadata": {"name": "w1"}, "status": {"conditions": [condition]}})
    assert dict(health.counts) == {"node flaps": 1}


def test_health_shows_other_peoples_pods_and_fails_nothing_for_them() -> None:
    health = Health(None, "bench")  # type: ignore[arg-type]
    crashing = _pod(containerStatuses=[_container(1)])
    crashing["metadata"] |= {"namespace": "class-ania", "uid": "v"}
    health.pod(crashing)
    measured = health.measurement()
    assert (measured.value, measured.fails_the_run) == (0, False)
    assert measured.note == "class-ania/p: c restarted (not counted)"
    health.pod(_pod(containerStatuses=[_container(1)]))
    assert health.measurement().note.startswith("p: c restarted; class-ania")
    assert health.measurement().fails_the_run


def test_health_counts_each_thing_once() -> None:
    health = Health(None, "bench")  # type: ignore[arg-type] # nothing is asked for before it is entered
    killed = KILLED
    for pod in (
        _pod(containerStatuses=[_container(0)]),
        _pod(containerStatuses=[_container(1, **killed)]),
        _pod(containerStatuses=[_container(1, **killed)]),
        _pod(reason="Evicted", message="low on memory"),
        _pod(reason="Evicted", message="low on memory"),
    ):
        health.pod(pod)
    assert dict(health.counts) == {"restarts": 1, "OOM kills": 1, "evictions": 1}
    assert health.measurement().value == 3
    assert health.measurement().fails_the_run
