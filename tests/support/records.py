"""The lab's records by SQL, past nodisk: what time or an older nodisk would have done to them."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any


def sql(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement on the database, on a connection of its own; returns its rows. It is committed."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as db:
        return db.execute(statement).fetchall()
