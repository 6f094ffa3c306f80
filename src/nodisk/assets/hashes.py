"""Hashes by which assets and their files are named."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def key_of(inputs: Mapping[str, Any]) -> str:
    """The key of an asset that is made from ``inputs`` (anything that JSON can hold)."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def sha256_of(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_hash(*roots: Path) -> str:
    """A hash over names, modes (the x bit), link targets and contents of files and folders."""
    digest = hashlib.sha256()
    for root in roots:
        digest.update(b"root\0")
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if "__pycache__" in path.parts:
                continue
            digest.update(os.fsencode(path.relative_to(root.parent)) + b"\0")
            if path.is_symlink():
                digest.update(b"link\0" + os.fsencode(path.readlink()) + b"\0")
            elif path.is_file():
                kind = b"x" if path.stat().st_mode & 0o111 else b"f"
                digest.update(kind + b"\0" + sha256_of(path).encode())
    return digest.hexdigest()
