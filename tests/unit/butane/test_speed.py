"""The figures of the benchmark, with room for a host that is busy with other things."""

from __future__ import annotations

from tools import butane_bench as bench

from nodisk.butane import translate


def test_a_machine_takes_milliseconds() -> None:
    assert translate(bench.MACHINE, strict=True).ignition is not None
    # Processor time, the best of many: other load can only add to it.
    assert bench.in_process(bench.MACHINE, runs=30) < 3 * bench.IN_PROCESS_MS
