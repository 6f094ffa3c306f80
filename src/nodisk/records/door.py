"""The students' door: codes for the first sign-in, passphrases, sessions.

A code has 39 random bits, because somebody types it, and a passphrase has as many as its owner wished. Both are kept as
salted scrypt hashes (RFC 7914): a thief of the database or of a backup needs years to guess, not seconds. A code's salt
is its class's, so that a code is found by one hash however many students there are. A session's token is 192 random
bits, of which the SHA-256 is kept.

The hashes take a good part of a second, and are functions of their own: they need no database, so they can run in
another thread than the one that holds its connection.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Of codes: without I, L, O, U, 0 and 1, which are taken for one another in print and by hand."""
LENGTH = 8
SHORTEST, LONGEST = 12, 128
"""Characters of a passphrase."""
SESSION = 12 * 3600.0
"""Seconds from a sign-in to its end, used or not."""
SESSIONS_EACH = 10
"""Sessions of one student; one more ends the oldest."""

_SALT = 16
_COST, _BLOCK, _MEMORY = 1 << 14, 8, 32 << 20
"""scrypt's N and r, 16 MiB. The p is 5 for passphrases, a quarter of a second (OWASP's cheat sheet on password
storage), and 1 for codes, which are random and end in days."""
_TOKEN = 24
_LONGEST_TOKEN = 64

_TABLES = """
door_class (class TEXT PRIMARY KEY, salt TEXT NOT NULL);
door_code (class TEXT NOT NULL, account TEXT NOT NULL, digest TEXT NOT NULL, ends REAL NOT NULL,
    PRIMARY KEY (class, account), UNIQUE (class, digest));
door_passphrase (class TEXT NOT NULL, account TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (class, account));
door_session (digest TEXT PRIMARY KEY, class TEXT NOT NULL, account TEXT NOT NULL, credential INTEGER NOT NULL,
    made REAL NOT NULL, ends REAL NOT NULL);
door_seen (class TEXT NOT NULL, account TEXT NOT NULL, time REAL NOT NULL, PRIMARY KEY (class, account))
"""
_OF_ACCOUNTS = ("door_code", "door_passphrase", "door_session")


def make(db: sqlite3.Connection) -> None:
    """Make the tables where they aren't there; a nodisk that doesn't know them does without."""
    for table in _TABLES.split(";"):
        db.execute(f"CREATE TABLE IF NOT EXISTS {table}")


def new_code() -> str:
    """A random code, as it is hashed: 39 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def shown(code: str) -> str:
    """A code as people get it: ``ABCD-2345``."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def typed(text: str) -> str | None:
    """The code in what somebody typed, with small letters, spaces and hyphens if they like; None: there is none."""
    found = "".join(text.split()).replace("-", "").upper() if len(text) <= 4 * LENGTH else ""
    return found if len(found) == LENGTH and set(found) <= set(ALPHABET) else None


def code_digest(code: str, salt: bytes) -> str:
    """What is kept of a code. Takes a twentieth of a second."""
    return _scrypt(code, salt, 1)


def passphrase_hash(passphrase: str) -> str:
    """What is kept of a passphrase, another text each time. Takes a quarter of a second."""
    salt = secrets.token_bytes(_SALT)
    return f"{salt.hex()}:{_scrypt(passphrase, salt, 5)}"


def fits(passphrase: str, kept: str | None) -> bool:
    """Whether it is the passphrase of which ``kept`` was kept; takes as long where nothing was."""
    salt, _, wanted = (kept or f"{'00' * _SALT}:").partition(":")
    return hmac.compare_digest(_scrypt(passphrase, bytes.fromhex(salt), 5), wanted)


def _scrypt(secret: str, salt: bytes, parallel: int) -> str:
    # Keyboards write one letter in several ways: ż, or z with a dot.
    text = unicodedata.normalize("NFKC", secret).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(text, salt=salt, n=_COST, r=_BLOCK, p=parallel, maxmem=_MEMORY, dklen=32).hex()


def _token_digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Entered:
    """A session."""

    class_name: str
    account: str
    """The account's key."""
    credential: int
    """Which of the account's credentials was in force when it began: a session ends with that."""
    ends: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Door:
    """The tables, by a database's connection."""

    db: sqlite3.Connection
    now: Callable[[], float]
    transaction: Callable[[], AbstractContextManager[None]]

    def salt(self, class_name: str) -> bytes:
        """The salt of a class's codes; one that no code has where it has none, so that looking takes as long."""
        row = self.db.execute("SELECT salt FROM door_class WHERE class = ?", (class_name,)).fetchone()
        return bytes.fromhex(row[0]) if row else bytes(_SALT)

    def salted(self, class_name: str) -> bytes:
        """The same, made now if there was none."""
        with self.transaction():
            new = (class_name, secrets.token_hex(_SALT))
            self.db.execute("INSERT OR IGNORE INTO door_class VALUES (?,?)", new)
        return self.salt(class_name)

    def issue(self, class_name: str, digests: Mapping[str, str], *, ends: float) -> None:
        """Keep the digest of a new code for each account (by key). What they had is void: code, passphrase, session."""
        with self.transaction():
            self._forget(class_name, digests)
            rows = [(class_name, account, digest, ends) for account, digest in digests.items()]
            self.db.executemany("INSERT INTO door_code VALUES (?,?,?,?)", rows)

    def codes(self, class_name: str) -> dict[str, float]:
        """Account → when its code ends, of those that nobody has used."""
        found = self._pairs("door_code", "ends", class_name)
        return {account: ends for account, ends in found.items() if ends > self.now()}

    def with_passphrase(self, class_name: str) -> set[str]:
        """The accounts that have set a passphrase."""
        return set(self._pairs("door_passphrase", "hash", class_name))

    def whose(self, class_name: str, digest: str) -> str | None:
        """Whose code that is; it isn't used up by that. None: unknown, used or late."""
        row = self.db.execute(
            "SELECT account FROM door_code WHERE class = ? AND digest = ? AND ends > ?",
            (class_name, digest, self.now()),
        ).fetchone()
        return row[0] if row else None

    def enter_first(self, class_name: str, account: str, digest: str, kept: str, *, credential: int) -> str | None:
        """Use a code up and keep the passphrase's hash ``kept``: the token of a new session, which is the only one.

        None: the code isn't that account's, or not any more. Of two browsers that use one code at the same time, one
        gets a session.
        """
        with self.transaction():
            if self.whose(class_name, digest) != account:
                return None
            self._forget(class_name, [account])
            self.db.execute("INSERT INTO door_passphrase VALUES (?,?,?)", (class_name, account, kept))
            return self._begin(class_name, account, credential)

    def passphrase(self, class_name: str, account: str) -> str | None:
        """What is kept of an account's passphrase, for ``fits``; None: it has none."""
        row = self.db.execute(
            "SELECT hash FROM door_passphrase WHERE class = ? AND account = ?", (class_name, account)
        ).fetchone()
        return row[0] if row else None

    def enter(self, class_name: str, account: str, kept: str, *, credential: int) -> str | None:
        """The token of a new session, for somebody who knew the passphrase of which ``kept`` is the hash; None: it has
        changed."""
        with self.transaction():
            if self.passphrase(class_name, account) != kept:
                return None
            return self._begin(class_name, account, credential)

    def _begin(self, class_name: str, account: str, credential: int) -> str:
        token, now = secrets.token_urlsafe(_TOKEN), self.now()
        row = (_token_digest(token), class_name, account, credential, now, now + SESSION)
        self.db.execute("INSERT INTO door_session VALUES (?,?,?,?,?,?)", row)
        self.db.execute("INSERT OR REPLACE INTO door_seen VALUES (?,?,?)", (class_name, account, now))
        self.db.execute(
            "DELETE FROM door_session WHERE digest IN (SELECT digest FROM door_session WHERE class = ? AND account = ?"
            " ORDER BY made DESC, rowid DESC LIMIT -1 OFFSET ?)",
            (class_name, account, SESSIONS_EACH),
        )
        for table in ("door_code", "door_session"):
            self.db.execute(f"DELETE FROM {table} WHERE ends <= ?", (now,))  # noqa: S608 - a constant
        return token

    def session(self, token: str) -> Entered | None:
        """Whose session a token is; None: nobody's, or it has ended. The class's record has the last word."""
        if not 0 < len(token) <= _LONGEST_TOKEN:
            return None
        row = self.db.execute(
            "SELECT class, account, credential, ends FROM door_session WHERE digest = ? AND ends > ?",
            (_token_digest(token), self.now()),
        ).fetchone()
        return Entered(*row) if row else None

    def seen(self, class_name: str) -> dict[str, float]:
        """Account → when it last signed in, of those that ever did."""
        return self._pairs("door_seen", "time", class_name)

    def sign_out(self, token: str) -> None:
        """End one session."""
        with self.transaction():
            self.db.execute("DELETE FROM door_session WHERE digest = ?", (_token_digest(token),))

    def forget(self, class_name: str, accounts: Collection[str]) -> None:
        """Forget what accounts have: code, passphrase, sessions, and when they signed in."""
        with self.transaction():
            self._forget(class_name, accounts)
            rows = [(class_name, account) for account in accounts]
            self.db.executemany("DELETE FROM door_seen WHERE class = ? AND account = ?", rows)

    def forget_class(self, class_name: str) -> None:
        """Forget a class that is no more."""
        with self.transaction():
            for table in ("door_class", "door_seen", *_OF_ACCOUNTS):
                self.db.execute(f"DELETE FROM {table} WHERE class = ?", (class_name,))  # noqa: S608 - constants

    def _forget(self, class_name: str, accounts: Iterable[str]) -> None:
        rows = [(class_name, account) for account in accounts]
        for table in _OF_ACCOUNTS:
            self.db.executemany(f"DELETE FROM {table} WHERE class = ? AND account = ?", rows)  # noqa: S608 - constants

    def _pairs(self, table: str, column: str, class_name: str) -> dict[str, float]:
        rows = self.db.execute(f"SELECT account, {column} FROM {table} WHERE class = ?", (class_name,))  # noqa: S608 - constants
        return dict(rows.fetchall())
