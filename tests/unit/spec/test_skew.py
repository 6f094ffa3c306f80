"""Which releases a cluster may go to, and by which way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.spec import skew
from nodisk.values import KubeVersion

PATCHES = st.none() | st.integers(0, 20)
VERSIONS = st.builds(KubeVersion, st.just(1), st.integers(20, 40), PATCHES)


def v(text: str) -> KubeVersion:
    return KubeVersion.parse(text)


def test_from_1_31_to_1_36() -> None:
    """The whole way, as a person reads it."""
    assert [str(step) for step in skew.path(v("1.31.4"), v("1.36.1"))] == ["1.32", "1.33", "1.34", "1.35", "1.36.1"]
    assert skew.problem(v("1.31.4"), v("1.36.1")) == (
        "from Kubernetes 1.31.4 to 1.36.1 skips 1.32, 1.33, 1.34, 1.35: API servers go one minor at a time"
    )


@pytest.mark.parametrize(
    ("running", "wanted", "steps"),
    [
        ("1.35.2", "1.36.1", 1),
        ("1.36.1", "1.36.1", 0),
        ("1.36.1", "1.36", 0),  # that line, whichever patch
        ("1.36.1", "1.36.0", 1),  # a patch back is allowed
        ("1.36.0", "1.36.3", 1),
    ],
)
def test_steps_that_are_allowed(running: str, wanted: str, steps: int) -> None:
    assert len(skew.path(v(running), v(wanted))) == steps
    assert skew.problem(v(running), v(wanted)) is None


def test_no_minor_release_back() -> None:
    assert "can't go back from 1.36.1 to 1.35.9" in (skew.problem(v("1.36.1"), v("1.35.9")) or "")
    assert skew.path(v("1.36.1"), v("1.35.9")) == ()


@given(VERSIONS, VERSIONS)
def test_the_way_goes_by_steps_that_are_allowed(running: KubeVersion, wanted: KubeVersion) -> None:
    steps = skew.path(running, wanted)
    assert (skew.problem(running, wanted) is None) == (0 <= wanted.minor - running.minor <= 1)
    here = running
    for step in steps:
        assert skew.problem(here, step) is None
        here = step
    if steps:
        assert here == wanted


@pytest.mark.parametrize(
    ("kubelet", "api", "works"),
    [
        ("1.36.1", "1.36.0", True),
        ("1.33.1", "1.36.0", True),
        ("1.32.1", "1.36.0", False),
        ("1.36.0", "1.35.9", False),
        ("1.25.0", "1.27.0", True),
        ("1.24.0", "1.27.0", False),
        ("1.25.0", "1.28.0", True),
    ],
)
def test_kubelets(kubelet: str, api: str, works: bool) -> None:
    assert (skew.kubelet_problem(v(kubelet), v(api)) is None) == works
