"""Building blocks of several configurations: YAML documents, Ignition files and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from nodisk import yamltext

HEADER = "# Written by nodisk at every boot; changes belong into lab.yaml.\n"


def documents(*parts: Mapping[str, Any]) -> str:
    """YAML of one or several documents, keys sorted, under nodisk's header."""
    return HEADER + yamltext.dump_all(parts, sort_keys=True)


def file(path: str, text: str, *, mode: int = 0o644) -> dict[str, Any]:
    """An Ignition file that replaces the image's file at that path."""
    return {"path": path, "mode": mode, "overwrite": True, "contents": {"source": "data:," + quote(text, safe="/:=,")}}


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
