"""What people and machines may call things to break out of a page's text, for every test of that."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from html.parser import HTMLParser

from hypothesis import example, given, settings
from hypothesis import strategies as st

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "{{7*7}}{% raw %}",
    "</td></table><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "x\n\nevent: end\ndata: y",
    "x\r\rdata: z\u2028\u0085",
)


def texts(longest: int) -> st.SearchStrategy[str]:
    """Any text of so many characters that UTF-8 has bytes for."""
    return st.text(max_size=longest).map(lambda text: text.encode("utf-8", "replace").decode())


def whatever_it_is_called(test: Callable[[str], None]) -> Callable[[], None]:
    """A test of what one text does to a whole page: with all of ``EVIL``, and with any."""
    checked: Callable[[], None] = settings(max_examples=20, deadline=None)(given(texts(60))(test))
    return reduce(lambda made, text: example(text)(made), reversed(EVIL), checked)


class Found(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
