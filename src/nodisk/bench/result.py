"""A run's figures, as JSON and back, with their verdicts. The JSON is the documented, stable shape."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from nodisk.bench.measures import BY_NAME, Better, Definition, Judge
from nodisk.bench.stats import Histogram, Weighted
from nodisk.errors import SpecError

FORMAT = 1


class Verdict(StrEnum):
    """The verdict on a value."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NONE = "none"  # there is no threshold: only a baseline judges it
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Series:
    """One labelled set of figures of a measure: samples, or a histogram's buckets, or a single value.

    ``labels`` say of what: ``{"node": "pc-2"}``, ``{"resource": "pods", "verb": "POST"}``.
    """

    labels: dict[str, str] = field(default_factory=dict)
    samples: tuple[float, ...] = ()
    histogram: Histogram | None = None
    value: float | None = None

    @property
    def n(self) -> int:
        """How many observations."""
        if self.histogram is not None:
            return self.histogram.n
        return len(self.samples) or int(self.value is not None)

    def weighted(self) -> Weighted:
        """The observations for a comparison."""
        if self.histogram is not None:
            return self.histogram.weighted()
        return [(one, 1.0) for one in self.samples or (() if self.value is None else (self.value,))]

    def to_json(self) -> dict[str, Any]:
        """As in the report's JSON."""
        found: dict[str, Any] = {"labels": self.labels, "n": self.n}
        if self.samples:
            found["samples"] = [round(one, 6) for one in self.samples]
        if self.value is not None:
            found["value"] = self.value
        if self.histogram is not None:
            found["buckets"] = [
                ["+Inf" if bound == math.inf else bound, count]
                for bound, count in zip(self.histogram.bounds, self.histogram.counts, strict=True)
            ]
            found["sum"] = self.histogram.total
        return found

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Series:
        """The reverse."""
        histogram = None
        if "buckets" in data:
            bounds = tuple(math.inf if bound == "+Inf" else float(bound) for bound, _ in data["buckets"])
            histogram = Histogram(bounds, tuple(float(count) for _, count in data["buckets"]), float(data["sum"]))
        return cls(dict(data["labels"]), tuple(data.get("samples", ())), histogram, data.get("value"))


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measure's result. ``value`` is in the definition's unit; None: skipped, for the reason in ``note``."""

    name: str
    value: float | None
    n: int = 0
    series: tuple[Series, ...] = ()
    note: str = ""
    """The load, what was lost, why it was skipped."""
    lost: int = 0
    """Samples that gave no value."""

    @property
    def definition(self) -> Definition:
        """What it is."""
        return BY_NAME[self.name]

    @property
    def verdict(self) -> Verdict:
        """The value against the definition's threshold; lost samples of a judged measure fail it."""
        if self.value is None:
            return Verdict.FAIL if self.lost else Verdict.SKIPPED
        limit = self.definition.threshold
        if limit is None:
            return Verdict.NONE
        good = self.value <= limit if self.definition.better is Better.LOWER else self.value >= limit
        return Verdict.PASS if good and not self.lost else Verdict.FAIL

    @property
    def fails_the_run(self) -> bool:
        """Only an official SLO or a correctness failure does."""
        return self.verdict is Verdict.FAIL and self.definition.judge in (Judge.OFFICIAL, Judge.CORRECT)

    def to_json(self) -> dict[str, Any]:
        """As in the report's JSON."""
        definition = self.definition
        return {
            "name": self.name,
            "value": self.value,
            "unit": definition.unit,
            "n": self.n,
            "lost": self.lost,
            "verdict": str(self.verdict),
            "threshold": definition.threshold,
            "judge": str(definition.judge),
            "note": self.note,
            "series": [one.to_json() for one in self.series],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measurement:
        """The reverse; what follows from the definition isn't read."""
        return cls(
            data["name"],
            data["value"],
            data["n"],
            tuple(map(Series.from_json, data["series"])),
            data["note"],
            data.get("lost", 0),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One run of bench."""

    header: dict[str, Any]
    """lab, time (ISO 8601), profile, repeats, seconds, nodisk, commit, kubernetes, source, accelerator, nodes: [{name,
    role, cpus, ram_mib, nic, mtu, os, kernel, containerd}], runs (how many reports of this lab there were before)."""
    measurements: tuple[Measurement, ...]

    def get(self, name: str) -> Measurement | None:
        """One measurement."""
        return next((one for one in self.measurements if one.name == name), None)

    @property
    def failed(self) -> bool:
        """Whether the exit status says so."""
        return any(one.fails_the_run for one in self.measurements)

    def to_json(self) -> dict[str, Any]:
        """The documented shape."""
        return {
            "format": FORMAT,
            "header": self.header,
            "failed": self.failed,
            "measures": [one.to_json() for one in self.measurements],
        }


def load(path: Path) -> Run:
    """Read a report's JSON; raises SpecError for what isn't one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise SpecError(f"{path} has format {data['format']}, this nodisk reads {FORMAT}")
        measures = [one for one in data["measures"] if one["name"] in BY_NAME]
        return Run(data["header"], tuple(map(Measurement.from_json, measures)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpecError(
            f"{path} is not a report of nodisk bench: {error!r}", hint="give the .json file beside the .html"
        ) from error
