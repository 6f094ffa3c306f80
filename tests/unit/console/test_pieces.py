"""What of a page has to be sent: whoever applies it has the page as it is now, and no more is sent than that takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodisk.console.pieces import Piece, news

ROWS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(("one", "two", "three")), max_size=4)
HEADS = st.sampled_from(("head", "other"))


def table(head: str, rows: dict[str, str]) -> Piece:
    return Piece("table", _whole(head, rows), rows, head)


def _whole(head: str, rows: dict[str, str]) -> str:
    return head + "".join(f"[{row} {text}]" for row, text in rows.items())


class Page:
    """What a browser has."""

    def __init__(self) -> None:
        self.elements: dict[str, str] = {}
        self.head, self.rows = "", dict[str, str]()

    def take(self, told: list[tuple[str, str]], now: Piece) -> None:
        for element, html in told:
            if element == now.id:
                assert html == now.html
                self.head, self.rows = now.frame, dict(now.rows)
            elif element in self.rows:
                self.rows[element] = html
            else:
                self.elements[element] = html


@given(st.lists(st.tuples(HEADS, ROWS, HEADS), min_size=1, max_size=6))
def test_who_takes_all_news_has_the_page_as_it_is(steps: list[tuple[str, dict[str, str], str]]) -> None:
    page, before = Page(), list[Piece]()
    for head, rows, plain in steps:
        now = [table(head, rows), Piece("plain", plain)]
        page.take(news(before, now), now[0])
        assert _whole(page.head, page.rows) == now[0].html
        assert page.elements == {"plain": plain}
        assert news(now, now) == []
        before = now


def test_of_many_rows_the_one_that_has_changed() -> None:
    rows = {f"row-{number}": "as ever" for number in range(100)}
    other = rows | {"row-7": "new"}
    assert news([table("head", rows)], [table("head", other)]) == [("row-7", "new")]


def test_another_order_of_rows_and_another_frame_are_a_whole_piece() -> None:
    before = table("head", {"a": "1", "b": "2"})
    for now in (table("head", {"b": "2", "a": "1"}), table("other", {"a": "1", "b": "2"}), table("head", {"a": "1"})):
        assert news([before], [now]) == [("table", now.html)]
