"""Who may use the console: invitations, each for one sign-in, sessions of browsers, and tokens of programs.

Neither a code nor a token is kept, only its SHA-256: whoever reads the database (or a backup of it) can sign
in with nothing of it. All are 192 random bits, so a plain hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

BYTES = 24
"""Random bytes of a code or a token."""
LONGEST = 64
"""Characters of one; anything longer is none."""
SESSION = 12 * 3600.0
"""Seconds from a sign-in to its end, used or not."""
LINK = 900.0
"""Seconds for which the link of ``nodisk console`` can be used."""
SESSIONS_EACH = 10
"""Sessions of one name; one more ends the oldest."""

_TABLES = ("console_invitation", "console_session", "console_token")
_COLUMNS = "digest TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, made REAL NOT NULL, ends REAL NOT NULL"


class ConsoleRole(StrEnum):
    """What somebody may do in the console."""

    VIEWER = "viewer"
    TEACHER = "teacher"
    """Of the classes that name them."""
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Entry:
    """An invitation that nobody has used yet, a session, or a program's token."""

    name: str
    role: ConsoleRole
    made: float
    ends: float
    """Seconds since 1970, as ``made``."""


def make(db: sqlite3.Connection) -> None:
    """Make the tables where they aren't there; a nodisk that doesn't know them does without."""
    for table in _TABLES:
        db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({_COLUMNS})")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Access:
    """The tables, by a database's connection."""

    db: sqlite3.Connection
    now: Callable[[], float]
    transaction: Callable[[], AbstractContextManager[None]]

    def invite(self, name: str, role: ConsoleRole, *, seconds: float) -> str:
        """A new code that signs in once, within ``seconds``; an earlier one of that name becomes invalid."""
        code = secrets.token_urlsafe(BYTES)
        with self.transaction():
            self._tidy()
            self.db.execute("DELETE FROM console_invitation WHERE name = ?", (name,))
            row = (_digest(code), name, str(role), self.now(), self.now() + seconds)
            self.db.execute("INSERT INTO console_invitation VALUES (?,?,?,?,?)", row)
        return code

    def invited(self, code: str) -> Entry | None:
        """Whom a code would sign in; it isn't used up by that. None: unknown, used or late."""
        return self._find("console_invitation", code)

    def sign_in(self, code: str) -> tuple[str, Entry] | None:
        """Use a code up: the token of a new session and whose it is; None: unknown, used or late.

        Of two browsers that use one code at the same time, one gets a session.
        """
        with self.transaction():
            found = self._find("console_invitation", code)
            if found is None:
                return None
            self.db.execute("DELETE FROM console_invitation WHERE digest = ?", (_digest(code),))
            token, now = secrets.token_urlsafe(BYTES), self.now()
            session = Entry(found.name, found.role, now, now + SESSION)
            row = (_digest(token), session.name, str(session.role), session.made, session.ends)
            self.db.execute("INSERT INTO console_session VALUES (?,?,?,?,?)", row)
            self.db.execute(
                "DELETE FROM console_session WHERE digest IN"
                " (SELECT digest FROM console_session WHERE name = ? ORDER BY made DESC, rowid DESC LIMIT -1 OFFSET ?)",
                (session.name, SESSIONS_EACH),
            )
            self._tidy()
        return token, session

    def session(self, token: str) -> Entry | None:
        """Whose session a token is; None: nobody's, or it has ended."""
        return self._find("console_session", token)

    def issue(self, name: str, role: ConsoleRole, *, seconds: float) -> str:
        """A token for a program; one of that name that is there already goes on working."""
        token = secrets.token_urlsafe(BYTES)
        with self.transaction():
            self._tidy()
            row = (_digest(token), name, str(role), self.now(), self.now() + seconds)
            self.db.execute("INSERT INTO console_token VALUES (?,?,?,?,?)", row)
        return token

    def bearer(self, token: str) -> Entry | None:
        """Whose program's token it is; None: nobody's, or it has ended."""
        return self._find("console_token", token)

    def sign_out(self, token: str) -> None:
        """End one session."""
        with self.transaction():
            self.db.execute("DELETE FROM console_session WHERE digest = ?", (_digest(token),))

    def revoke(self, name: str) -> int:
        """End all sessions and tokens of a name and withdraw its invitation; returns how many there were of all."""
        with self.transaction():
            self._tidy()
            return sum(
                self.db.execute(f"DELETE FROM {table} WHERE name = ?", (name,)).rowcount  # noqa: S608 - a constant
                for table in _TABLES
            )

    def sessions(self) -> list[Entry]:
        """All sessions, by name and age."""
        return self._all("console_session")

    def invitations(self) -> list[Entry]:
        """All invitations that nobody has used yet."""
        return self._all("console_invitation")

    def tokens(self) -> list[Entry]:
        """All tokens of programs."""
        return self._all("console_token")

    def _find(self, table: str, secret: str) -> Entry | None:
        if not 0 < len(secret) <= LONGEST:
            return None
        row = self.db.execute(
            f"SELECT name, role, made, ends FROM {table} WHERE digest = ? AND ends > ?",  # noqa: S608 - a constant
            (_digest(secret), self.now()),
        ).fetchone()
        return None if row is None else _entry(*row)

    def _all(self, table: str) -> list[Entry]:
        rows = self.db.execute(
            f"SELECT name, role, made, ends FROM {table} WHERE ends > ? ORDER BY name, made",  # noqa: S608 - a constant
            (self.now(),),
        ).fetchall()
        return [found for row in rows if (found := _entry(*row)) is not None]

    def _tidy(self) -> None:
        """Forget what has ended."""
        for table in _TABLES:
            self.db.execute(f"DELETE FROM {table} WHERE ends <= ?", (self.now(),))  # noqa: S608 - a constant


def _entry(name: str, role: str, made: float, ends: float) -> Entry | None:
    """None for a role of another nodisk, which gives no rights here."""
    return Entry(name, ConsoleRole(role), made, ends) if role in set(ConsoleRole) else None
