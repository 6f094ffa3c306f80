"""Changes between two runs, and whether they are more than noise. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodisk.bench.measures import BY_NAME, Better, Judge
from nodisk.bench.result import Measurement, Run, Series
from nodisk.bench.stats import SMALLEST_CHANGE, mann_whitney, percentile


@dataclass(frozen=True, slots=True)
class Change:
    """One measure (or one series of it) in both runs."""

    name: str
    labels: dict[str, str]
    before: float | None
    after: float | None
    p_value: float | None
    """None: too few samples on one side to distinguish change from noise."""
    word: str
    """better, worse, same, unsure, only before, only after."""


def compare(before: Run, after: Run) -> list[Change]:
    """Each measure and each of its series, in the order of the definitions."""
    changes = []
    for name in dict.fromkeys(one.name for one in (*before.measurements, *after.measurements)):
        old, new = before.get(name), after.get(name)
        was, now = None if old is None else old.value, None if new is None else new.value
        if old is None or new is None or was is None or now is None:
            if was is not None or now is not None:
                changes.append(Change(name, {}, was, now, None, "only before" if now is None else "only after"))
            continue
        old, new = _pooled(old), _pooled(new)
        changes.append(_change(name, {}, (_all(old), was), (_all(new), now)))
        olds = {_key(one): one for one in old.series}
        for series in new.series if len(new.series) > 1 else ():
            match = olds.get(_key(series))
            was, now = None if match is None else _typical(match), _typical(series)
            if match is not None and was is not None and now is not None:
                changes.append(_change(name, series.labels, (match, was), (series, now)))
    return changes


def against(baseline: Run, run: Run) -> dict[str, Change]:
    """Measures that only a baseline judges → their changes, each as a whole."""
    return {
        one.name: one
        for one in compare(baseline, run)
        if not one.labels and one.word != "only before" and BY_NAME[one.name].judge is Judge.BASELINE
    }


def _pooled(measurement: Measurement) -> Measurement:
    """Single values of nodes are samples of what they have in common: the stage of a boot, the kind of RAM."""
    values: dict[tuple[tuple[str, str], ...], list[float]] = {}
    rest = []
    for one in measurement.series:
        if one.value is None or one.samples or "node" not in one.labels:
            rest.append(one)
        else:
            common = tuple((key, word) for key, word in one.labels.items() if key not in ("node", "start"))
            values.setdefault(common, []).append(one.value)
    pooled = [Series(dict(common), tuple(found)) for common, found in values.items()]
    return replace(measurement, series=(*rest, *pooled))


def _key(series: Series) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(series.labels.items()))


def _typical(series: Series) -> float | None:
    if series.histogram is not None:
        return series.histogram.percentile(0.5) if series.histogram.n else None
    return percentile(series.samples, 0.5) if series.samples else series.value


_HEADLINE: dict[str, dict[str, str]] = {
    "pod_start_p99": {"phase": "total"},
    "pod_start_cold": {"phase": "total"},
    "svc_program_p99": {},
    "net_tcp": {"path": "pod–pod", "streams": "1"},
    "net_rtt": {"path": "pod–pod"},
    "memory_at_ready": {"kind": "available"},
}
"""Which of a measure's series its value is of; a measure of other unlike series (by resource, by stage) has no such."""


def _all(measurement: Measurement) -> Series:
    """All samples together that the measure's value is of."""
    series, labels = measurement.series, _HEADLINE.get(measurement.name)
    if len(series) == 1:
        return series[0]
    if labels is None:
        return Series()
    whole = [one for one in series if labels.items() <= one.labels.items()] or series
    return Series({}, tuple(sample for one in whole for sample in one.samples))


def _change(name: str, labels: dict[str, str], old: tuple[Series, float], new: tuple[Series, float]) -> Change:
    before, after = old[1], new[1]
    lower = BY_NAME[name].better is Better.LOWER
    small = before == after or (before != 0 and abs(after / before - 1) < SMALLEST_CHANGE)
    found = mann_whitney(old[0].weighted(), new[0].weighted())
    if small or (found.enough and not found.real):
        word = "same"
    elif found.enough:
        word = "better" if (after < before) is lower else "worse"
    else:
        word = "unsure"
    return Change(name, labels, before, after, found.p_value if found.enough else None, word)
