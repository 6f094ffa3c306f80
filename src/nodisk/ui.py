"""What people see: tables, progress, findings. Colour is never the only sign, and machines get JSON instead."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def console(*, stderr: bool = False) -> Console:
    """A rich console on stdout (results) or stderr (everything else)."""
    from rich.console import Console  # noqa: PLC0415 - 40 ms that `--help` need not pay

    # Off a terminal, each row is one line, however long: grep and awk read it.
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(width=None if terminal else 1000, stderr=stderr, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """The stable, documented form of a result."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A plain table; cells are printed as text, never as markup."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    console().print(table)


def progress() -> Progress:
    """A progress display on stderr for anything that takes over two seconds; use it as a context manager.

    Off a terminal it draws nothing: call ``say`` for the steps that a log should hold.
    """
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=console(stderr=True),
    )


def say(text: str) -> None:
    """Print one line of progress on stderr."""
    click.echo(text, err=True)


def span(seconds: float) -> str:
    """A number of seconds for people: ``42 s``, ``7 min``, ``3 h``, ``2 d``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
