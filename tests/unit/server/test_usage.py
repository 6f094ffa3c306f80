"""kubelet's statistics → metrics.k8s.io."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.kubelets import summary

from nodisk.kube import quantity
from nodisk.server import usage
from nodisk.server.usage import Reading, Usage

AT = datetime(2026, 11, 29, 6, 0, 1, tzinfo=UTC)


def read(document: object) -> Reading:
    return usage.read(json.dumps(document).encode())


def test_a_summary() -> None:
    found = read(summary({("shop", "web-1"): {"web": (1_500_000, 3 << 20), "log": (0, 512)}}))
    assert usage.nodes({"w1": found}) == [
        {
            "kind": "NodeMetrics",
            "apiVersion": "metrics.k8s.io/v1beta1",
            "metadata": {"name": "w1", "creationTimestamp": "2026-11-29T06:00:01Z"},
            "timestamp": "2026-11-29T06:00:01Z",
            "window": "10s",
            "usage": {"cpu": "250000000n", "memory": "1048576Ki"},
        }
    ]
    (pod,) = usage.pods({"w1": found})
    assert pod["metadata"] == {"name": "web-1", "namespace": "shop", "creationTimestamp": "2026-11-29T06:00:01Z"}
    assert pod["containers"] == [
        {"name": "log", "usage": {"cpu": "0n", "memory": "0Ki"}},
        {"name": "web", "usage": {"cpu": "1500000n", "memory": "3072Ki"}},
    ]


def test_a_pod_of_which_something_is_unknown_is_left_out() -> None:
    document = summary({("a", "new"): {"c": (1, 1), "d": (1, 1)}, ("a", "old"): {"c": (1, 1)}, ("a", "none"): {}})
    del document["pods"][0]["containers"][1]["cpu"]["usageNanoCores"]
    assert list(read(document).pods) == [("a", "old")]


def test_only_the_namespace_that_is_meant() -> None:
    found = {"w1": read(summary({("a", "x"): {"c": (1, 1)}, ("b", "x"): {"c": (2, 2)}}))}
    assert [item["metadata"]["namespace"] for item in usage.pods(found, "b")] == ["b"]
    assert usage.pods(found, "") == []


def test_of_a_pod_that_moved_the_later_word_counts() -> None:
    def told(cpu: int, at: datetime) -> Reading:
        return Reading(None, {("a", "x"): {"c": Usage(cpu, 0, at)}})

    later = AT.replace(second=30)
    for readings in ({"w1": told(1, AT), "w2": told(2, later)}, {"w1": told(2, later), "w2": told(1, AT)}):
        (item,) = usage.pods(readings)
        assert item["containers"][0]["usage"]["cpu"] == "2n"


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"node": 1}', b"[" * 100_000, b"\xff", b"9" * 5000])
def test_what_is_no_summary(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"not JSON|no summary"):
        usage.read(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
TIMES = st.sampled_from(["2026-11-29T06:00:01Z", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-01:00", "x", 5])
NUMBERS = st.integers(-5, 1 << 70)


def entry(**more: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    cpu = st.fixed_dictionaries({}, optional={"time": TIMES | JSON, "usageNanoCores": NUMBERS | JSON})
    memory = st.fixed_dictionaries({}, optional={"workingSetBytes": NUMBERS | JSON})
    return st.fixed_dictionaries({}, optional={"cpu": cpu | JSON, "memory": memory | JSON, **more})


WORDS = st.sampled_from(["a", "b"]) | st.text(max_size=4) | JSON
PODS = entry(
    podRef=st.fixed_dictionaries({}, optional={"name": WORDS, "namespace": WORDS}) | JSON,
    containers=st.lists(entry(name=WORDS) | JSON, max_size=3) | JSON,
)


@settings(max_examples=300)
@given(st.fixed_dictionaries({}, optional={"node": entry() | JSON, "pods": st.lists(PODS | JSON, max_size=4) | JSON}))
def test_whatever_a_kubelet_says_becomes_good_objects_or_none(document: dict[str, object]) -> None:
    try:
        found = {"w1": read(document)}
    except ValueError:
        return
    made = [*usage.nodes(found), *usage.pods(found)]
    for item in json.loads(json.dumps(made)):
        datetime.strptime(item["timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert item["metadata"]["name"]
        for used in [item["usage"]] if "usage" in item else [one["usage"] for one in item["containers"]]:
            assert all(0 <= quantity.parse(text) < 1 << 63 for text in used.values())
