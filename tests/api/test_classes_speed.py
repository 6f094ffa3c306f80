"""The issue's figures of classes, on a real API server, beside the thesis' loop of kubectl calls in the same run.

What was measured is printed (``pytest -s``). The figures are the issue's on a host that does nothing else; how much
of the CPU went to others is measured as well, and what is asked is eased accordingly, with a margin of ``MARGIN``
for seconds. ``python -m tools.classes_bench`` measures the same on a cluster of your own.
"""

import json
import resource
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane
from tools import classes_bench as bench
from tools.classes_bench import Figures

from nodisk.kube import kubeconfig
from nodisk.kube.client import Client

MARGIN = 1.5
HERTZ = 100


class Cpu:
    """Seconds of CPU time since it was made: of this host, of which to ourselves."""

    def __init__(self, plane: ControlPlane) -> None:
        self._pids = [process.pid for process in plane.processes.values()]
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        fields = [int(word) / HERTZ for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = fields[3] + fields[4]
        own = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            used = resource.getrusage(who)
            own += used.ru_utime + used.ru_stime
        for pid in self._pids:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            own += (int(words[11]) + int(words[12])) / HERTZ
        return sum(fields), sum(fields) - idle, own

    def others(self) -> float:
        """The share of the host's CPU time that went to others, 0 … 1."""
        total, busy, own = (now - then for now, then in zip(self._now(), self._start, strict=True))
        return min(max(0.0, (busy - own) / total), 0.95)


def measure(plane: ControlPlane, count: int, *, thesis: bool) -> tuple[Figures, float]:
    """The figures, and what share of the CPU others had meanwhile. Straight to the API server, as kubectl goes."""
    cpu = Cpu(plane)
    kubectl = plane.bin / "kubectl" if thesis else None
    with Client(kubeconfig.load(plane.kubeconfig)) as client:
        figures = bench.measure(client, count, kubectl=kubectl, config=plane.kubeconfig)
    others = cpu.others()
    print(json.dumps(asdict(figures) | {"times_faster": figures.faster, "others_share_of_cpu": round(others, 2)}))
    return figures, others


def test_thirty_students(plane: ControlPlane) -> None:
    figures, others = measure(plane, 30, thesis=True)
    if figures.faster is not None and figures.faster < 10 * (1 - others):
        # Once more: a second in which the host did nothing is a third of our time, and a thirtieth of the loop's.
        figures, others = measure(plane, 30, thesis=True)
    assert figures.create <= 5 * MARGIN / (1 - others), figures
    assert figures.faster is not None
    # Like for like: until each owner's first call is answered (``thesis_used``). Seen: 10.8 to 13.7, and 9.2 to 11.6 of
    # the loop as it was written, on two busy cores that also run the API server.
    assert figures.faster >= 10 * (1 - others), figures


@pytest.mark.apart
def test_three_hundred_students(plane: ControlPlane) -> None:
    before = bench.peak_mib()
    figures, others = measure(plane, 300, thesis=False)
    assert figures.create <= 40 * MARGIN / (1 - others), figures
    assert figures.list <= 1, figures
    # Flat: what 300 students take of memory is far below what the program itself does.
    assert figures.peak_mib - before <= 32, figures
