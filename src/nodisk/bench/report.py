"""The report: one self-contained HTML file, with JSON and JUnit beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from nodisk import files
from nodisk.bench import drawing, plots
from nodisk.bench.compare import against, compare
from nodisk.bench.result import Measurement, Run, Verdict, load
from nodisk.errors import SpecError
from nodisk.junit import Case, junit

KEPT_IN_TREND = 12
_TREND = ("boot_to_ready", "api_mutating_p99", "api_get_p99", "pod_start_p99", "pod_throughput", "class_create")


@dataclass(frozen=True, slots=True)
class Files:
    """A report's files."""

    html: Path
    json: Path
    junit: Path


def write(
    run: Run, folder: Path, *, earlier: Sequence[Run] = (), baseline: Run | None = None, draw: bool = True
) -> Files:
    """Write ``bench-TIME.{html,json,xml}`` into ``folder``; raises EnvironmentProblem if plots are wanted and can't be.

    The JSON is written first, so that a missing library doesn't lose figures that took minutes.
    """
    stem = "bench-" + datetime.fromisoformat(run.header["time"]).strftime("%Y%m%d-%H%M%S")
    found = Files(folder / f"{stem}.html", folder / f"{stem}.json", folder / f"{stem}.xml")
    files.write(found.json, json.dumps(run.to_json(), indent=1, ensure_ascii=False) + "\n")
    files.write(found.junit, junit("nodisk bench", map(_case, run.measurements), seconds=run.header["seconds"]))
    files.write(found.html, html(run, earlier=earlier, baseline=baseline, draw=draw))
    return found


def need_plots() -> None:
    """Raises EnvironmentProblem if matplotlib is not installed."""
    drawing.pyplot()


def earlier_runs(folder: Path) -> list[Run]:
    """The reports of a folder, oldest first; a file that can't be read is left out."""
    found = []
    for path in sorted(folder.glob("bench-*.json")):
        try:
            found.append(load(path))
        except (SpecError, OSError):
            continue
    return found


def html(run: Run, *, earlier: Sequence[Run] = (), baseline: Run | None = None, draw: bool = True) -> str:
    """The page. ``earlier``: runs for the trend, oldest first; ``baseline``: a run to compare with."""
    environment = Environment(
        loader=PackageLoader("nodisk.bench", "."),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    defaults = {"commit": "", "runs": 0, "repeats": "", "load": "", "accelerator": "", "nodes": []}
    return environment.get_template("report.html.j2").render(
        run=run,
        h=defaults | run.header,
        value=value,
        small=lambda one: "p99" in one.name and 0 < one.n < 100,
        figures=_figures(run, earlier) if draw else (),
        changes=compare(baseline, run) if baseline is not None else (),
        judged={name: one.word for name, one in against(baseline, run).items()} if baseline is not None else {},
        baseline=f"Before: {baseline.header.get('time')}" if baseline is not None else "",
    )


def value(number: float | None, unit: str) -> str:
    """A figure with its unit, three digits."""
    if number is None:
        return "–"
    if unit == "s" and number < 1:
        return f"{number * 1000:.3g} ms"
    if number == 0:
        return f"0 {unit}"
    return f"{number:.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"


def _figures(run: Run, earlier: Sequence[Run]) -> list[tuple[str, str, Any]]:
    named = {one.name: one for one in run.measurements if one.series}
    starts = [named[name] for name in ("pod_start_p99", "pod_start_cold") if name in named]
    apis = [named[name] for name in ("api_mutating_p99", "api_get_p99", "api_list_p99") if name in named]
    history = [*list(earlier)[-KEPT_IN_TREND + 1 :], run]
    drawn = [
        ("Boot", "Each machine's newest boot, by the stages it reported.", _of(plots.boot_gantt, named, "boot_phase")),
        (
            "Pod start",
            "Share of pods that had come that far; the total is what the SLO is about.",
            plots.pod_start(starts, 5.0),
        ),
        (
            "Pod start by node",
            "A node that is apart from the others: look at that PC.",
            _of(plots.strips, named, "pod_start_p99"),
        ),
        ("API", "From the API server's own histogram, during the load alone.", plots.api(apis)),
        ("Network", "Median of the repeats; MTU and tool are in the note above.", _of(plots.network, named, "net_tcp")),
        ("Round trips by node", "A bad cable or switch port shows here.", _of(plots.strips, named, "net_rtt")),
        ("RAM", "What each machine reported when it was Ready.", _of(plots.memory, named, "memory_at_ready")),
        ("Trend", "Earlier runs kept in the lab's state directory.", plots.trend(history, _TREND)),
    ]
    # The drawings are matplotlib's, of this process' own numbers and escaped labels; nobody else's markup is in them.
    return [(title, caption, Markup(svg)) for title, caption, svg in drawn if svg]  # noqa: S704


def _of(plot: Any, named: dict[str, Measurement], name: str) -> str | None:
    drawn: str | None = plot(named[name]) if name in named else None
    return drawn


def _case(one: Measurement) -> Case:
    text = f"{value(one.value, one.definition.unit)} (n = {one.n}, lost {one.lost}); {one.note}"
    if one.verdict is Verdict.SKIPPED:
        return Case(one.name, "skipped", one.note)
    # A threshold of our own is no failure in a CI's eyes: the exit status says the same.
    return Case(one.name, "failed" if one.fails_the_run else "ok", text)
