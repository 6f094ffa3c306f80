"""A run of an official suite in a process of its own, to be interrupted: LAB_FILE STATE RUNS."""

import sys
import time
from dataclasses import replace
from pathlib import Path

from nodisk import interrupts
from nodisk.conformance import cleanup, official_run, runner, specs
from nodisk.conformance.records import Run
from nodisk.conformance.results import Result
from nodisk.conformance.sparing import Sparing
from nodisk.context import LabContext, LabOptions
from nodisk.kube.client import connect
from nodisk.state import State

IMAGE = "registry.k8s.io/conformance:v1.20.2@sha256:" + "5" * 64
PROCS = 2


def go(context: LabContext, run: Run) -> dict[str, Result]:
    """What the command does with an official image."""
    with connect(context, patience=60) as client:
        pods = official_run.Pods(context, client, IMAGE, procs=PROCS)
        keeper = official_run.Keeper(client, cleanup.Keeper(client, run.folder.parent / cleanup.NAME))
        return runner.run_all(
            run,
            Sparing(pods, client),
            shards=1,
            size=PROCS * specs.PIECE,
            again=Sparing(replace(pods, procs=1), client),
            now=time.monotonic,
            begin=keeper.begin,
            end=keeper.end,
            check=client.settle,
            tell=lambda result, progress: print(progress.done, result.name, flush=True),
        )


if __name__ == "__main__":
    interrupts.install()
    file, state, runs = map(Path, sys.argv[1:])
    try:
        go(LabOptions(file, State(state)).load(), Run.latest(runs))
    except KeyboardInterrupt:
        interrupts.leave()
