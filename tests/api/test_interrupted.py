"""Ctrl-C in commands that take long, as a person has it: a real process, and an API that is slow or does not answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane
from tests.support.asleep import until_asleep
from tests.support.waits import LONG, until

from nodisk.classes import record
from nodisk.kube.client import Client, Object
from nodisk.verify import temporary_class
from nodisk.verify.staging import leftovers, remove_leftovers, staged


@pytest.fixture
def direct(plane: ControlPlane) -> Iterator[Client]:
    """The API past the forwarder, which these tests slow down."""
    from nodisk.kube import kubeconfig

    with Client(kubeconfig.load(plane.kubeconfig), patience=10) as client:
        yield client
        plane.forwarder.delay = 0
        plane.forwarder.open.set()
        remove_leftovers(client, plane.lab_state, limit=60, wait=True)


NODISK = ("-m", "nodisk")
# This cluster has no nodes, so that bench would refuse it.
UNVERIFIED = (
    "-c",
    "from nodisk.bench import runner; runner.refuse_broken = lambda *_: None; from nodisk.cli import main; main()",
)


def command(plane: ControlPlane, *words: str, program: Sequence[str] = NODISK) -> subprocess.Popen[str]:
    """As a terminal starts it: a process group of its own, which Ctrl-C goes to."""
    argv = [sys.executable, *program, *words, "--lab", str(plane.lab_file), "--state", str(plane.state.root)]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=plane.folder, start_new_session=True
    )


def meets(child: subprocess.Popen[str], condition: Callable[[], object]) -> None:
    """Wait for that, which the command does before it ends."""
    until(condition, process=child)


def left_by_bench(client: Client) -> list[Object]:
    return [*leftovers(client), *temporary_class.leftovers(client)]


def ends(child: subprocess.Popen[str], status: int) -> str:
    out, err = child.communicate(timeout=LONG)
    assert child.returncode == status, out + err
    assert "Traceback" not in out + err, out + err
    assert err.endswith("\ninterrupted\n"), err
    return err


def spaces(client: Client, prefix: str) -> list[str]:
    names = [one["metadata"]["name"] for one in client.list("v1", "Namespace", metadata_only=True)]
    return [name for name in names if name.startswith(prefix)]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_verify_removes_what_it_made(plane: ControlPlane, direct: Client, number: int, status: int) -> None:
    plane.forwarder.delay = 0.1
    child = command(plane, "verify", "--quick")
    meets(child, lambda: spaces(direct, "nodisk-verify-"))
    os.killpg(child.pid, number)
    ends(child, status)
    until(lambda: not leftovers(direct), why=lambda: leftovers(direct))


def test_a_namespace_whose_creation_was_interrupted_is_removed(
    plane: ControlPlane, direct: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the API's deed and its answer: a window of milliseconds, widened here to always."""

    def create(self: Client, obj: Object, **more: bool) -> Object:
        done(self, obj, **more)
        raise KeyboardInterrupt

    done = Client.create
    monkeypatch.setattr(Client, "create", create)
    with pytest.raises(KeyboardInterrupt), staged(plane.context, "verify"):
        pytest.fail("its namespace's creation was interrupted")
    left = leftovers(direct)
    assert all("deletionTimestamp" in one["metadata"] for one in left), left


def test_verify_ends_at_a_second_ctrl_c_where_the_api_does_not_answer(plane: ControlPlane, direct: Client) -> None:
    plane.forwarder.delay = 0.3  # or it may be through before anybody looks
    child = command(plane, "verify", "--quick")
    meets(child, lambda: spaces(direct, "nodisk-verify-"))
    plane.forwarder.open.clear()
    until_asleep(child.pid)
    os.killpg(child.pid, signal.SIGINT)
    assert child.stderr
    said = ""
    while "Ctrl-C again" not in said:
        said = child.stderr.readline()
        assert said, "it ended by itself"
    until_asleep(child.pid)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=LONG)
    assert (child.returncode, err.splitlines()[-1]) == (130, "interrupted again: it is left as it is")
    assert "Traceback" not in err
    plane.forwarder.delay = 0
    plane.forwarder.open.set()
    again = command(plane, "verify", "--only", "rights")  # it waits for nobody's lock, and removes what was left
    out, err = again.communicate(timeout=240)
    assert again.returncode in (0, 1), out + err
    assert "that an earlier run left" in err


def test_bench_removes_what_it_made(plane: ControlPlane, direct: Client) -> None:
    plane.forwarder.delay = 0.1  # or it may be through before anybody looks
    child = command(plane, "bench", "--only", "class", program=UNVERIFIED)
    meets(child, lambda: len(temporary_class.leftovers(direct)) > 5)
    os.killpg(child.pid, signal.SIGTERM)
    plane.forwarder.delay = 0
    ends(child, 143)
    until(lambda: not left_by_bench(direct), why=lambda: left_by_bench(direct))


def test_what_a_killed_bench_left_is_removed_by_the_next(plane: ControlPlane, direct: Client) -> None:
    plane.forwarder.delay = 0.1  # or it may be through before anybody looks
    child = command(plane, "bench", "--only", "class", program=UNVERIFIED)
    meets(child, lambda: len(temporary_class.leftovers(direct)) > 5)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=LONG)
    plane.forwarder.delay = 0
    kinds = {one["kind"] for one in leftovers(direct)}
    assert {"Namespace", "PriorityClass"} <= kinds
    old = {one["metadata"]["uid"] for one in left_by_bench(direct)}
    again = command(plane, "verify", "--only", "rights")
    out, err = again.communicate(timeout=240)
    assert again.returncode in (0, 1), out + err
    assert "removing the PriorityClass" in err
    until(lambda: old.isdisjoint(one["metadata"]["uid"] for one in left_by_bench(direct)))


def test_class_create_is_completed_by_the_next(plane: ControlPlane, direct: Client, tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_text("name,id\n" + "".join(f"Student {n},s{n:02}\n" for n in range(24)))
    words = ["class", "create", "stopped", "--roster", str(roster), "--overcommit", "--out", str(tmp_path / "out")]
    plane.forwarder.delay = 0.2  # or it may be through before anybody looks
    child = command(plane, *words)
    meets(child, lambda: len(spaces(direct, "stopped-")) > 3)
    os.killpg(child.pid, signal.SIGINT)
    ends(child, 130)
    kept = record.need(plane.lab_state, "stopped")
    assert len(kept.students) == 24
    plane.forwarder.delay = 0
    there = spaces(direct, "stopped-")
    assert len(there) < 24
    time.sleep(1)  # nothing tells that nothing comes any more
    assert spaces(direct, "stopped-") == there, "nothing goes on in the background"
    again = command(plane, *words)
    out, err = again.communicate(timeout=240)
    assert again.returncode == 0, out + err
    assert len(spaces(direct, "stopped-")) == 24
    gone = command(plane, "class", "delete", "stopped", "--yes")
    out, err = gone.communicate(timeout=240)
    assert gone.returncode == 0, out + err
