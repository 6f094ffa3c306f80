"""Lists of specs, what is chosen of them, and the pieces in which they run."""

from __future__ import annotations

import contextlib
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodisk.conformance import specs
from nodisk.conformance.specs import Spec
from nodisk.errors import IntegrityError, UsageError

WORDS = st.lists(
    st.sampled_from(
        ["[sig-node]", "[Serial]", "[Disruptive]", "should", "a.b", "(root,0644)", "c*", "d+", "$x", "y\\z"]
    ),
    min_size=1,
    max_size=8,
)
NAMES = WORDS.map(lambda words: " ".join([*words, specs.TAG]))


def test_reads_the_list_that_the_source_has() -> None:
    text = """\
- testname: Pod Lifecycle
  codename: '[k8s.io] Container Lifecycle Hook when create a pod
    should run [NodeConformance] [Conformance]'
  release: v1.9
- codename: '[sig-apps] A [Serial] [Conformance]'
- codename: '[sig-apps] A [Serial] [Conformance]'
"""
    found = specs.parse(text)
    assert [spec.name for spec in found] == [
        "[k8s.io] Container Lifecycle Hook when create a pod should run [NodeConformance] [Conformance]",
        "[sig-apps] A [Serial] [Conformance]",
    ]
    assert [spec.apart for spec in found] == [False, True]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a: 1", "- 1", "- {codename: 2}", "- {codename: other}", "[", "\x00", "- !!python/name:os.system x"],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        specs.parse(text)


def test_a_huge_list_is_refused() -> None:
    with pytest.raises(IntegrityError, match="bytes"):
        specs.parse("#" * (specs.MAX_LIST + 1))


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(IntegrityError):
        specs.parse(text)


@given(st.sets(NAMES, min_size=1))
def test_what_is_written_is_read(names: set[str]) -> None:
    assert {spec.name for spec in specs.parse(yaml.safe_dump([{"codename": name} for name in names]))} == names


@given(st.sets(NAMES, min_size=1), st.integers(1, 5))
def test_pieces_hold_every_spec_once_and_the_serial_ones_last(names: set[str], size: int) -> None:
    found = specs.pieces(map(Spec, sorted(names)), size=size)
    flat = [spec for piece in found for spec in piece]
    assert sorted(spec.name for spec in flat) == sorted(names)
    assert all(0 < len(piece) <= size and len({spec.apart for spec in piece}) == 1 for piece in found)
    order = [(spec.disruptive, spec.apart) for spec in flat]
    assert order == sorted(order)


@given(st.sets(NAMES, min_size=1, max_size=5), NAMES)
def test_the_focus_matches_its_specs_and_no_other(names: set[str], other: str) -> None:
    """Python's syntax and Go's are the same for what is used of them."""
    focus = specs.focus_of(map(Spec, sorted(names)))
    for name in names:
        assert re.search(focus, f"Kubernetes e2e suite {name}")
        assert re.search(focus, f"Kubernetes e2e suite [Top Level] {name.replace(' ', '  ')}")
    if not any(f" {other}".endswith(f" {name}") for name in names):
        assert not re.search(focus, f"Kubernetes e2e suite {other}")


def test_the_specs_of_network_policy() -> None:
    deny = "[sig-network] NetworkPolicy should deny [Feature:NetworkPolicy]"
    sctp = "[sig-network] NetworkPolicy [Feature:SCTPConnectivity] by SCTP [Feature:NetworkPolicy]"
    assert specs.policies([sctp, deny, "[sig-apps] x [Conformance]", deny]) == (Spec(deny),)
    with pytest.raises(IntegrityError, match="no spec"):
        specs.policies([sctp, "BeforeSuite"])
    assert specs.pieces([Spec(deny), Spec(sctp)]) == [(Spec(sctp),), (Spec(deny),)]


def test_modes_and_focus() -> None:
    whole = [Spec(f"[sig-{name}] should work [Conformance]") for name in ("apps", "node")]
    quick = Spec("[sig-network] Services should serve a basic endpoint from pods  [Conformance]")
    assert specs.choose([*whole, quick], mode="certified") == (*whole, quick)
    assert specs.choose([*whole, quick], mode="quick") == (quick,)
    assert specs.choose([*whole, quick], mode="quick", focus=r"\[sig-node\]") == (whole[1],)
    with pytest.raises(UsageError, match="none of the release's 2 specs"):
        specs.choose(whole, mode="certified", focus="nothing")
    with pytest.raises(UsageError, match="not a regular expression"):
        specs.choose(whole, mode="certified", focus="(")
