"""Ignition configs, 3.0.0 to 3.6.0: read as Ignition reads them, judged by its rules.

``validate`` is for whole configs, like ``ignition-validate``; ``check_embedded`` for one inside a Butane document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from nodisk.butane import gojson, jsonsyntax, jsontree, rules, semver, unused
from nodisk.butane.compiled import ignition_schema
from nodisk.butane.fields import MAX_SPEC
from nodisk.butane.paths import Path
from nodisk.butane.report import Entry, Findings, Report, locate
from nodisk.butane.schema import CField, CStruct
from nodisk.butane.yamltree import Node

_SPECS = frozenset(semver.Version(3, minor, 0) for minor in range(MAX_SPEC + 1))
_TYPE_NAMES: dict[str, type] = {"string": str, "integer": int, "boolean": bool, "list": list, "map": dict}


class _Misfit(Exception):
    """A value has a type that Ignition can't take; the text says which."""


def validate(config: str | bytes | Mapping[str, Any]) -> Report:
    """Judge an Ignition config, given as JSON text or as what ``json.loads`` makes of it.

    Every problem is reported, with its position if text was given. ``failure`` is set if there is an error.
    """
    if isinstance(config, Mapping):
        data = gojson.encode(config).encode("utf-8", "surrogatepass")
    else:
        data = config.encode("utf-8", "surrogatepass") if isinstance(config, str) else config
    if not data:
        return Report([Entry("error", "not a config (empty)")], "not a config (empty)")
    try:
        values = _load(data)
    except (jsonsyntax.JsonError, _Misfit) as error:
        return Report([_json_entry(data, error)], "config is not valid")
    version = _version(values)
    if version is None or version not in _SPECS:
        message = "invalid config version (couldn't parse)" if version is None else "unsupported config version"
        return Report([Entry("error", message)], message)
    spec = version.minor
    found = Findings()
    try:
        root = _check(data, values, spec, found)
    except _Misfit as error:
        return Report([_json_entry(data, error)], "config is not valid")
    entries = locate(found.problems, root)
    return Report(entries, "config is not valid" if found.fatal else None)


def check_embedded(text: str, path: Path, spec: int, found: Findings) -> None:
    """Judge a config that stands inline at ``path`` + ``inline`` in a Butane document for spec 3.``spec``.

    Messages about its insides have its own paths, as Butane gives them. A config of another spec version is not judged.
    """
    data = text.encode("utf-8", "surrogateescape")
    try:
        values = _load(data)
        config = _decode(ignition_schema(spec), values, ())
    except (jsonsyntax.JsonError, _Misfit) as error:
        found.error((), str(error))
        found.error((*path, "inline"), "config is not valid")
        return
    version = _version(config)
    if version is not None and version != semver.Version(3, spec, 0):
        found.warn(
            (*path, "version"),
            "skipping validation for the merge/replace ignition config due to an unkown version",
        )
        return
    _check(data, values, spec, found)


def _check(data: bytes, values: Mapping[str, Any], spec: int, found: Findings) -> Node | None:
    """Apply all rules; returns the tree for positions."""
    schema = ignition_schema(spec)
    config = _decode(schema, values, ())
    rules.check(schema, config, spec, found)
    rules.check_duplicates(schema, config, found)
    if "ignition" not in config:
        found.error(("ignition", "version"), "invalid config version (couldn't parse)")
    root = jsontree.parse(data)
    if root is not None:
        unused.check(root, schema, config, found, json=True)
    return root


def _load(data: bytes) -> dict[str, Any]:
    """The JSON object. Raises JsonError, _Misfit."""
    jsonsyntax.check(data)
    try:
        values = json.loads(data.decode("utf-8", "replace"), parse_int=_whole, parse_float=_Number)
    except RecursionError as error:
        raise jsonsyntax.JsonError("exceeded max depth", 0) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise _Misfit(f"json: cannot unmarshal {_name(values)} into an Ignition config")
    return values


class _Number(str):
    """A number that is no integer of 64 bits, as written."""


def _whole(text: str) -> int | _Number:
    # No integer of 64 bits has more digits, and int() of very many is slow.
    value = int(text) if len(text) <= 20 else None
    return value if value is not None and -(2**63) <= value < 2**63 else _Number(text)


def _name(value: object, kind: str = "") -> str:
    """What Go's JSON package calls a value; a number where an integer is wanted it shows."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | _Number):
        return f"number {value}" if kind == "integer" else "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _decode(struct: CStruct, values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What Ignition sees of ``values``: known keys (in any case), nulls and zeros dropped. Raises _Misfit."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        field = struct.by_json.get(key) or _folded(struct).get(key.lower())
        if field is None or value is None:
            continue
        name = cast("str", field.json)
        item = _value(field, value, (*path, name))
        if item or not field.zero:
            out[name] = item
    return out


def _folded(struct: CStruct) -> dict[str, CField]:
    return {name.lower(): field for name, field in struct.by_json.items()}


def _value(field: CField, value: object, path: Path) -> Any:
    wanted: type = _TYPE_NAMES[field.kind]
    if not isinstance(value, wanted) or isinstance(value, _Number) or (wanted is int and isinstance(value, bool)):
        raise _misfit(value, path, field.kind)
    if field.kind == "map":
        return _decode(cast("CStruct", field.item), cast("Mapping[str, Any]", value), path)
    if field.kind != "list":
        return value
    out: list[Any] = []
    for index, item in enumerate(cast("list[object]", value)):
        if isinstance(field.item, CStruct):
            if item is not None and not isinstance(item, dict):
                raise _misfit(item, (*path, index), "map")
            out.append(_decode(field.item, item or {}, (*path, index)))
        else:
            if item is not None and (not isinstance(item, str) or isinstance(item, _Number)):
                raise _misfit(item, (*path, index), "string")
            out.append(item or "")
    return out


def _misfit(value: object, path: Path, kind: str) -> _Misfit:
    wanted = {"map": "an object", "list": "an array"}.get(kind, f"a {kind}")
    return _Misfit(f"json: cannot unmarshal {_name(value, kind)} into {'.'.join(map(str, path))}, which is {wanted}")


def _version(values: Mapping[str, Any]) -> semver.Version | None:
    """What the config says its version is; None if it doesn't."""
    ignition = next((value for key, value in values.items() if key.lower() == "ignition"), None)
    text = ignition.get("version") if isinstance(ignition, Mapping) else None
    try:
        return semver.parse(text) if isinstance(text, str) else None
    except semver.BadVersion:
        return None


def _json_entry(data: bytes, error: Exception) -> Entry:
    offset = getattr(error, "offset", None)
    if offset is None:
        return Entry("error", str(error))
    before = data[: max(offset - 1, 0)]
    return Entry("error", str(error), line=before.count(b"\n") + 1, column=len(before) - (before.rfind(b"\n") + 1) + 1)
