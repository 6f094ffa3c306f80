"""The length of compressed data, computed: for texts that Butane compressed, see the golden tests."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.butane import deflate, resources


def by_zlib(data: bytes) -> int:
    """The length with zlib, ended by an empty block as well."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return len(squeezer.compress(data) + squeezer.flush(zlib.Z_SYNC_FLUSH))


@settings(deadline=None)  # the host may be busy
@given(st.binary(max_size=300) | st.text("abc \n", max_size=300).map(str.encode))
def test_close_to_zlib(data: bytes) -> None:
    assert abs(deflate.size(data) - by_zlib(data)) <= 8 + len(data) // 20


@pytest.mark.parametrize("data", [b"", b"a", b"a" * 1000, bytes(range(256)) * 4, b"abcd" * 400 + b"x" * 258])
def test_edges(data: bytes) -> None:
    assert abs(deflate.size(data) - by_zlib(data)) <= 8


@settings(deadline=None)  # the host may be busy
@given(st.binary(max_size=400))
def test_content_comes_back(data: bytes) -> None:
    url, compression = resources.data_url(data, None)
    assert compression in ("", "gzip")
    assert (compression == "gzip") == url.startswith("data:;base64,H4sI") or b"\x1f\x8b" in data
