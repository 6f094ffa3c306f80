"""Generated documents, and what Butane 0.29.0 and ct made of them, recorded once: see answers.md.

A refused document has no hash. That of an accepted one is over a normal form in which compressed content is
decompressed, because compressors differ; whether content is compressed at all is part of it.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import lzma
import zlib
from pathlib import Path
from typing import Any

import pytest

from nodisk.butane import clc, deflate, resources, translate


def recorded(name: str) -> list[dict[str, Any]]:
    data = Path(__file__).with_name(f"{name}.jsonl.xz").read_bytes()
    return [json.loads(line) for line in lzma.decompress(data).split(b"\n") if line]


def unpacked(value: Any) -> Any:
    """The same, with compressed content replaced by what it expands to."""
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: unpacked(item) for key, item in value.items()}
    source = out.get("source")
    if out.get("compression") == "gzip" and isinstance(source, str) and source.startswith("data:;base64,"):
        try:
            content = gzip.decompress(base64.b64decode(source.removeprefix("data:;base64,")))
        except (binascii.Error, OSError, EOFError, zlib.error):
            return out  # the user's own words, and no gzip
        out["source"] = ["gzip", content.hex()]
    return out


def digest(config: str) -> str:
    """Sixteen digits that tell one meaning from another."""
    return hashlib.sha256(json.dumps(unpacked(json.loads(config)), sort_keys=True).encode()).hexdigest()[:16]


@pytest.mark.parametrize("to", ["", "2.1.0", "2.2.0", "2.3.0"])
def test_the_same_answer(to: str) -> None:
    """All of one target in one test: a test for each of thousands would take longer than the translations."""
    asked = [answer for answer in recorded("answers") if answer["to"] == to]
    assert len(asked) >= 400
    wrong = []
    for answer in asked:
        result = clc.translate(answer["text"], to=to) if to else translate(answer["text"])
        found = digest(result.json()) if result.ignition is not None else None
        if found != answer["hash"]:
            wrong.append((answer["text"], answer["hash"], result.json() or str(result.report)))
    assert not wrong, f"{len(wrong)} of {len(asked)} differ, the first: {wrong[0]}"


def test_there_are_enough_of_both_kinds() -> None:
    verdicts = [answer["hash"] is not None for answer in recorded("answers")]
    assert len(verdicts) >= 3000
    assert verdicts.count(True) >= 1500
    assert verdicts.count(False) >= 1000


def test_compressed_where_butane_does() -> None:
    texts = recorded("compression")
    assert len(texts) >= 1000
    chosen = [resources.data_url(one["text"].encode(), None)[1] == "gzip" for one in texts]
    wrong = [one for one, gzipped in zip(texts, chosen, strict=True) if gzipped != bool(one["gzip"])]
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]}"


def test_the_length_that_butane_reaches() -> None:
    packed = [one for one in recorded("compression") if one["gzip"]]
    assert len(packed) >= 300
    assert [deflate.size(one["text"].encode()) + 18 for one in packed] == [one["gzip"] for one in packed]
