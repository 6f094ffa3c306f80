"""UIDs of objects as they are stored: found in what Kubernetes writes, and in nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.backup.uids import MAGIC, uid_of

UID = "0d9ca4cf-2d0f-4ab8-9a51-0a2c16b1ef5f"


def field(number: int, content: bytes) -> bytes:
    size, count = b"", len(content)
    while count >= 0x80:
        size, count = size + bytes([count & 0x7F | 0x80]), count >> 7
    return bytes([number << 3 | 2]) + size + bytes([count]) + content


@given(st.text(max_size=300), st.text(max_size=300), st.uuids())
def test_protobuf(name: str, namespace: str, uid: object) -> None:
    owner = field(13, field(4, UID.encode()))
    meta = field(1, name.encode()) + field(3, namespace.encode()) + field(5, str(uid).encode()) + owner
    stored = MAGIC + field(1, field(1, b"v1") + field(2, b"Pod")) + field(2, field(1, meta) + field(2, b"spec"))
    assert uid_of(stored) == str(uid)


def test_json() -> None:
    assert uid_of(json.dumps({"metadata": {"ownerReferences": [{"uid": "x"}], "uid": UID}}).encode()) == UID


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"1", b"k8s\0", MAGIC + field(2, field(1, field(1, b"a")))])
def test_without(value: bytes) -> None:
    assert uid_of(value) is None


@given(st.binary(max_size=60))
def test_anything_is_read_or_has_none(value: bytes) -> None:
    assert uid_of(MAGIC + value) is None or isinstance(uid_of(MAGIC + value), str)
    uid_of(value)
