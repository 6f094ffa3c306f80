"""The report's plots, as inline SVG.

Readable without colour: series differ by hatch, marker or line style, and values are written beside them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nodisk.bench.drawing import COLOURS, DASHES, HATCHES, MARKERS, svg
from nodisk.bench.result import Measurement, Run, Series
from nodisk.bench.stats import percentile

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _sorted(measurement: Measurement, label: str) -> list[Series]:
    return [one for one in measurement.series if label in one.labels]


def boot_gantt(measurement: Measurement) -> str | None:
    """One row per machine, one bar per stage."""
    series = [one for one in _sorted(measurement, "node") if one.value is not None and "start" in one.labels]
    nodes = list(dict.fromkeys(one.labels["node"] for one in series))
    stages = list(dict.fromkeys(one.labels["stage"] for one in series))
    if not nodes:
        return None

    def draw(axes: Axes) -> None:
        for row, node in enumerate(nodes):
            for one in (one for one in series if one.labels["node"] == node):
                place = stages.index(one.labels["stage"])
                axes.barh(
                    row,
                    one.value or 0,
                    left=float(one.labels["start"]),
                    height=0.6,
                    color=COLOURS[place % len(COLOURS)],
                    hatch=HATCHES[place % len(HATCHES)],
                    edgecolor="black",
                    linewidth=0.6,
                    label=one.labels["stage"] if row == 0 else None,
                )
            end = max(float(o.labels["start"]) + (o.value or 0) for o in series if o.labels["node"] == node)
            axes.text(end, row, f" {end:.0f} s", va="center")
        axes.set_yticks(range(len(nodes)), nodes)
        axes.invert_yaxis()
        axes.margins(x=0.08)
        axes.set_xlim(left=0)
        axes.set_xlabel("seconds since the first machine's first event")
        axes.grid(axis="x", linewidth=0.3)
        axes.figure.legend(loc="outside upper center", ncols=min(5, len(stages)), frameon=False, handleheight=1.4)

    return svg("Boot by stage", 1.4 + 0.42 * len(nodes), draw)


def pod_start(measurements: Sequence[Measurement], limit: float) -> str | None:
    """Share of pods by time, for each phase and in all."""
    lines: dict[str, tuple[float, ...]] = {}
    for measurement in measurements:
        cold = " (image absent)" if measurement.name == "pod_start_cold" else ""
        for phase in dict.fromkeys(one.labels.get("phase", "total") for one in measurement.series):
            found = [s for one in measurement.series if one.labels.get("phase", "total") == phase for s in one.samples]
            if found and (not cold or phase == "total"):
                lines[phase + cold] = tuple(sorted(found))
    if not lines:
        return None

    def draw(axes: Axes) -> None:
        for place, (name, samples) in enumerate(lines.items()):
            share = [(i + 1) / len(samples) for i in range(len(samples))]
            axes.step(
                samples,
                share,
                where="post",
                linestyle=DASHES[place % len(DASHES)],
                color="black" if name == "total" else COLOURS[(place + 4) % len(COLOURS)],
                linewidth=2 if name == "total" else 1.2,
                marker=MARKERS[place],
                markersize=3.5,
                markevery=max(1, len(samples) // 8),
                label=f"{name} (n = {len(samples)})",
            )
        axes.axvline(limit, color="black", linewidth=0.8, linestyle=(0, (1, 3)))
        axes.text(limit, 0.02, f" SLO {limit:g} s", rotation=90, va="bottom", ha="right")
        axes.axhline(0.99, color="grey", linewidth=0.5)
        axes.text(0, 0.985, "99 %", va="top", fontsize=8)
        axes.set(xlabel="seconds since the create request", ylabel="share of pods", ylim=(0, 1.02))
        axes.set_xlim(left=0)
        axes.grid(linewidth=0.3)
        axes.figure.legend(loc="outside upper center", ncols=3, frameon=False)

    return svg("Pod start", 3.6, draw)


def api(measurements: Sequence[Measurement]) -> str | None:
    """Percentiles of each resource and verb against the line of 1 s."""
    rows: list[tuple[str, list[float]]] = []
    for measurement in measurements:
        for one in measurement.series:
            if one.histogram is not None and one.histogram.n:
                name = f"{one.labels.get('verb', '')} {one.labels.get('resource', '')} (n = {one.n})"
                rows.append((name, [one.histogram.percentile(share) for share in (0.5, 0.9, 0.99)]))
    if not rows:
        return None

    def draw(axes: Axes) -> None:
        for place, label in enumerate(("p50", "p90", "p99")):
            axes.plot(
                [row[1][place] for row in rows],
                range(len(rows)),
                linestyle="none",
                marker="o|D"[place],
                markersize=6,
                markerfacecolor="white" if place == 0 else COLOURS[4],
                markeredgecolor="black",
                label=label,
            )
        axes.hlines(
            range(len(rows)), [row[1][0] for row in rows], [row[1][2] for row in rows], color="grey", linewidth=0.8
        )
        axes.axvline(1.0, color="black", linestyle="--", linewidth=1)
        axes.text(1.0, -0.8, " 1 s", ha="left", va="center")
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.set_ylim(len(rows) - 0.4, -1.2)
        axes.set_xscale("log")
        axes.set_xlim(right=max(2.0, *(row[1][2] * 1.5 for row in rows)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("seconds (log), interpolated within the API server's buckets")
        axes.grid(axis="x", linewidth=0.3)
        axes.figure.legend(loc="outside upper center", ncols=3, frameon=False)

    return svg("API latency", 1.2 + 0.26 * len(rows), draw)


def strips(measurement: Measurement) -> str | None:
    """Every sample by node: the one bad PC or cable stands out."""
    nodes: dict[str, list[float]] = {}
    for one in _sorted(measurement, "node"):
        if one.labels.get("phase", "total") == "total":
            nodes.setdefault(one.labels["node"], []).extend(one.samples)
    nodes = {node: nodes[node] for node in sorted(nodes) if nodes[node]}
    if not nodes:
        return None

    def draw(axes: Axes) -> None:
        for row, samples in enumerate(nodes.values()):
            # A fixed spread instead of chance: the same data, the same picture.
            spread = [row + 0.26 * math.sin(2.4 * i) for i in range(len(samples))]
            axes.plot(samples, spread, linestyle="none", marker=MARKERS[row % len(MARKERS)], markersize=3.5, alpha=0.6)
            median = percentile(samples, 0.5)
            axes.plot([median, median], [row - 0.38, row + 0.38], color="black", linewidth=2)
            axes.text(median, row - 0.4, f"{median:.3g}", ha="center", va="bottom", fontsize=8)
        axes.set_yticks(range(len(nodes)), [f"{node} (n = {len(samples)})" for node, samples in nodes.items()])
        axes.set_ylim(len(nodes) - 0.4, -0.8)
        axes.set_xlim(left=0)
        axes.set_xlabel(
            f"{measurement.definition.title.removesuffix(', p99')}, {measurement.definition.unit}; bar: median"
        )
        axes.grid(axis="x", linewidth=0.3)

    return svg(f"By node: {measurement.name}", 1.1 + 0.42 * len(nodes), draw)


def network(measurement: Measurement) -> str | None:
    """Bars by path against the node–node figure."""
    bars = {
        (one.labels.get("path", ""), one.labels.get("streams", "")): percentile(one.samples, 0.5)
        for one in measurement.series
        if one.samples
    }
    if not bars:
        return None
    paths, streams = list(dict.fromkeys(p for p, _ in bars)), sorted({s for _, s in bars})

    def draw(axes: Axes) -> None:
        height = 0.8 / len(streams)
        for place, stream in enumerate(streams):
            values = [bars.get((path, stream), 0.0) for path in paths]
            rows = [row + (place - (len(streams) - 1) / 2) * height for row in range(len(paths))]
            drawn = axes.barh(
                rows,
                values,
                height=height * 0.92,
                color=COLOURS[place],
                hatch=HATCHES[place * 2 % len(HATCHES)],
                edgecolor="black",
                linewidth=0.6,
                label=f"{stream} stream{'s' if stream != '1' else ''}",
            )
            axes.bar_label(drawn, fmt=" %.0f")
        reference = bars.get(("node–node", streams[0]))
        if reference:
            axes.axvline(reference, color="black", linestyle="--", linewidth=1)
            axes.axvline(reference * 0.9, color="black", linestyle=":", linewidth=1)
            axes.text(
                reference,
                len(paths) - 0.45,
                " dashed: node–node, dotted: 0.9 of it",
                ha="left",
                va="center",
                fontsize=8,
            )
        axes.set_yticks(range(len(paths)), paths)
        axes.set_ylim(len(paths) - 0.3, -0.5)
        axes.margins(x=0.1)
        axes.set_xlabel("Mbit/s, median")
        axes.figure.legend(loc="outside upper center", ncols=2, frameon=False, handleheight=1.4)

    return svg("Network", 1.3 + 0.5 * len(paths), draw)


def memory(measurement: Measurement) -> str | None:
    """Where each machine's RAM is."""
    nodes: dict[str, dict[str, float]] = {}
    for one in _sorted(measurement, "node"):
        nodes.setdefault(one.labels["node"], {})[one.labels.get("kind", "")] = one.value or 0.0
    if not nodes:
        return None
    kinds = list(dict.fromkeys(kind for parts in nodes.values() for kind in parts))

    def draw(axes: Axes) -> None:
        begin: Mapping[str, float] = dict.fromkeys(nodes, 0.0)
        for place, kind in enumerate(kinds):
            values = [parts.get(kind, 0.0) for parts in nodes.values()]
            drawn = axes.barh(
                list(nodes),
                values,
                left=list(begin.values()),
                height=0.6,
                color="white" if kind == "available" else COLOURS[place % len(COLOURS)],
                hatch="" if kind == "available" else HATCHES[place % len(HATCHES)],
                edgecolor="black",
                linewidth=0.6,
                label=kind,
            )
            whole = max(sum(parts.values()) for parts in nodes.values())
            labels = [f"{value:.0f}" if value > whole / 16 else "" for value in values]
            for text in axes.bar_label(drawn, labels, label_type="center", fontsize=8):
                text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
            begin = {node: start + value for (node, start), value in zip(begin.items(), values, strict=True)}
        axes.invert_yaxis()
        axes.set_xlabel("MiB")
        axes.figure.legend(loc="outside upper center", ncols=6, frameon=False, handleheight=1.4)

    return svg("RAM at Ready", 1.3 + 0.42 * len(nodes), draw)


def trend(runs: Sequence[Run], names: Sequence[str]) -> str | None:
    """Each measure over earlier runs, divided by its first value."""
    lines = {}
    for name in names:
        found = [(run.get(name), place) for place, run in enumerate(runs)]
        points = [(place, one.value) for one, place in found if one is not None and one.value]
        if len(points) > 1:
            lines[name] = points
    if not lines:
        return None

    def draw(axes: Axes) -> None:
        for place, (name, points) in enumerate(lines.items()):
            first = points[0][1]
            axes.plot(
                [x for x, _ in points],
                [value / first for _, value in points],
                marker=MARKERS[place % len(MARKERS)],
                linestyle=DASHES[place % len(DASHES)],
                color=COLOURS[(place + 4) % len(COLOURS)],
                label=name,
            )
        axes.axhline(1, color="grey", linewidth=0.5)
        axes.set_xticks(range(len(runs)), [str(run.header.get("time", ""))[:16].replace("T", "\n") for run in runs])
        axes.set_ylim(bottom=0)
        axes.set_ylabel("× the first run's value")
        axes.grid(axis="y", linewidth=0.3)
        axes.figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)

    return svg("Trend", 3.2, draw)
