"""Which restored objects an API server must serve, and how two censuses differ."""

from __future__ import annotations

import pytest

from nodisk.backup.etcd import Count, Item
from nodisk.backup.prove import differences, lasts


@pytest.mark.parametrize(
    ("key", "value", "lease", "stays"),
    [
        (b"/registry/pods/k8s-anna/web", b"", 0, True),
        (b"/registry/leases/kube-node-lease/w1", b"", 0, True),
        (b"/registry/leases/kube-system/apiserver-abcd", b"", 0, False),
        (b"/registry/events/k8s-anna/web.1", b"", 7, False),
        (b"/registry/apiregistration.k8s.io/apiservices/v1.a", b"kube-aggregator.kubernetes.io/automanaged", 0, False),
    ],
)
def test_what_an_api_server_leaves_as_it_is(key: bytes, value: bytes, lease: int, stays: bool) -> None:
    assert lasts(Item(key, value, 1, lease)) is stays


def test_differences() -> None:
    one, other, two = Count(count=1, sha256="a"), Count(count=1, sha256="b"), Count(count=2, sha256="a")
    wanted, found = {"a": one, "b": one, "c": one, "d": one}, {"a": one, "b": other, "c": two, "e": one}
    assert list(differences(wanted, found)) == [
        "b: other content",
        "c: 2 instead of 1",
        "d: 0 instead of 1",
        "e: 1 instead of 0",
    ]
