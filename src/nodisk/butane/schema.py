"""How a document is described: structs of fields, each with the versions it exists in.

``fields`` holds the one description of Butane and Ignition 3.x with it. ``compile_`` turns it into the plain tables
for one version that decoding, validation, translation and merging walk through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Union

Scalar = Literal["string", "integer", "unsigned", "boolean"]


class ListOf(NamedTuple):
    """A list; null items vanish."""

    item: Struct | Scalar
    unique: bool = True
    """Two items with the same key are an error, and merging joins them; False: merging only appends."""
    paths: bool = False
    """Each item must be an absolute path."""


Kind = Union[Scalar, "Struct", ListOf]


class Field(NamedTuple):
    """One key of a mapping. Versions are minor numbers of the Ignition spec, 3.``since``."""

    name: str
    """The key in Butane."""
    kind: Kind
    doc: str
    json: str | None = ""
    """The key in Ignition ("": ``name`` in camelCase; None: sugar, resolved by Butane)."""
    since: int = 0
    fcos: int | None = None
    """Only in variant fcos, from 1.``fcos``.0."""
    required: bool = False
    """A string that is always written, "" if it was not given."""
    required_until: int = 0
    """The same, in specs older than this; since then it may be absent."""
    zero: bool = False
    """Can't be told from its zero value (0, ""), which is never written."""
    null_until: int = 0
    """Written as null if absent, in specs older than this."""
    kind_until: tuple[int, Kind] | None = None
    """(spec, kind): in specs older than this one the field has another kind."""
    pointer_until: int = 0
    """A mapping that is written even if it is empty, in specs older than this."""
    group: str = ""
    """Lists of the same group must not share a key, and merging moves an item from one to the other."""
    variants_note: str = ""
    """What the reference says of it besides."""


class Struct(NamedTuple):
    """A mapping with known keys; ``fields`` are in the order in which Ignition's JSON has them."""

    name: str
    fields: tuple[Field, ...]
    key: str = ""
    """The field that tells list items apart."""


class CField(NamedTuple):
    """A field as it is in one version."""

    name: str
    json: str | None
    kind: Scalar | Literal["list", "map"]
    item: Scalar | CStruct | None
    """What a list holds (a scalar kind or a struct), or the struct of a map."""
    required: bool
    zero: bool
    nullable: bool
    pointer: bool
    unique: bool
    paths: bool
    group: str


class CStruct:
    """A struct as it is in one version."""

    __slots__ = ("by_json", "by_name", "fields", "key", "name")

    def __init__(self, name: str, key: str) -> None:
        self.name = name
        self.key = key
        self.fields: tuple[CField, ...] = ()
        """Those that Ignition has, in its order."""
        self.by_name: dict[str, CField] = {}
        self.by_json: dict[str, CField] = {}


def camel(name: str) -> str:
    """``wipe_table`` → ``wipeTable``; ``size_mib`` → ``sizeMiB``."""
    first, *rest = name.split("_")
    return first + "".join("MiB" if word == "mib" else word.capitalize() for word in rest)


def in_version(field: Field, spec: int, fcos: int | None) -> bool:
    """Whether a Butane document for Ignition 3.``spec`` (and fcos 1.``fcos``) has the field."""
    if spec < field.since:
        return False
    return field.fcos is None or (fcos is not None and fcos >= field.fcos)


def kind_in(field: Field, spec: int) -> Kind:
    """The field's kind in Ignition 3.``spec``."""
    return field.kind_until[1] if field.kind_until and spec < field.kind_until[0] else field.kind


def compile_(root: Struct, spec: int, fcos: int | None) -> CStruct:
    """The tables for one version."""
    return _compile(root, spec, fcos, {})


def _compile(struct: Struct, spec: int, fcos: int | None, done: dict[str, CStruct]) -> CStruct:
    if struct.name in done:
        return done[struct.name]
    out = done[struct.name] = CStruct(struct.name, struct.key)
    for field in struct.fields:
        if in_version(field, spec, fcos):
            compiled = _field(field, spec, fcos, done)
            out.by_name[field.name] = compiled
            if compiled.json is not None:
                out.by_json[compiled.json] = compiled
    out.fields = tuple(out.by_json.values())
    return out


def _field(field: Field, spec: int, fcos: int | None, done: dict[str, CStruct]) -> CField:
    kind = kind_in(field, spec)
    item: Scalar | CStruct | None = None
    unique = paths = False
    shape: Scalar | Literal["list", "map"]
    if isinstance(kind, ListOf):
        shape, unique, paths = "list", kind.unique, kind.paths
        item = _compile(kind.item, spec, fcos, done) if isinstance(kind.item, Struct) else kind.item
    elif isinstance(kind, Struct):
        shape, item = "map", _compile(kind, spec, fcos, done)
    else:
        shape = kind
    required = field.required or spec < field.required_until
    return CField(
        name=field.name,
        json=camel(field.name) if field.json == "" else field.json,
        kind=shape,
        item=item,
        required=required,
        zero=field.zero or required,
        nullable=spec < field.null_until,
        pointer=spec < field.pointer_until,
        unique=unique,
        paths=paths,
        group=field.group,
    )


def key_of(struct: CStruct | str | None, item: Any) -> str:
    """What tells an item of a list from another one."""
    if not isinstance(struct, CStruct):
        return str(item)
    if struct.name == "Partition":
        if item.get("number"):
            return f"number:{item['number']}"
        return f"label:{item['label']}" if item.get("label") is not None else ""
    return item.get(struct.key) or ""


def emit(struct: CStruct, value: Mapping[str, object]) -> dict[str, object]:
    """``value`` (Ignition, by JSON keys) in the order and with the omissions of Ignition's own encoder."""
    out: dict[str, object] = {}
    for field in struct.fields:
        json = field.json or ""
        item = value.get(json)
        if field.kind == "list":
            if item:
                inner = field.item
                out[json] = [emit(inner, entry) for entry in item] if isinstance(inner, CStruct) else item  # type: ignore[attr-defined]
        elif field.kind == "map":
            if item is not None and isinstance(field.item, CStruct):
                written = emit(field.item, item)  # type: ignore[arg-type]
                if field.pointer or not _empty(field.item, item):  # type: ignore[arg-type]
                    out[json] = written
        elif item is None:
            if field.required:
                out[json] = ""
            elif field.nullable:
                out[json] = None
        elif item or not field.zero or field.required:
            out[json] = item
    return out


def _empty(struct: CStruct, value: Mapping[str, object]) -> bool:
    """Whether nothing in ``value`` is set: such a mapping is not written, required strings or not."""
    for field in struct.fields:
        item = value.get(field.json or "")
        if item is None or (field.zero and not item):
            continue
        if field.kind == "list":
            if item:
                return False
        elif field.kind == "map":
            if field.pointer or (isinstance(field.item, CStruct) and not _empty(field.item, item)):  # type: ignore[arg-type]
                return False
        else:
            return False
    return True
