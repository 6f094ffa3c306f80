"""That the tests of hostile names try what they say."""

from __future__ import annotations

import pytest
from tests.support.hostile import EVIL, Found, whatever_it_is_called


def test_all_of_them_are_tried_and_some_more() -> None:
    tried = set[str]()

    @whatever_it_is_called
    def each(text: str) -> None:
        tried.add(text)

    each()
    assert set(EVIL) < tried


def test_a_page_that_takes_a_name_for_tags_is_found() -> None:
    @whatever_it_is_called
    def unsafe(text: str) -> None:
        assert Found(f"<td>{text}</td>").tags == [("td", ())]

    with pytest.raises((AssertionError, ExceptionGroup)):
        unsafe()
