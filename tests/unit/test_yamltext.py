"""What nodisk writes as YAML is what its readers get, whichever rules they go by. Go's readers: tests/interop/plan."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from nodisk import yamltext, yamltree
from nodisk.spec.document import data_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
# Words that one reader or another takes for a number, a date, a truth value, nothing, or a mark of YAML's own.
WORDS = ["112", "08", "0x1f", "0o17", "0b1", "1e3", "1_000", "1:30", "2026-01-01", "1.10", "-1", "+1", ".5", ".inf"]
WORDS += ["", "~", "null", "Null", "yes", "No", "on", "OFF", "y", "n", "true", "=", "<<", "-", "?", "#", "a: b", "a #"]
WORDS += ["*a", "&a", "!a", "%a", "@a", "`", "[]", "{}", "|", ">", "'", '"', "---", "...", " a", "a ", "\t", "\\"]


@given(DATA)
@example({word: [word] for word in WORDS})
@example({"k" * 200: "v" * 2000 + " " + "w" * 2000})
def test_what_is_written_is_what_is_read(data: Any) -> None:
    assert yaml.safe_load(yamltext.dump(data)) == data
    assert list(yaml.safe_load_all(yamltext.dump_all([{"a": data}, data, [data]]))) == [{"a": data}, data, [data]]


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12))
@example({word: [word] for word in WORDS})
def test_no_text_is_left_to_a_reader_s_rules(texts: Any) -> None:
    """All are quoted, but for keys that are plain words."""
    events = yaml.parse(yamltext.dump(texts), Loader=yaml.SafeLoader)
    for event in events:
        if isinstance(event, yaml.ScalarEvent) and not event.style:
            assert event.value.isascii()
            assert event.value[0].isalpha()
            assert event.value not in WORDS


@given(TEXTS)
@example("2026")
@example("é😀\x7f\u2028")
def test_a_text_inside_of_a_line(text: str) -> None:
    root, problems = yamltree.parse(f"name: {yamltext.scalar(text)}   # a remark\n")
    assert (data_of(root), problems) == ({"name": text}, [])
    assert yaml.safe_load(f"- {yamltext.scalar(text)}   # a remark\n") == [text]


@pytest.mark.parametrize("word", WORDS)
def test_only_plain_words_are_bare(word: str) -> None:
    assert yamltext.scalar(word).startswith('"')


def test_the_form() -> None:
    class Colour(StrEnum):
        RED = "red"

    part = {"a": "1"}
    text = yamltext.dump({"kind": Colour.RED, "08": part, "list": [part, {"b": []}], "n": 2})
    assert text == 'kind: "red"\n"08":\n  a: "1"\nlist:\n- a: "1"\n- b: []\n"n": 2\n'
    assert yamltext.scalar("enp3s0") == "enp3s0"


def test_what_is_no_plain_data_is_refused() -> None:
    with pytest.raises(yaml.representer.RepresenterError):
        yamltext.dump({"path": Path("/x")})


def test_nobody_else_writes_yaml() -> None:
    source = Path(yamltext.__file__).parent
    found = [
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if any(name in path.read_text(encoding="utf-8") for name in ("yaml.dump", "safe_dump", "yaml.serialize"))
    ]
    assert found == ["yamltext.py"]
