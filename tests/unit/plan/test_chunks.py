"""The chunk manifest's text."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.plan import chunks


@given(tail=st.binary(min_size=1, max_size=100), whole=st.integers(0, 3))
def test_each_chunk_has_its_hash(tail: bytes, whole: int) -> None:
    data = bytes(whole * chunks.SMALLEST) + tail
    head, *lines = chunks.manifest(io.BytesIO(data).read, len(data)).splitlines()
    assert head == f"nodisk-chunks 1 {chunks.SMALLEST} {len(data)} {hashlib.sha256(data).hexdigest()}"
    pieces = [data[at : at + chunks.SMALLEST] for at in range(0, len(data), chunks.SMALLEST)]
    assert lines == [hashlib.sha256(piece).hexdigest() for piece in pieces]


@given(size=st.integers(1, 1 << 40))
def test_no_file_has_more_chunks_than_the_program_reads(size: int) -> None:
    step = chunks.chunk_size(size)
    assert -(-size // step) <= chunks.MOST
    assert step == chunks.SMALLEST or size > step // 2 * chunks.MOST


@pytest.mark.parametrize("size", [0, 4, 6])
def test_another_size_than_the_file_has_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"empty|ends after|more than"):
        chunks.manifest(io.BytesIO(b"12345").read, size)
