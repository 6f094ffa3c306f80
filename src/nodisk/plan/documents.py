"""Building blocks of several configurations: YAML documents, Ignition files and units."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from nodisk import yamltext

HEADER = "# Written by nodisk at every boot; changes belong into lab.yaml.\n"


def documents(*parts: Mapping[str, Any]) -> str:
    """YAML of one or several documents of what JSON can hold, keys sorted, under nodisk's header."""
    return HEADER + _yaml(json.dumps(parts, sort_keys=True))


@lru_cache(maxsize=64)
def _yaml(parts: str) -> str:
    """Kept: most machines of a room get the same documents, and writing YAML is slow."""
    return yamltext.dump_all(json.loads(parts), sort_keys=True)


def file(path: str, text: str, *, mode: int = 0o644) -> dict[str, Any]:
    """An Ignition file that replaces the image's file at that path."""
    source = "data:," + "".join(map(_quoted, text.splitlines(keepends=True)))
    return {"path": path, "mode": mode, "overwrite": True, "contents": {"source": source}}


@lru_cache(maxsize=1 << 15)
def _quoted(line: str) -> str:
    """Kept, because every machine's files name every other machine: a thousand machines have a million such lines."""
    return quote(line, safe="/:=,")


def program(path: str, url: str, sha256: str) -> dict[str, Any]:
    """An executable Ignition file, fetched from ``url`` and refused unless it has this hash."""
    contents = {"source": url, "verification": {"hash": f"sha256-{sha256}"}}
    return {"path": path, "mode": 0o755, "overwrite": True, "contents": contents}


def unit(name: str, contents: str | None = None) -> dict[str, Any]:
    """An Ignition unit; without ``contents`` one that the image has."""
    found: dict[str, Any] = {"name": name, "enabled": True}
    if contents is not None:
        found["contents"] = contents
    return found


def dropin(name: str, part: str, contents: str) -> dict[str, Any]:
    """An Ignition drop-in for a unit that is in the image."""
    return {"name": name, "dropins": [{"name": part, "contents": contents}]}
