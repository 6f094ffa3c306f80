"""What machines print last: kept as it was sent, shown as text, and no more of it than fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.records import printed
from nodisk.records.database import Database
from nodisk.values import Mac

W1, W2 = Mac.parse("52:54:00:77:00:15"), Mac.parse("52:54:00:77:00:16")


@given(st.text(max_size=6000))
def test_whatever_a_machine_sends_is_some_short_lines(text: str) -> None:
    found = printed.lines(text)
    assert len(found) <= printed.MOST
    for line in found:
        assert 0 < len(line) <= printed.LONGEST
        assert line.isprintable() or max(line) >= "\u00a0"
        assert not set(line) & {"\n", "\r", "\x1b", "\t", "\x00", "\x85"}
        line.encode("utf-8")


def test_the_last_lines_count() -> None:
    text = "".join(f"line {number}\n" for number in range(100))
    assert printed.lines(text) == tuple(f"line {number}" for number in range(80, 100))
    assert printed.lines("\x1b[31mred\x1b[0m\n\n\n a\tb \n") == ("?[31mred?[0m", " a      b")


def test_one_machine_s_lines(tmp_path: Path) -> None:
    with Database(tmp_path / "db", now=lambda: 50.0) as database:
        assert database.printed.of(W1) is None
        database.printed.put(W1, ("one", "two"))
        database.printed.put(W1, ())
        assert database.printed.of(W1) == printed.Printed(50.0, ("one", "two"))
        assert database.printed.of(W2) is None
        database.forget(W1)
        assert database.printed.of(W1) is None


@pytest.mark.parametrize("text", ["", "\n", "\r\n \n"])
def test_nothing_is_no_line(text: str) -> None:
    assert printed.lines(text) == ()
