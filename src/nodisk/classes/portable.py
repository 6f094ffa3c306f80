"""An object as the API gives it → what its author could have written: without what this cluster filled in. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from copy import deepcopy
from typing import Any

from nodisk.kube.client import Object

_SERVER_SIDE = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
# Of this cluster: where it is, and who waits for its end.
_HERE = ("namespace", "finalizers", "deletionTimestamp", "deletionGracePeriodSeconds")
_ANNOTATIONS = (
    "batch.kubernetes.io/job-tracking",
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-resizer",
)
_BINDING = "pv.kubernetes.io/"
# The job controller's own, with a name and a uid that the next cluster assigns again.
_JOB_LABELS = tuple(
    f"{prefix}{name}" for prefix in ("", "batch.kubernetes.io/") for name in ("controller-uid", "job-name")
)
# Computed from the pod's class and place; the API server refuses some of it in a pod that is new.
_PLACED = ("ephemeralContainers", "nodeName", "preemptionPolicy", "priority", "serviceAccount")
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
_TOKEN_VOLUME = re.compile(r"kube-api-access-[a-z0-9]{5}|.*-token-[a-z0-9]{5}")


def bare(obj: Object) -> Object:
    """The object without its status and the server's bookkeeping."""
    return {key: value for key, value in obj.items() if key != "status"} | {
        "metadata": _without(obj["metadata"], _SERVER_SIDE)
    }


def portable(obj: Object) -> Object:
    """The object, ready for ``kubectl apply`` in any namespace of another cluster."""
    clean = deepcopy(bare(obj))
    meta = _without(clean["metadata"], _HERE)
    notes = meta.pop("annotations", None) or {}
    if notes := {key: note for key, note in notes.items() if key not in _ANNOTATIONS and not key.startswith(_BINDING)}:
        meta["annotations"] = notes
    clean["metadata"] = meta
    if (of_kind := _BY_KIND.get(obj["kind"])) is not None:
        of_kind(clean)
    return clean


def _without(mapping: dict[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _service(obj: Object) -> None:
    # The cluster's own addresses: elsewhere they belong to somebody else.
    if obj["spec"].get("clusterIP") != "None":
        obj["spec"] = _without(obj["spec"], ("clusterIP", "clusterIPs"))


def _claim(obj: Object) -> None:
    obj["spec"] = _without(obj["spec"], ["volumeName"])


def _job(obj: Object) -> None:
    if obj["spec"].get("manualSelector"):
        return
    obj["spec"] = _without(obj["spec"], ["selector"])
    for meta in (obj["metadata"], obj["spec"]["template"].get("metadata") or {}):
        if "labels" in meta:
            meta["labels"] = _without(meta["labels"] or {}, _JOB_LABELS)


def _pod(obj: Object) -> None:
    spec = obj["spec"] = _without(obj["spec"], _PLACED)
    containers = [one for name in ("containers", "initContainers") for one in spec.get(name) or []]
    mounts = [mount for one in containers for mount in one.get("volumeMounts") or []]
    # Mounted by the API server, unless the student called a volume of their own like that.
    tokens = {m["name"] for m in mounts if m["mountPath"] == _TOKEN_PATH and _TOKEN_VOLUME.fullmatch(m["name"])}
    for holder, field in ((spec, "volumes"), *((one, "volumeMounts") for one in containers)):
        if field in holder:
            holder[field] = [entry for entry in holder[field] or [] if entry["name"] not in tokens]


_BY_KIND: dict[str, Callable[[Object], None]] = {
    "Job": _job,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "Service": _service,
}
