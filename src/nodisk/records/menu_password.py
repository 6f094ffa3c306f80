"""The menu's password: one for the lab, kept as a salted scrypt hash (RFC 7914) in a file of the state, 0600.

iPXE sends the password itself, over plain HTTP: whoever reads the wire while somebody types it has it. So it should be
used for nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from pathlib import Path

from nodisk import files
from nodisk.errors import IntegrityError, UsageError

SHORTEST, LONGEST = 8, 64
"""Characters."""
LARGEST = 512
"""Characters of a header's base64."""
_COST, _BLOCK, _PARALLEL = 1 << 15, 8, 3
"""scrypt's N, r and p: 32 MiB and about a third of a second for one try (OWASP's cheat sheet on password storage)."""
_MEMORY = 64 << 20

_TYPED = re.compile(r"[ -#%-~]+")


def given(header: str) -> bytes | None:
    """The password in an ``Authorization`` header (RFC 7617, whatever the user); None where there is none."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic" or len(text) > LARGEST:
        return None
    try:
        _, colon, password = base64.b64decode(text, validate=True).partition(b":")
    except ValueError:
        return None
    return password if colon else None


def save(path: Path, password: str) -> None:
    """Keep a password instead of an earlier one; raises UsageError for one that can't be typed or is short."""
    if not (SHORTEST <= len(password) <= LONGEST and _TYPED.fullmatch(password)):
        raise UsageError(
            f"that can be no password of the menu: {SHORTEST} to {LONGEST} ASCII characters without $",
            hint="iPXE's keyboard is a US one: letters and digits are the safest",
        )
    salt = secrets.token_bytes(16)
    kept = {"scrypt": [_COST, _BLOCK, _PARALLEL], "salt": salt.hex(), "hash": _hash(password.encode(), salt).hex()}
    files.write(path, json.dumps(kept) + "\n", mode=0o600)


def is_set(path: Path) -> bool:
    """Whether a password is kept."""
    return path.exists()


def forget(path: Path) -> bool:
    """Remove it; returns whether there was one."""
    return files.remove(path)


def right(path: Path, password: bytes) -> bool:
    """Whether it is the password; False where none is kept. Takes a third of a second, whatever comes out.

    Raises IntegrityError if the file is damaged.
    """
    try:
        kept = json.loads(path.read_text(encoding="ascii"))
        if kept["scrypt"] != [_COST, _BLOCK, _PARALLEL]:
            raise ValueError("other costs")
        salt, wanted = bytes.fromhex(kept["salt"]), bytes.fromhex(kept["hash"])
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path} is damaged", hint="nodisk menu password") from error
    return hmac.compare_digest(_hash(password[: LONGEST + 1], salt), wanted)


def _hash(password: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY, dklen=32)
