"""What each machine was last served, as the lab's records hold it: for ``nodisk render --diff``.

A room that is switched on asks for all of it within seconds. So what has not changed is not written again, and a long
text comes packed: in a room of a thousand, a machine's config has a line or more for each of the others.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256

from nodisk.values import Mac

_NOBODY, _ALIKE = -1, "="
"""Instead of a machine, a text that several got; and before the name of such a text, where there is its digest instead.
"""


def pack(text: str) -> bytes:
    """A long text for ``put``. It takes a third of a millisecond for 100 KB, so it is done before machines ask."""
    return zlib.compress(text.encode(), 1)


def put(
    db: sqlite3.Connection, mac: Mac, texts: Mapping[str, str | bytes], alike: Mapping[str, str], *, now: float
) -> None:
    """As ``Database.serve``; to be called within a transaction."""
    digests = {what: _digest(text) for what, text in alike.items()}
    own = {**texts, **{_ALIKE + what: digest for what, digest in digests.items()}}
    db.executemany(
        "INSERT INTO served VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET text = excluded.text, time = excluded.time "
        "WHERE text != excluded.text",
        [(mac.value, what, text, now) for what, text in own.items()],
    )
    kept = {digest for (digest,) in db.execute("SELECT what FROM served WHERE mac = ?", (_NOBODY,))}
    db.executemany(
        "INSERT OR IGNORE INTO served VALUES (?,?,?,?)",
        [(_NOBODY, digest, alike[what], now) for what, digest in digests.items() if digest not in kept],
    )


def of(db: sqlite3.Connection, mac: Mac) -> dict[str, str]:
    """As ``Database.served``."""
    rows = db.execute(
        "SELECT ltrim(own.what, ?), coalesce(common.text, own.text) FROM served AS own"
        " LEFT JOIN served AS common ON common.mac = ? AND own.what LIKE ? AND common.what = own.text"
        " WHERE own.mac = ? ORDER BY own.what DESC",  # a text that is kept once is the newer one
        (_ALIKE, _NOBODY, f"{_ALIKE}%", mac.value),
    )
    return {what: zlib.decompress(text).decode() if isinstance(text, bytes) else text for what, text in rows}


def prune(db: sqlite3.Connection) -> None:
    """Delete what no machine has any more; to be called within a transaction."""
    db.execute(
        "DELETE FROM served WHERE mac = ? AND what NOT IN (SELECT text FROM served WHERE what LIKE ?)",
        (_NOBODY, f"{_ALIKE}%"),
    )


@lru_cache(maxsize=64)
def _digest(text: str) -> str:
    """Kept, because all machines get the same few texts."""
    return sha256(text.encode()).hexdigest()
