"""Every picture that a page names is there and small, and is one of those that tests/vm/test_0_console.py takes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.doc_examples import pages
from tests.support.pictures import FOLDER, MOST_BYTES, PICTURES

_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


def named() -> list[tuple[Path, str, Path]]:
    """Each picture on a page: the page, the words for who can't see it, the file."""
    return [
        (page, words, (page.parent / path).resolve())
        for page in pages()
        for words, path in _PICTURE.findall(page.read_text(encoding="utf-8"))
    ]


def test_what_pages_show_is_what_is_made() -> None:
    assert {file for _, _, file in named()} == {FOLDER / name for name in PICTURES}
    assert {path.name for path in FOLDER.iterdir()} == set(PICTURES)


def test_each_has_words_for_who_cannot_see_it() -> None:
    for page, words, file in named():
        assert len(words) >= 20, f"{page.name}: say what is on {file.name}"


def test_they_are_small_pngs() -> None:
    for name in PICTURES:
        content = (FOLDER / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) <= MOST_BYTES, name
