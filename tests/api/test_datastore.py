"""What etcd's own robustness tests do to it, done to a lab's: nothing acknowledged is lost, and it comes back alone.

etcd is kept by nodisk's supervisor on a disk of its own; writers create and update objects through kube-apiserver
meanwhile. Root, and minutes: ``apart``.
"""

from __future__ import annotations

import signal
import subprocess
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
from nodisk.conformance.records import Run
from nodisk.conformance.results import Outcome
from nodisk.kube.client import Client
from nodisk.waiting import Deadline, until

pytestmark = pytest.mark.apart

HEALTHY = 60.0
"""Seconds after a fault's end within which the API is healthy by itself: etcd's next start may be 30 seconds away."""
WRITES = 20
"""Acknowledgements without which nothing is proved."""
SPECS = 900.0
"""Seconds for a few specs, some of them twice. As with every wait, this only ends a test that has failed."""
LONG = r"Watchers should observe add|capture the life of a service\."
"""Specs that need an API alone, and more than ten seconds each, so that a fault finds them in the middle. No more of
them: without etcd each needs minutes to fail."""


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


def in_the_middle(client: Client, suite: subprocess.Popen[str]) -> None:
    """Wait until a spec has its namespace."""
    assert until(lambda: bool(cleanup.leftovers(client)) or suite.poll() is not None, Deadline(180), every=0.1)
    assert suite.poll() is None, "all specs had ended before the fault"


def all_passed(run: Run) -> None:
    found = run.results()
    print({name: (str(one.outcome), one.runs, round(one.seconds, 1)) for name, one in found.items()})
    outcomes = {name: one.outcome for name, one in found.items()}
    assert outcomes == {spec.name: Outcome.PASSED for spec in run.plan.specs}, conformance_run.words(run)


def test_specs_are_decided_while_it_is_killed_and_stopped(kept: KeptPlane, built: Folder, tmp_path: Path) -> None:
    """A spec that was hit may fail once; the second run, which the runner makes by itself, decides."""
    history = History(kept, "meanwhile")
    with kept.client(patience=60) as client, conformance_run.node(client), history.going_on(writers=1):
        run = conformance_run.begin(built, QUICK, tmp_path / "runs")
        with conformance_run.going_on(built, kept, run) as suite:
            for fault in (signal.SIGKILL, signal.SIGSTOP):
                in_the_middle(client, suite)
                kept.signal_etcd(fault)
                if fault is signal.SIGSTOP:
                    time.sleep(4)  # the fault itself
                    kept.signal_etcd(signal.SIGCONT)
                healthy(kept)
            suite.wait(SPECS)
    nothing_lost(kept, history)
    all_passed(run)


def test_specs_are_decided_while_its_disk_is_slow(kept: KeptPlane, built: Folder, tmp_path: Path) -> None:
    """From their first request to their last; a spec that one of its own time-outs ended has a second run, as slow.

    Less slow than above: the controller that takes a spec's namespace away asks for 60 kinds of objects one after
    another, and each answer waits for a sync of etcd's log.
    """
    history = History(kept, "slowly")
    pid = kept.etcd_pid()
    assert pid is not None
    assert kept.etcd_data is not None
    with kept.client(patience=60) as client, conformance_run.node(client), history.going_on(writers=1):
        run = conformance_run.begin(built, QUICK, tmp_path / "runs")
        waited, syncs = kept.seconds_a_sync()
        with slow_writes(pid, kept.etcd_data, 4), conformance_run.going_on(built, kept, run) as suite:
            suite.wait(SPECS)
            later, more_syncs = kept.seconds_a_sync()
        mean = (later - waited) / (more_syncs - syncs)
        print(f"a sync took {mean:.2f} s; healthy after {healthy(kept):.1f} s")
        assert mean > 0.2, "the disk wasn't slow"
    assert kept.etcd_pid() == pid, "it was started again"
    nothing_lost(kept, history)
    all_passed(run)


def test_specs_of_a_full_disk_run_again_once_there_is_room(kept: KeptPlane, built: Folder, tmp_path: Path) -> None:
    """Without room nothing is decided, also not in a spec's second run: the run ends, and the next one does the rest.

    As ``nodisk conformance`` does it, and then ``nodisk conformance --resume``.
    """
    history = History(kept, "roomless")
    assert kept.etcd_data is not None
    with kept.client(patience=60) as client, conformance_run.node(client), history.going_on(writers=2):
        run = conformance_run.begin(built, LONG, tmp_path / "runs")
        with conformance_run.going_on(built, kept, run) as suite:
            in_the_middle(client, suite)
            before = len(kept.said)
            history.padding = 500_000  # so that etcd soon needs what isn't there
            with full(kept.etcd_data.parent):
                ended = until(lambda: any("ended" in line for line in kept.said[before:]), Deadline(180), every=0.2)
                assert ended, "etcd went on with a full disk"
                assert suite.poll() is None, "all specs had ended before etcd did"
                assert suite.wait(SPECS) == 1, conformance_run.words(run)
        history.padding = 0
        print(f"healthy {healthy(kept):.1f} s after there was room again; meanwhile: {kept.said[before:]}")
        known = run.results()
        assert {one.outcome for one in known.values()} <= {Outcome.PASSED}
        hit = [spec.name for spec in run.plan.specs if spec.name not in known]
        print(f"to be run again: {hit}")
        assert hit
        with conformance_run.going_on(built, kept, run) as suite:
            assert suite.wait(SPECS) == 0, conformance_run.words(run)
        more(history)
        assert cleanup.leftovers(client) == []
    nothing_lost(kept, history)
    all_passed(run)


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
