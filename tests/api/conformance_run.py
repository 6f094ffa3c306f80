"""A run of the suite in a process of its own, to be interrupted: FOLDER KUBECTL KUBECONFIG LAB STATE RUNS."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.api.apiserver import ControlPlane

from nodisk import interrupts
from nodisk.conformance import cleanup, runner, specs
from nodisk.conformance.program import Folder
from nodisk.conformance.records import Plan, Run
from nodisk.conformance.results import Result
from nodisk.conformance.sparing import Sparing
from nodisk.conformance.suite import Suite
from nodisk.kube import kubeconfig
from nodisk.kube.client import Client


def go(program: Path, kubectl: Path, config: Path, run: Run, *, shards: int = 1) -> dict[str, Result]:
    """What the command does, with a kubeconfig of the test."""
    suite = Suite(program=program, kubectl=kubectl, kubeconfig=config, repositories=None)
    with Client(kubeconfig.load(config), patience=20) as client:
        keeper = cleanup.Keeper(client, run.folder.parent / cleanup.NAME, lambda text: print(text, flush=True))
        return runner.run_all(
            run,
            Sparing(suite, client),
            shards=shards,
            again=Sparing(suite, client),
            now=time.monotonic,
            begin=keeper.begin,
            end=keeper.end,
            check=client.settle,
            tell=lambda result, progress: print(progress.done, result.name, flush=True),
        )


@contextlib.contextmanager
def node(client: Client) -> Iterator[None]:
    """A node in the API alone: without one that is ready, the suite begins no spec."""
    room = {"cpu": "2", "memory": "1Gi", "pods": "100"}
    ready = {"type": "Ready", "status": "True", "reason": "Test", "message": ""}
    status = {"capacity": room, "allocatable": room, "conditions": [ready]}
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}, "status": status})
    try:
        yield
    finally:
        client.delete("v1", "Node", "w1")


def begin(built: Folder, focus: str, runs: Path) -> Run:
    """A run of the specs of the real suite whose names match."""
    whole = built.specs()
    plan = Plan(
        lab="room",
        version=str(built.version()),
        suite="a test's",
        mode="certified",
        focus=focus,
        began="2027-01-31T08:15:00Z",
        specs=specs.choose(whole, mode="certified", focus=focus),
        official=len(whole),
        substitutes=built.substitutes(),
    )
    return Run.begin(runs, plan)


@contextlib.contextmanager
def going_on(built: Folder, plane: ControlPlane, run: Run) -> Iterator[subprocess.Popen[str]]:
    """What ``run`` lacks is run while the block lasts, in a process that ends as the command does: 1 for an error."""
    argv = [built.program, plane.bin / "kubectl", plane.kubeconfig, run.folder.parent]
    with (
        (run.folder.parent / "said").open("a") as said,
        subprocess.Popen(
            [sys.executable, "-m", "tests.api.conformance_run", *map(str, argv)],
            stdout=said,
            stderr=said,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as child,
    ):
        try:
            yield child
        finally:
            child.terminate()


def words(run: Run) -> str:
    """The end of what the suite's own program said, and of what the process did that ran it, if one did."""
    said = [path for path in (run.folder.parent / "said",) if path.exists()]
    return "\n".join(path.read_text()[-3000:] for path in (*run.logs(), *said))


if __name__ == "__main__":
    interrupts.install()
    program, kubectl, config, runs = map(Path, sys.argv[1:])
    try:
        go(program, kubectl, config, Run.latest(runs))
    except KeyboardInterrupt:
        interrupts.leave()
