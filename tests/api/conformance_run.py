"""A run of the suite in a process of its own, to be interrupted: FOLDER KUBECTL KUBECONFIG LAB STATE RUNS."""

import sys
import time
from pathlib import Path

from nodisk import interrupts
from nodisk.conformance import cleanup, runner
from nodisk.conformance.records import Run
from nodisk.conformance.results import Result
from nodisk.conformance.suite import Suite
from nodisk.kube import kubeconfig
from nodisk.kube.client import Client


def go(program: Path, kubectl: Path, config: Path, run: Run, *, shards: int = 1) -> dict[str, Result]:
    """What the command does, with a kubeconfig of the test."""
    suite = Suite(program=program, kubectl=kubectl, kubeconfig=config, repositories=None)
    with Client(kubeconfig.load(config), patience=20) as client:
        return runner.run_all(
            run,
            suite,
            shards=shards,
            again=suite,
            now=time.monotonic,
            clean=lambda: cleanup.remove(client),
            check=client.version,
            tell=lambda result, progress: print(progress.done, result.name, flush=True),
        )


if __name__ == "__main__":
    interrupts.install()
    program, kubectl, config, runs = map(Path, sys.argv[1:])
    try:
        go(program, kubectl, config, Run.latest(runs))
    except KeyboardInterrupt:
        interrupts.leave()
