"""What differs is what somebody changed, and not what a controller writes while it is looked at."""

from typing import cast

from nodisk.classes import drift
from nodisk.kube.client import Client, Object

WANTED: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "jan", "namespace": "ids"}}


class Changing:
    """An object that each reading finds in the next of ``versions``; applying changes nothing but ``fixed``."""

    def __init__(self, *versions: Object, fixed: Object | None = None) -> None:
        self.versions = [
            {**WANTED, **version, "metadata": {**WANTED["metadata"], "resourceVersion": str(number)}}
            for number, version in enumerate(versions)
        ]
        self.at, self.fixed = -1, fixed or {}

    def get(self, *_: object, **__: object) -> Object:
        self.at = min(self.at + 1, len(self.versions) - 1)
        return self.versions[self.at]

    def apply(self, _: Object, *, dry_run: bool) -> Object:
        assert dry_run
        return {**self.versions[min(self.at + 1, len(self.versions) - 1)], **self.fixed}


def compared(changing: Changing) -> drift.Difference | None:
    return drift.compare(cast(Client, changing), WANTED)


def test_a_controller_that_writes_meanwhile_is_no_difference() -> None:
    assert compared(Changing({}, {"secrets": [{"name": "jan-token"}]})) is None


def test_what_applying_would_change_is_one() -> None:
    changing = Changing({"secrets": []}, fixed={"automountServiceAccountToken": False})
    assert compared(changing) == drift.Difference("ids", "ServiceAccount jan", "changed: automountServiceAccountToken")


def test_both_at_once_is_one_too() -> None:
    changing = Changing({}, {"secrets": [{"name": "jan-token"}]}, fixed={"automountServiceAccountToken": False})
    assert compared(changing) == drift.Difference("ids", "ServiceAccount jan", "changed: automountServiceAccountToken")
