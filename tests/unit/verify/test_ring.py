"""Whom a ring's pods try to reach, and what is made of their answers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.classes.capacity import Enforcer
from nodisk.verify import ring
from nodisk.verify.ring import Answers, Seen, Way

POLICIES = Enforcer("kube-network-policies", "kube-system", "example/kube-network-policies:v1.1.0", 3, 3)
NODES = ["w1", "w2", "w3"]


def ways(nodes: list[str], dead: Collection[str] = (), *, unreachable: Collection[str] = ()) -> list[Way]:
    """What a ring's pods see. A packet is dropped by either end's node, unless that is ``dead``."""
    sitting = ring.seats(nodes)
    answers: list[Answers | None] = []
    for number, node in enumerate(sitting):
        after = sitting[(number + 1) % len(sitting)]
        way = node not in unreachable and after not in unreachable
        here = node in dead and node not in unreachable
        across = way and node in dead and after in dead
        answers.append(Answers(mine=way, theirs=way, here=here, across=across))
    return ring.ways(sitting, answers)


@given(st.integers(0, 200), st.integers(1, 20))
def test_rings_hold_every_node_once_and_are_of_about_one_size(count: int, most: int) -> None:
    nodes = [f"w{number}" for number in range(count)]
    found = ring.rings(nodes, most)
    assert [node for one in found for node in one] == nodes
    sizes = {len(one) for one in found}
    assert not sizes or (max(sizes) <= most and max(sizes) - min(sizes) <= 1)


def test_forty_workers_never_have_more_than_32_pods_at_once() -> None:
    assert [len(one) for one in ring.rings([str(n) for n in range(40)])] == [13, 13, 14]


@given(st.integers(1, ring.MOST).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_exactly_the_nodes_that_do_not_enforce_are_named(drawn: tuple[int, set[int]]) -> None:
    count, numbers = drawn
    nodes, dead = [f"w{number:02d}" for number in range(count)], sorted(f"w{number:02d}" for number in numbers)
    found = ways(nodes, dead)
    assert ring.enforces_not(found) == dead
    assert ring.finding("s01", found, {}, POLICIES).verdict == ("hole" if dead else "ok")
    assert {way.source for way in found} == {way.target for way in found} == set(nodes)


def test_one_node_that_does_not_enforce_is_told_by_its_own_pair_only() -> None:
    found = ways(NODES, ["w2"])
    assert [str(way) for way in found if way.seen is Seen.OPEN] == ["on w2"]
    told = ring.finding("s01", found, {}, POLICIES).happened
    assert told == "allowed, although kube-network-policies (example/kube-network-policies:v1.1.0) runs: on w2"


def test_the_ends_are_named_where_only_the_way_between_them_is_open() -> None:
    shut = [Way(node, node, Seen.SHUT) for node in NODES]
    assert ring.enforces_not([*shut, Way("w3", "w1", Seen.OPEN)]) == ["w1", "w3"]


def test_kept_apart_everywhere() -> None:
    found = ring.finding("s01", ways(NODES), {}, POLICIES)
    assert found.verdict == "ok"
    assert "failed on w1, w2, w3 and from each to the next" in found.happened


def test_the_only_node_has_two_pairs() -> None:
    assert ring.seats(["w1"]) == ["w1", "w1"]
    (way,) = ways(["w1"])
    assert way == Way("w1", "w1", Seen.SHUT)
    assert "from each" not in ring.finding("s01", [way], {}, POLICIES).happened


def test_nothing_that_enforces_is_a_gap() -> None:
    found = ring.finding("s01", ways(NODES, NODES), {"w4": "late"}, None)
    assert found.verdict == "gap"
    assert "allowed on w1, from w1 to w2, on w2," in found.happened


@pytest.mark.parametrize("broken", [["w1"], ["w1", "w2"], NODES])
def test_a_broken_network_isolates_nobody(broken: list[str]) -> None:
    found = ring.finding("s01", ways(NODES, unreachable=broken), {}, POLICIES)
    assert found.verdict == "untried"
    assert "the pods' network is broken" in found.happened


def test_an_open_way_counts_even_where_others_are_broken_or_late() -> None:
    found = ring.finding("s01", ways(NODES, ["w3"], unreachable=["w1"]), {"w4": "the pod does not run"}, POLICIES)
    assert found.verdict == "hole"
    assert found.happened.endswith("runs: on w3")


def test_a_node_on_which_nobody_could_try_is_named_with_the_reason() -> None:
    found = ring.finding("s01", ways(NODES), {"w4": "Insufficient memory"}, POLICIES)
    assert (found.verdict, found.happened) == ("untried", "not tested: on w4 (Insufficient memory)")


def test_pods_that_could_not_be_asked_show_nothing_of_their_neighbours_either() -> None:
    good = Answers(mine=True, theirs=True, here=False, across=False)
    found = ring.ways(NODES, [good, None, good])
    assert {str(way) for way in found if way.seen is Seen.BROKEN} == {"on w2", "from w2 to w3", "on w3"}


def test_both_pairs_of_the_only_node_count() -> None:
    good = Answers(mine=True, theirs=True, here=False, across=False)
    found = ring.ways(["w1", "w1"], [good, replace(good, across=True)])
    assert ring.enforces_not(found) == ["w1"]


def test_a_room_s_ways_fit_a_line() -> None:
    nodes = [f"w{number}" for number in range(16)]
    told = ring.finding("s01", ways(nodes, nodes), {}, POLICIES).happened
    assert told.endswith(" and 24 more")
