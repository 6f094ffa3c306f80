"""Parts of several configurations: what is kept of them changes nothing in them."""

from __future__ import annotations

from urllib.parse import quote

import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodisk.plan import documents

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.text())
def test_a_file_is_quoted_as_a_whole(text: str) -> None:
    """Line by line, which must not show: also not where Python sees the end of a line and nobody else does."""
    assert documents.file("/x", text)["contents"]["source"] == "data:," + quote(text, safe="/:=,")


@given(st.dictionaries(st.text("abc", min_size=1), JSON, max_size=3))
def test_documents_hold_what_was_given(given_: dict[str, object]) -> None:
    assert yaml.safe_load(documents.documents(given_)) == given_


def test_numbers_and_words_are_not_taken_for_each_other() -> None:
    found = [documents.documents({"a": value}).removeprefix(documents.HEADER) for value in (1, "1", True, "true", 1.0)]
    assert found == ["a: 1\n", 'a: "1"\n', "a: true\n", 'a: "true"\n', "a: 1.0\n"]
