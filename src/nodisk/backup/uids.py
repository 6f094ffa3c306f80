"""The UID of an object as Kubernetes stores it in etcd: protobuf for its own kinds, JSON for custom ones. Pure.

Source: k8s.io/apimachinery ``runtime.Unknown`` (field 2: the object), ``metav1.ObjectMeta`` (field 1 of every object;
in it field 5: ``uid``), behind the four bytes ``k8s\\0``.
"""

from __future__ import annotations

import contextlib
import json

MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def uid_of(value: bytes) -> str | None:
    """The object's own UID; None for what has none (ranges of addresses), or isn't an object."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        if not value.startswith(MAGIC):
            uid = json.loads(value)["metadata"]["uid"]
            return uid if isinstance(uid, str) and uid else None
        metadata = _field(_field(value[len(MAGIC) :], 2), 1)
        return _field(metadata, 5).decode() or None
    return None


def _field(message: bytes, wanted: int) -> bytes:
    """The first field of this number, of type "bytes"; raises KeyError, or ValueError for what is no message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        elif kind == _BYTES:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("a field ends beyond its message")
            if number == wanted:
                return message[at : at + size]
            at += size
        else:
            raise ValueError("a kind of field that proto3 doesn't have")
    raise KeyError(wanted)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("a number ends beyond its message")
        byte, at = message[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is too long")
