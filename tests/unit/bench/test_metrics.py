"""Prometheus' text format: only what is wanted is read, and differences survive a restart."""

from __future__ import annotations

import math
import time

import pytest

from nodisk.bench.metrics import parse
from nodisk.errors import NodiskError

NAME = "apiserver_request_duration_seconds"
TEXT = f"""\
# HELP {NAME} [ALPHA] Response latency, "quoted" and with a \\\\ in it.
# TYPE {NAME} histogram
{NAME}_bucket{{resource="pods",verb="GET",le="0.05"}} 8
{NAME}_bucket{{resource="pods",verb="GET",le="1"}} 9
{NAME}_bucket{{resource="pods",verb="GET",le="+Inf"}} 10
{NAME}_sum{{resource="pods",verb="GET"}} 4.5
{NAME}_count{{resource="pods",verb="GET"}} 10
{NAME}_bucket{{resource="nodes",verb="GET",le="0.05"}} 2
{NAME}_bucket{{resource="nodes",verb="GET",le="1"}} 2
{NAME}_bucket{{resource="nodes",verb="GET",le="+Inf"}} 2
{NAME}_sum{{resource="nodes",verb="GET"}} 0.02
{NAME}_count{{resource="nodes",verb="GET"}} 2
# TYPE apiserver_request_total counter
apiserver_request_total{{code="200"}} 12
apiserver_request_total{{code="500"}} 1
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.7e+09
# TYPE other histogram
other_bucket{{le="+Inf"}} nonsense
"""
WANTED = (NAME, "apiserver_request_total")


def test_histograms_by_their_labels() -> None:
    scrape = parse(TEXT, WANTED)
    by = scrape.by(NAME, "resource", "verb")
    assert set(by) == {("pods", "GET"), ("nodes", "GET")}
    pods = by["pods", "GET"]
    assert pods.bounds == (0.05, 1.0, math.inf)
    assert (pods.n, pods.total) == (10, 4.5)
    merged = scrape.histogram(NAME)
    assert merged is not None
    assert merged.counts == (10, 11, 12)
    assert scrape.histogram(NAME, lambda labels: labels["resource"] == "secrets") is None


def test_the_difference_of_two_scrapes() -> None:
    later = parse(TEXT.replace('pods",verb="GET",le="+Inf"} 10', 'pods",verb="GET",le="+Inf"} 14'), WANTED)
    between = later.since(parse(TEXT, WANTED)).by(NAME, "resource")
    assert set(between) == {("pods",)}
    assert between["pods",].counts == (0, 0, 4)
    restarted = parse(TEXT.replace("} 8", "} 1").replace("} 9", "} 1").replace("} 10", "} 1"), WANTED)
    assert restarted.since(parse(TEXT, WANTED)).by(NAME, "resource")["pods",].n == 1


@pytest.mark.parametrize("text", [f"# TYPE {NAME} histogram\n{NAME}_bucket{{le=", f'{NAME}_bucket{{le="1"}} x\n'])
def test_what_is_no_exposition_is_an_error_with_words(text: str) -> None:
    with pytest.raises(NodiskError, match="Prometheus"):
        parse(text, WANTED)


def cost(name: str, series: int) -> float:
    """Processor seconds to read a text with so many more series of ``name``: a busy host makes them no more."""
    ends = (("bucket", ',le="+Inf"'), ("sum", ""), ("count", ""))
    lines = (f'{name}_{end}{{resource="{i}",verb="LIST"{le}}} 5\n' for i in range(series) for end, le in ends)
    text = TEXT.partition("# TYPE apiserver_request_total")[0] + "".join(lines)
    taken = []
    for _ in range(3):
        begin = time.process_time()
        assert len(parse(text, WANTED).histograms) == 2 + series * (name in WANTED)
        taken.append(time.process_time() - begin)
    return min(taken)


def test_what_nobody_wants_of_a_large_exposition_costs_little() -> None:
    """A control plane's has 100,000 lines, of which bench reads a few hundred."""
    little, much = cost("unwanted", 3_000), cost("unwanted", 30_000)
    assert much < 40 * little  # 10 times if linear, 100 if quadratic
    assert little < cost(NAME, 3_000) / 3  # a tenth
