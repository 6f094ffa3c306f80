"""A creation that was sent twice, because its answer was lost: what is there is taken for ours only if it can be."""

from __future__ import annotations

from typing import Any

import pytest

from nodisk.kube.ours import made_by_us

WANTED = {"metadata": {"name": "a", "labels": {"nodisk/class": "k8s"}}}


def there(manager: str, labels: dict[str, str] | None) -> dict[str, Any]:
    return {"metadata": {"name": "a", "uid": "1", "labels": labels, "managedFields": [{"manager": manager}]}}


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (there("nodisk", {"nodisk/class": "k8s", "kubernetes.io/metadata.name": "a"}), True),
        (there("kubectl-create", {"nodisk/class": "k8s"}), False),
        (there("nodisk", {"nodisk/class": "other"}), False),
        (there("nodisk", None), False),
        ({"metadata": {"name": "a"}}, False),
    ],
)
def test_what_is_taken_for_our_own(found: dict[str, Any], ours: bool) -> None:
    assert made_by_us(WANTED, found) == ours
