"""YAML for Kubernetes' programs: bare words mean what they mean to them. Beside kubectl itself: tests/interop/plan."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.errors import SpecError
from nodisk.kube import goyaml, kubeconfig


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        *(("y", True), ("Off", False), ("~", None), ("=", "="), ("1:30", "1:30"), ("2026-13-01", "2026-13-01")),
        *(("08", 8), ("010", 8), ("1e3", 1000), ("0x1f", 31), ("1_0", 10), ("1.5", 1.5), ("1e400", "1e400")),
        *(("'08'", "08"), ('"y"', "y"), ("!!str 1", "1"), ("!!timestamp 2026-01-01", "2026-01-01"), ("<<", "<<")),
    ],
)
def test_words(word: str, meaning: Any) -> None:
    assert goyaml.documents(f"- {word}\n---\na: {word}\n") == [[meaning], {"a": meaning}]


def test_keys_are_texts_and_merges_are_followed() -> None:
    text = "a: &a {1: x, y: z, 1.5: v}\nb: {<<: *a, 08: w}\n"
    first = {"1": "x", "true": "z", "1.5": "v"}
    assert goyaml.documents(text) == [{"a": first, "b": {**first, "8": "w"}}]


@pytest.mark.parametrize(
    "text",
    [
        "a: .inf",
        "{~: a}",
        "{[a]: b}",
        "!!python/object:os.system {}",
        "!!binary aGk=",
        "!!int x",
        "[",
        b"\xff\xfe\xfd",
        "[" * 9999,
    ],
)
def test_what_can_not_be_read(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        goyaml.documents(text)


@given(st.text() | st.binary())
def test_anything_is_read_or_refused(text: str | bytes) -> None:
    """Nothing but ValueError leaves it, and what is read has a form in JSON."""
    found: list[Any] = []
    with contextlib.suppress(ValueError):
        found = goyaml.documents(text)
    assert json.loads(json.dumps(found)) == found


def test_a_kubeconfig_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    for text in ("", "- a", "current-context: [", "current-context: .nan", "a: !!int b"):
        file.write_text(text)
        with pytest.raises(SpecError, match="is not a kubeconfig"):
            kubeconfig.load(file)
    file.write_text("current-context: 5562-93-10\n")
    with pytest.raises(SpecError, match="contexts has no entry named '5562-93-10'"):
        kubeconfig.load(file)
