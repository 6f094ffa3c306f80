"""Whether an object that is there is the one that was sent, when the answer to the first attempt was lost. Pure."""

from __future__ import annotations

from nodisk.kube.transport import Object

FIELD_MANAGER = "nodisk"
"""The name under which nodisk applies."""


def made_by_us(wanted: Object, there: Object) -> bool:
    """Whether an existing object can come from an earlier attempt to create ``wanted``: nodisk's, with the same marks.

    The rest can't be compared: the API server adds defaults and normalises quantities.
    """
    asked, found = wanted["metadata"], there["metadata"]
    managers = {field.get("manager") for field in found.get("managedFields") or []}
    marks = ("labels", "annotations")
    alike = all((asked.get(mark) or {}).items() <= (found.get(mark) or {}).items() for mark in marks)
    return FIELD_MANAGER in managers and alike


def says(obj: Object) -> Object:
    """The parts of an object that a user writes, without what the API server adds."""
    kept = {"name", "namespace", "labels", "annotations", "finalizers"}
    meta = {key: value for key, value in obj["metadata"].items() if key in kept}
    return {key: value for key, value in obj.items() if key != "status"} | {"metadata": meta}
