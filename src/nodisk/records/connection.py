"""The connection to the lab's records: how the file is opened, and what a transaction promises."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from nodisk.errors import EnvironmentProblem, IntegrityError
from nodisk.records import schema


class Connection:
    """One connection; opened separately in each process, and used in one thread."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time, reading: bool = False) -> None:
        """``reading``: for a command that only shows. It changes no file; without a database, everything is empty.

        It need not see later writes: a command that continues opens it again.
        """
        self.path = path
        self._now = now
        try:
            if reading:
                self._db = schema.view(path)
            else:
                self._open(path)
        except (PermissionError, sqlite3.OperationalError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise EnvironmentProblem(
                f"the lab's records can't be {'read' if reading else 'read and written'}: {reason} ({path})",
                hint="run it as root with sudo"
                if os.geteuid() != 0
                else "is its disk full or mounted read-only, or does another program hold the file?",
            ) from error
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"the lab's records are damaged: {error} ({path})",
                hint="stop the server and move the file away: the lab goes on with empty records",
            ) from error

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the database's own mode. O_EXCL matters: closing a file that this process
        # has open as a database drops SQLite's locks on it, and another process may then delete the log it writes to.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._ensure_tables()
        except BaseException:
            self._db.close()
            raise

    def now(self) -> float:
        """The time by which it records."""
        return self._now()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ensure_tables(self) -> None:
        with self._transaction():
            schema.version_of(self._db, self.path)
            schema.make_tables(self._db)

    def together(self) -> AbstractContextManager[None]:
        """All that is written in the block is one write, which takes less than one for each; an error undoes all of it.

        The block awaits nothing: whatever else this connection writes meanwhile would become a part of it.
        """
        return self._transaction()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing. Within another one it is a part of that."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _lasting(self) -> Iterator[None]:
        """A transaction that is on the disk when it ends: for what somebody is told is done, and what counts only once.

        With it, all that was written before. Events alone may lose their last moments in a power cut, never one in the
        midst: a sync for each would make a room that boots wait for the disk. It can't be a part of another one, whose
        end would decide: SQLite raises OperationalError.
        """
        self._db.execute("PRAGMA synchronous = FULL")
        try:
            with self._transaction():
                yield
        finally:
            self._db.execute("PRAGMA synchronous = NORMAL")

    def _get(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _set(self, name: str, value: str) -> None:
        self._db.execute("REPLACE INTO setting VALUES (?,?)", (name, value))
