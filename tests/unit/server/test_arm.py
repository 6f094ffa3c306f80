"""How long ``nodisk arm`` arms for."""

from __future__ import annotations

import click
import pytest

from nodisk.commands.durations import Duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("365d", 365 * 86400), ("always", float("inf"))]
)
def test_spans(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["366d", "9999999d", "9" * 400 + "s"])
def test_too_long(text: str) -> None:
    with pytest.raises(click.BadParameter, match="at most 365d, or always"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize("text", ["nan", "inf", "-5m", "1e3s", "5", ""])
def test_no_span(text: str) -> None:
    with pytest.raises(click.BadParameter, match="invalid duration"):
        Duration().convert(text, None, None)
