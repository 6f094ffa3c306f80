"""Keys that the schema does not know: a warning each, so that a typo does not pass silently.

The document is looked at as written. Aliases, merge keys and nulls are not followed: where values come from
elsewhere, positions can't be trusted and unknown keys can't be seen, and that is a warning of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from nodisk.butane.paths import Key, Path
from nodisk.butane.report import Findings, path_text
from nodisk.butane.schema import CStruct
from nodisk.butane.yamltree import MAPPING, SEQUENCE, Node


def check(
    node: Node, struct: CStruct, values: Mapping[str, object], found: Findings, path: Path = (), *, json: bool = False
) -> None:
    """Walk ``values`` (decoded from ``node``); ``json``: its keys are Ignition's."""
    if node.kind != MAPPING:
        found.warn(
            path,
            f"context tree does not match content tree at {path_text(path)}. "
            "Line and column reporting may be inconsistent. Unused keys may not be reported",
        )
        return
    fields = struct.by_json if json else struct.by_name
    children = node.children
    raw: dict[str, Node] = {}
    for index in range(0, len(children), 2):
        name = children[index].value
        if name not in fields and name not in raw:
            found.warn((*path, Key(name)), f"unused key {name}")
        raw[name] = children[index + 1]
    for name, child in raw.items():
        field = fields.get(name)
        if field is None or not isinstance(field.item, CStruct):
            continue
        value = values.get(name)
        if field.kind == "map":
            if value is not None or not field.pointer:
                check(child, field.item, cast("Mapping[str, object]", value or {}), found, (*path, name), json=json)
        elif value and child.kind == SEQUENCE:
            for index, item in enumerate(cast("Sequence[Mapping[str, object]]", value)[: len(child.children)]):
                check(child.children[index], field.item, item, found, (*path, name, index), json=json)
