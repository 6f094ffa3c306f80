"""The one way by which a class's objects get into the cluster, and out of it again.

Everything is applied (server-side apply), so doing it again completes what was begun; the client repeats each request
until the command's deadline. What is the whole class's comes first, then its students and teachers side by side, and of
each one object after the other, as ``desired`` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from nodisk.classes.desired import owner
from nodisk.classes.manifests import QUOTA, TEACHERS
from nodisk.classes.sizes import amount
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Forbidden, Invalid, NotFound
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.waiting import Deadline

WORKERS = 16
QUOTA_COUNTED = 15.0
"""Seconds that the quota controller may take to count a young namespace."""

R = TypeVar("R")


def apply(
    client: Client, objects: Iterable[Object], then: Callable[[str, list[Object]], R]
) -> dict[str, R | Exception]:
    """Apply objects; returns by owner's label what ``then`` made of them, or how they failed.

    ``then`` gets the label and what is there now, once all of that owner's are. Who fails doesn't keep the others from
    being made; what is the whole class's is what they all need, so its failure is raised.
    """
    groups = _by_owner(objects)
    common = groups.pop("", [])
    spaces = [obj for obj in common if obj["kind"] == "Namespace"]
    for stage in (spaces, [obj for obj in common if obj not in spaces]):
        all_or_raise(in_parallel(lambda obj: _put(client, obj), stage))

    def one(label: str) -> R:
        return then(label, [_put(client, obj) for obj in groups[label]])

    return dict(zip(groups, in_parallel(one, groups, workers=WORKERS), strict=True))


def delete(client: Client, objects: Iterable[Object]) -> None:
    """Delete objects, each owner's in the order given; what isn't there is no failure."""

    def one(obj: Object) -> bool:
        meta = obj["metadata"]
        return client.delete(obj["apiVersion"], obj["kind"], meta["name"], namespace=meta.get("namespace"))

    all_or_raise(in_parallel(lambda group: [one(obj) for obj in group], _by_owner(objects).values()))


def _by_owner(objects: Iterable[Object]) -> dict[str, list[Object]]:
    groups: dict[str, list[Object]] = {}
    for obj in objects:
        groups.setdefault(owner(obj), []).append(obj)
    return groups


def _put(client: Client, obj: Object) -> Object:
    """Apply one object; returns what is there then."""
    special = {"RoleBinding": _binding, "PersistentVolume": _volume, "PersistentVolumeClaim": _claim}.get(obj["kind"])
    return client.apply(obj) if special is None else special(client, obj)


def _binding(client: Client, wanted: Object) -> Object:
    """A binding whose role changed can't be updated, so it is recreated.

    In a namespace that is gone, or going without it, nobody has a right: that is what was wanted for who is suspended,
    and no failure of a teacher's.
    """
    meta = wanted["metadata"]
    try:
        try:
            return client.apply(wanted)
        except Invalid:
            client.delete(wanted["apiVersion"], wanted["kind"], meta["name"], namespace=meta["namespace"])
            return client.apply(wanted)
    except (NotFound, Forbidden) as error:
        # Only what isn't there is refused so: in a namespace that is going nothing is made, but things change.
        gone = isinstance(error, NotFound) or "being terminated" in error.message
        if gone and (meta["name"] == TEACHERS or not wanted["subjects"]):
            return wanted
        raise


def _volume(client: Client, wanted: Object) -> Object:
    """A PersistentVolume that is bound to a claim that is no more is released: the same files can be claimed again."""
    made = client.apply(wanted)
    bound = made["spec"]["claimRef"]
    claims = client.list("v1", "PersistentVolumeClaim", namespace=bound["namespace"], metadata_only=True)
    if bound.get("uid") not in {None, *(claim["metadata"]["uid"] for claim in claims)}:
        gone = {"uid": None, "resourceVersion": None}
        client.patch("v1", "PersistentVolume", wanted["metadata"]["name"], {"spec": {"claimRef": gone}})
    return made


def _claim(client: Client, wanted: Object) -> Object:
    """A claim that was deleted by the student comes back, and grows."""
    made = _counted(client, wanted)
    status, asked = made.get("status") or {}, wanted["spec"]["resources"]["requests"]["storage"]
    capacity = (status.get("capacity") or {}).get("storage")
    if status.get("phase") == "Bound" and capacity is not None and amount(capacity) < amount(asked):
        # What grows a volume says so in the claim's status; here that is nodisk (the server grew it before).
        name, space = wanted["metadata"]["name"], wanted["metadata"]["namespace"]
        path = client.path("v1", "PersistentVolumeClaim", name, namespace=space, subresource="status")
        grown = {"status": {"capacity": {"storage": asked}}}
        client.request("PATCH", path, body=grown, content_type="application/merge-patch+json", idempotent=True)
    return made


def _counted(client: Client, claim: Object) -> Object:
    """Apply a claim once the quota controller has been at the namespace.

    One that is admitted before the quota is known is in nobody's count, and would leave room for one more.
    """
    deadline = Deadline(QUOTA_COUNTED)
    while True:
        late = deadline.passed
        quota = client.get("v1", "ResourceQuota", QUOTA, namespace=claim["metadata"]["namespace"])
        try:
            if late or "persistentvolumeclaims" in (quota.get("status") or {}).get("used", {}):
                return client.apply(claim)
        except Forbidden as error:
            # Not counted yet, or it has not been seen yet that the quota has grown.
            if late or "quota" not in error.message:
                raise
        deadline.pause(0.1)
