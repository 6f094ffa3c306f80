"""The report's three files and the comparison, from a made-up run."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.unit.bench.conftest import made_up

from nodisk.bench import report
from nodisk.bench.compare import against, compare
from nodisk.bench.result import Measurement, Run, Series, Verdict, load
from nodisk.errors import SpecError


def test_json_goes_there_and_back(run: Run, tmp_path: Path) -> None:
    files = report.write(run, tmp_path, draw=False)
    again = load(files.json)
    assert again.header == run.header
    assert [one.to_json() for one in again.measurements] == [one.to_json() for one in run.measurements]


def test_the_html_needs_no_network_and_escapes(run: Run, tmp_path: Path) -> None:
    page = report.write(run, tmp_path, earlier=[made_up(1), made_up(2)], baseline=made_up(2)).html.read_text()
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "link", "img", "iframe")
            links.extend(v or "" for k, v in attrs if k in ("src", "href", "xlink:href"))

    Links().feed(page)
    assert all(link.startswith("#") for link in links)
    assert page.count("<svg") == 8
    assert "pc-&lt;3&gt;" in page
    assert "pc-<3>" not in re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "emulated without KVM" in page


def test_the_same_run_gives_the_same_page(run: Run) -> None:
    assert report.html(run) == report.html(run)


def test_a_missing_matplotlib_has_a_hint(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(Exception, match="matplotlib") as caught:
        report.write(run, tmp_path)
    assert "nodisk[report]" in caught.value.hint  # type: ignore[attr-defined]
    assert len(list(tmp_path.glob("bench-*.json"))) == 1  # the figures are safe all the same


def test_only_official_and_correctness_failures_fail_the_run(run: Run) -> None:
    def with_(name: str, value: float | None, lost: int = 0) -> Run:
        changed = Measurement(name, value, 5, lost=lost)
        return dataclasses.replace(run, measurements=tuple(changed if o.name == name else o for o in run.measurements))

    assert not run.failed
    assert with_("pod_start_p99", 5.1).failed
    assert with_("api_get_p99", 1.01).failed
    assert with_("health", 1.0).failed
    assert with_("pod_start_p99", 1.0, lost=1).failed
    slow_disk = with_("datastore_fsync_p99", 0.5)
    assert not slow_disk.failed
    measurement = slow_disk.get("datastore_fsync_p99")
    assert measurement is not None
    assert measurement.verdict is Verdict.FAIL


def test_junit_says_the_same(run: Run, tmp_path: Path) -> None:
    bad = dataclasses.replace(run, measurements=(*run.measurements[:-1], Measurement("health", 2.0, 1, note="a\x00b")))
    root = ElementTree.fromstring(report.write(bad, tmp_path, draw=False).junit.read_text())  # noqa: S314 - our own
    assert root.get("failures") == "1"
    assert root.get("skipped") == "1"
    assert [case.get("name") for case in root.iter("testcase")] == [one.name for one in bad.measurements]


def test_comparing_tells_noise_from_change() -> None:
    noise = {c.name: c.word for c in compare(made_up(1), made_up(2)) if not c.labels}
    assert noise["pod_start_p99"] == "same"
    slower = {c.name: c for c in compare(made_up(1), made_up(2, slower=1.5)) if not c.labels}
    assert slower["pod_start_p99"].word == "worse"
    assert slower["pod_throughput"].word == "unsure"  # one sample a side
    faster = {c.name: c.word for c in compare(made_up(1, slower=1.5), made_up(2)) if not c.labels}
    assert faster["pod_start_p99"] == "better"


def test_a_baseline_judges_what_has_no_threshold() -> None:
    run = made_up(3, slower=1.5)
    page = report.html(run, baseline=made_up(1), draw=False)
    assert "· worse" in page
    assert "· no threshold" not in page
    assert "· worse" not in report.html(run, draw=False)
    found = against(made_up(1), run)
    words = [found[name].word for name in ("boot_to_ready", "boot_serve_rate", "pod_throughput")]
    assert words == ["worse", "better", "unsure"]
    assert "api_get_p99" not in found  # an official SLO judges it


def test_a_measure_of_unlike_series_is_compared_by_those_that_its_value_is_of() -> None:
    def network(pods: float) -> Run:
        rates = {("node–node", "1"): 940.0, ("pod–pod", "1"): pods, ("pod–pod", "4"): 940.0}
        series = (
            Series({"path": path, "streams": streams}, tuple(rate + n for n in range(9)))
            for (path, streams), rate in rates.items()
        )
        return Run({}, (Measurement("net_tcp", pods + 4, 9, tuple(series)),))

    assert against(network(900), network(700))["net_tcp"].word == "worse"


def test_boots_of_a_room_are_compared() -> None:
    def booted(seconds: float, begin: int) -> Run:
        nodes = range(10)
        ready = [Series({"node": f"pc-{n}"}, value=seconds + n) for n in nodes]
        phases = [
            Series({"node": f"pc-{n}", "stage": stage, "start": f"{begin + n}.0"}, value=value + n / 10)
            for n in nodes
            for stage, value in (("kernel → os", seconds / 2), ("os → ready", 20.0))
        ]
        first = Measurement("boot_to_ready", seconds + 9, 10, tuple(ready))
        second = Measurement("boot_phase", max(seconds / 2, 20.0), 10, tuple(phases))
        return Run({}, (first, second))

    found = {(c.name, *c.labels.values()): c.word for c in compare(booted(60, 3), booted(90, 7))}
    assert found["boot_to_ready",] == "worse"
    assert (found["boot_phase", "kernel → os"], found["boot_phase", "os → ready"]) == ("worse", "same")
    assert {one.word for one in compare(booted(60, 3), booted(60, 7))} == {"same"}


@pytest.mark.parametrize("text", ["", "{}", '{"format": 9}', "[1]", '{"format": 1, "header": {}, "measures": [{}]}'])
def test_what_is_no_report_is_refused_with_words(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"x\.json"):
        load(path)
    assert report.earlier_runs(tmp_path) == []


def test_the_shape_of_the_json(run: Run) -> None:
    data = json.loads(json.dumps(run.to_json()))
    assert set(data) == {"format", "header", "failed", "measures"}
    first = data["measures"][0]
    assert set(first) == {"name", "value", "unit", "n", "lost", "verdict", "threshold", "judge", "note", "series"}
