"""What is in etcd, counted and hashed by resource."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.backup.etcd import Item, census, resource


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (b"/registry/pods/k8s-anna/web", "pods"),
        (b"/registry/services/specs/default/kubernetes", "services/specs"),
        (b"/registry/example.org/lessons/k8s-anna/first", "example.org/lessons"),
        (b"/registry/apiregistration.k8s.io/apiservices/v1.", "apiregistration.k8s.io/apiservices"),
        (b"/registry/namespaces/default", "namespaces"),
        (b"compact_rev_key", "other"),
        (b"\xff/registry", "other"),
    ],
)
def test_resource(key: bytes, name: str) -> None:
    assert resource(key) == name


ITEMS = st.lists(
    st.builds(
        Item,
        st.binary(max_size=4).map(lambda tail: b"/registry/pods/a/" + tail),
        st.binary(max_size=4),
        st.integers(1, 9),
        st.just(0),
    ),
    unique_by=lambda item: item.key,
    max_size=4,
)


@given(ITEMS, ITEMS)
def test_two_contents_never_look_the_same(one: list[Item], other: list[Item]) -> None:
    assert (census(iter(one)) == census(iter(other))) == (one == other)


def test_what_expires_by_itself_is_not_counted() -> None:
    item = Item(b"/registry/events/a/b", b"x", 1, 7)
    assert census(iter([item])) == {}
