"""A restic repository that opens at once.

Each start of restic derives the repository's key from the password, by a scrypt that it made half a second long on the
host where the repository began. A test starts it dozens of times, and has no password worth guessing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

CHEAP = {"N": 2, "r": 8, "p": 1}
_IV, _MAC = 16, 16


def open_at_once(repository: Path, password: Path) -> None:
    """Have the keys of a local repository, if it is one, derived from the password in a file without work."""
    for path in (repository / "keys").glob("*"):
        key = json.loads(path.read_bytes())
        if key["N"] == CHEAP["N"]:
            continue
        words = password.read_text().strip().encode()
        master = _opened(base64.b64decode(key["data"]), _derived(words, key))
        key |= CHEAP
        key["data"] = base64.b64encode(_sealed(master, _derived(words, key))).decode()
        content = json.dumps(key).encode()
        made = path.with_name(hashlib.sha256(content).hexdigest())
        made.write_bytes(content)
        made.chmod(path.stat().st_mode)
        path.unlink()


def _derived(password: bytes, key: dict[str, int | str]) -> bytes:
    """32 bytes to encrypt with, then 16 and 16 of Poly1305-AES."""
    salt, n, r, p = base64.b64decode(str(key["salt"])), int(key["N"]), int(key["r"]), int(key["p"])
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=2**30, dklen=64)


def _cipher(derived: bytes, iv: bytes) -> Cipher[modes.CTR]:
    return Cipher(algorithms.AES256(derived[:32]), modes.CTR(iv))


def _mac(derived: bytes, iv: bytes) -> Poly1305:
    hidden = Cipher(algorithms.AES128(derived[32:48]), modes.ECB()).encryptor()  # noqa: S305 - Poly1305-AES is that
    return Poly1305(derived[48:64] + hidden.update(iv) + hidden.finalize())


def _opened(sealed: bytes, derived: bytes) -> bytes:
    iv, hidden, mac = sealed[:_IV], sealed[_IV:-_MAC], sealed[-_MAC:]
    check = _mac(derived, iv)
    check.update(hidden)
    check.verify(mac)
    reader = _cipher(derived, iv).decryptor()
    return reader.update(hidden) + reader.finalize()


def _sealed(content: bytes, derived: bytes) -> bytes:
    iv = os.urandom(_IV)
    writer, check = _cipher(derived, iv).encryptor(), _mac(derived, iv)
    hidden = writer.update(content) + writer.finalize()
    check.update(hidden)
    return iv + hidden + check.finalize()
