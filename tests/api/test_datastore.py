"""What etcd's own robustness tests do to it, done to a lab's: nothing acknowledged is lost, and it comes back alone.

etcd is kept by nodisk's supervisor on a disk of its own; writers create and update objects through kube-apiserver
meanwhile. Root, and minutes: ``apart``.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api import conformance_run
from tests.api.datastore import KeptPlane, full, slow_writes
from tests.api.history import History
from tests.api.test_suite import QUICK
from tests.support.power_cut import disk

from nodisk.conformance import cleanup
from nodisk.conformance.program import Folder
from nodisk.conformance.results import Outcome, Result
from nodisk.waiting import Deadline, until

pytestmark = pytest.mark.apart

HEALTHY = 60.0
"""Seconds after a fault's end within which the API is healthy by itself: etcd's next start may be 30 seconds away."""
WRITES = 20
"""Acknowledgements without which nothing is proved."""


@pytest.fixture(scope="module")
def kept(release_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptPlane]:
    folder = tmp_path_factory.mktemp("kept")
    # etcd's log takes 128 MB at once.
    with disk(folder, mib=300) as place:
        made = KeptPlane(folder / "plane", release_bin, etcd_data=place.mount / "etcd")
        try:
            made.start()
            yield made
        finally:
            made.stop()


def healthy(plane: KeptPlane) -> float:
    """Wait until the API is ready and takes a write; the seconds that it took."""
    began = time.monotonic()

    def ready() -> bool:
        if plane.kubectl("get", "--raw", "/readyz", "--request-timeout=5s", check=False).returncode:
            return False
        words = ("annotate", "namespace", "default", f"at={time.monotonic()}", "--overwrite", "--request-timeout=5s")
        return plane.kubectl(*words, check=False).returncode == 0

    assert until(ready, Deadline(HEALTHY), every=0.2), plane.said
    return time.monotonic() - began


def more(history: History, count: int = WRITES) -> None:
    """Wait for so many more acknowledgements."""
    wanted = history.acknowledged + count
    assert until(lambda: history.acknowledged >= wanted, Deadline(180), every=0.05), "nothing is acknowledged any more"


def nothing_lost(plane: KeptPlane, history: History) -> None:
    with plane.client(patience=60) as client:
        assert history.check(client) == []


def test_killed(kept: KeptPlane) -> None:
    history = History(kept, "killed")
    with history.going_on():
        for _ in range(3):
            more(history)
            kept.signal_etcd(signal.SIGKILL)
            print(f"healthy after {healthy(kept):.1f} s")
        more(history)
    nothing_lost(kept, history)
    assert sum("etcd is running again" in line for line in kept.said) >= 3


def test_stopped_for_a_while(kept: KeptPlane) -> None:
    history = History(kept, "stopped")
    with history.going_on():
        for seconds in (3, 12):
            more(history)
            kept.signal_etcd(signal.SIGSTOP)
            time.sleep(seconds)  # the fault itself
            kept.signal_etcd(signal.SIGCONT)
            print(f"healthy {healthy(kept):.1f} s after {seconds} s without a processor")
        more(history)
    nothing_lost(kept, history)


def test_its_disk_is_full(kept: KeptPlane) -> None:
    history = History(kept, "full", padding=200_000)
    assert kept.etcd_data is not None
    with history.going_on():
        more(history)
        before = len(kept.said)
        with full(kept.etcd_data.parent):
            ended = until(lambda: any("ended" in line for line in kept.said[before:]), Deadline(180), every=0.2)
            assert ended, "etcd went on with a full disk"
        print(f"healthy {healthy(kept):.1f} s after there was room again; meanwhile: {kept.said[before:]}")
        more(history)
    nothing_lost(kept, history)


def test_its_disk_is_slow(kept: KeptPlane) -> None:
    """A device-mapper delay would be the field's way; the block layer's throttle is in every kernel, as that isn't."""
    history = History(kept, "slow")
    pid = kept.etcd_pid()
    assert pid is not None
    assert kept.etcd_data is not None
    with history.going_on():
        more(history)
        waited, syncs = kept.seconds_a_sync()
        with slow_writes(pid, kept.etcd_data, 2):
            more(history)
            later, more_syncs = kept.seconds_a_sync()
        mean = (later - waited) / (more_syncs - syncs)
        print(f"a sync took {mean:.2f} s; healthy after {healthy(kept):.1f} s")
        assert mean > 0.2, "the disk wasn't slow"
        more(history)
    assert kept.etcd_pid() == pid, "it was started again"
    nothing_lost(kept, history)


def test_specs_are_decided_meanwhile(kept: KeptPlane, built: Folder, tmp_path: Path) -> None:
    """A spec that was hit may fail once; the second run, which the runner makes by itself, decides."""
    found: dict[str, Result] = {}
    history = History(kept, "meanwhile")
    with kept.client(patience=60) as client, conformance_run.node(client), history.going_on(writers=1):
        run = conformance_run.begin(built, QUICK, tmp_path / "runs")

        def go() -> None:
            found.update(conformance_run.go(built.program, kept.bin / "kubectl", kept.kubeconfig, run))

        suite = threading.Thread(target=go)
        suite.start()
        for fault in (signal.SIGKILL, signal.SIGSTOP):
            assert until(lambda: bool(cleanup.leftovers(client)) or not suite.is_alive(), Deadline(180), every=0.1)
            assert suite.is_alive(), "all specs had ended before the fault"
            kept.signal_etcd(fault)
            if fault is signal.SIGSTOP:
                time.sleep(4)
                kept.signal_etcd(signal.SIGCONT)
            healthy(kept)
        suite.join(600)
    nothing_lost(kept, history)
    outcomes = {name: one.outcome for name, one in found.items()}
    assert outcomes == {spec.name: Outcome.PASSED for spec in run.plan.specs}, conformance_run.words(run)


def test_what_is_lost_is_found(kept: KeptPlane) -> None:
    """The checker itself: each kind of loss, made by hand."""
    history = History(kept, "judged")
    with history.going_on(writers=1):
        more(history, 9)
    nothing_lost(kept, history)
    path = "/api/v1/namespaces/judged/configmaps"
    with kept.client(patience=60) as client:
        client.delete("v1", "ConfigMap", "w0-0", namespace="judged")
        client.patch("v1", "ConfigMap", "w0-1", {"data": {"n": "9"}}, namespace="judged")
        client.patch("v1", "ConfigMap", "w0-2", {"data": {"t": "another"}}, namespace="judged")
        meta = {"name": "phantom", "labels": {"test": "history"}}
        client.json("POST", path, body={"metadata": meta, "data": {"n": "1"}})
        found = history.check(client)
    assert found[:3] == [
        "phantom is there, and nobody made it",
        "w0-0 was acknowledged, and isn't there",
        "w0-1 is 9: 3 was acknowledged, 3 asked for",
    ]
    assert found[3].startswith("w0-2 was changed by nobody after ")
    assert len(found) == 4
