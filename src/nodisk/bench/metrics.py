"""The components' own metrics: Prometheus' text format in, histograms by label out. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from nodisk.bench.stats import Histogram, merge
from nodisk.errors import NodiskError

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """One reading of a component's ``/metrics``."""

    histograms: dict[tuple[str, Labels], Histogram] = field(default_factory=dict)

    def since(self, earlier: Scrape) -> Scrape:
        """The difference between two scrapes; a component that restarted in between counts from its restart."""
        return Scrape({key: now.since(earlier.histograms.get(key)) for key, now in self.histograms.items()})

    def histogram(self, name: str, where: Callable[[Mapping[str, str]], bool] = lambda _: True) -> Histogram | None:
        """All series of ``name`` whose labels ``where`` accepts, merged; None: there are none with an observation."""
        found = (
            histogram
            for (family, labels), histogram in self.histograms.items()
            if family == name and where(dict(labels)) and histogram.n
        )
        return merge(found)

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], Histogram]:
        """The series of ``name`` merged by the values of ``labels``; those without an observation are left out."""
        groups: dict[tuple[str, ...], list[Histogram]] = {}
        for (family, pairs), histogram in self.histograms.items():
            if family == name and histogram.n:
                values = dict(pairs)
                groups.setdefault(tuple(values.get(label, "") for label in labels), []).append(histogram)
        merged = {key: merge(group) for key, group in groups.items()}
        return {key: histogram for key, histogram in merged.items() if histogram is not None}


def labelled(scrapes: Mapping[str, Scrape]) -> Scrape:
    """Merge several components' readings; the label ``instance`` keeps their series apart."""
    whole = Scrape()
    for name, scrape in scrapes.items():
        mine = frozenset({("instance", name)})
        whole.histograms.update(
            {(family, labels | mine): found for (family, labels), found in scrape.histograms.items()}
        )
    return whole


def parse(text: str, names: Collection[str]) -> Scrape:
    """Read the histograms ``names`` of a text exposition; others are skipped before they cost time.

    Raises NodiskError for what isn't that format.
    """
    wanted = "\n".join(line for line in text.splitlines() if _family(line) in _with_suffixes(names)) + "\n"
    scrape = Scrape()
    buckets: dict[tuple[str, Labels], dict[float, float]] = {}
    sums: dict[tuple[str, Labels], float] = {}
    try:
        for family in text_string_to_metric_families(wanted):
            for sample in family.samples:
                labels = frozenset((k, v) for k, v in sample.labels.items() if k != "le")
                if family.type != "histogram":
                    continue
                if sample.name.endswith("_bucket"):
                    buckets.setdefault((family.name, labels), {})[float(sample.labels["le"])] = sample.value
                elif sample.name.endswith("_sum"):
                    sums[family.name, labels] = sample.value
        for key, counts in buckets.items():
            bounds = tuple(sorted(counts))
            scrape.histograms[key] = Histogram(bounds, tuple(counts[b] for b in bounds), sums.get(key, math.nan))
    except (ValueError, KeyError) as error:
        raise NodiskError(f"these are not metrics in Prometheus' text format: {error}") from error
    return scrape


def _with_suffixes(names: Collection[str]) -> frozenset[str]:
    return frozenset(name + suffix for name in names for suffix in ("", "_bucket", "_sum", "_count"))


def _family(line: str) -> str:
    if line.startswith("# "):
        words = line.split(" ", 3)
        return words[2] if len(words) > 2 else ""
    return line.split("{", 1)[0].split(" ", 1)[0]
