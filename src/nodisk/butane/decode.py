"""A tree of nodes → plain values, as the schema says, with yaml.v3's rules for what fits where.

The result holds only what was given: a key that is absent, null, or (for fields that can't be told from their zero
value) zero is not in the dict. All errors of type are collected; the document fails if there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nodisk.butane import scalars
from nodisk.butane.gojson import quote
from nodisk.butane.goscanner import YamlError
from nodisk.butane.report import Entry
from nodisk.butane.scalars import NotThat, as_bool, as_int, as_string, as_unsigned, is_null
from nodisk.butane.schema import CField, CStruct
from nodisk.butane.yamltree import ALIAS, MAPPING, SCALAR, Node

Values = dict[str, object]

MAX_ERRORS = 1000
MAX_DECODES = 100_000
"""With aliases a short document can mean a long one: it is refused where it would mean twice the largest document."""

MAX_SIZE = 32 * 1024 * 1024
"""Characters that aliases may make of a document, to the same purpose."""

_GO_KINDS = {"integer": "int", "unsigned": "uint", "boolean": "bool"}
_ZEROS: dict[str, object] = {"string": "", "integer": 0, "unsigned": 0, "boolean": False}
NOTHING = object()
"""A null, or a value that does not fit: unset in a mapping, gone from a list."""


class Decoder:
    """One pass over one document."""

    old = False
    """Whether it goes by the rules of yaml.v2 (see ``clc.yamlv2``)."""

    def __init__(self) -> None:
        self.errors: list[Entry] = []
        self.decoded = 0
        self.aliased = 0
        self.size = 0
        self.depth = 0

    def document(self, root: Node, struct: CStruct) -> Values:
        """The document's values. Raises YamlError for what can't even be walked through."""
        value = self._struct(root, struct)
        return value if value is not None else {}

    def complain(self, line: int, message: str) -> None:
        """Remember an error of type."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(Entry("error", message, line=line))

    def _misfit(self, node: Node, wanted: str, tag: str | None = None) -> None:
        found = tag or scalars.short(node.tag) or {MAPPING: "!!map"}.get(node.kind, "!!seq")
        text = ""
        if node.kind == SCALAR:
            data = node.value[:11].encode("utf-8", "surrogateescape")
            shown = data[:7] + b"..." if len(data) > 10 else data
            text = f" `{shown.decode('utf-8', 'replace')}`"
        self.complain(node.line, f"cannot unmarshal {found}{text} into {wanted}")

    def _count(self) -> None:
        """yaml.v3's guard against documents that are mostly aliases, and a plain limit."""
        self.decoded += 1
        if self.depth:
            self.aliased += 1
        if self.decoded > MAX_DECODES or (
            self.aliased > 100 and self.decoded > 1000 and self.aliased / self.decoded > 0.99
        ):
            raise YamlError("document contains excessive aliasing")

    def _follow(self, node: Node) -> Node:
        """What an alias stands for."""
        while node.kind == ALIAS:
            if node.target is None:
                raise YamlError(f"unknown anchor '{node.value}' referenced")
            node = node.target
            self._count()
        return node

    @contextmanager
    def inside(self, node: Node) -> Iterator[None]:
        """While what an alias stands for is decoded; other nodes don't count. Raises YamlError too deep inside."""
        if node.kind == ALIAS and self.depth > 100:
            raise YamlError(f"anchor '{node.value}' value contains itself")
        self.depth += node.kind == ALIAS
        try:
            yield
        finally:
            self.depth -= node.kind == ALIAS

    def _value(self, node: Node, field: CField) -> object:
        """The node as ``field``'s kind, or NOTHING."""
        self._count()
        if node.kind == ALIAS:
            with self.inside(node):
                return self._value(self._follow(node), field)
        if self.old and node.value not in ("", "null") and scalars.short(node.tag) != "!!null" and is_null(node):
            # yaml.v2 takes `~` for a value, which is then zero.
            return {} if field.kind == "map" else _ZEROS.get(field.kind, NOTHING)
        if field.kind == "list":
            return self._list(node, field)
        if isinstance(field.item, CStruct):  # of a map
            return self._struct_value(node, field.item)
        return self._scalar(node, field.kind)

    def _scalar(self, node: Node, kind: str) -> object:
        if node.kind != SCALAR:
            if node.kind != MAPPING or not self._duplicates(node):
                self._misfit(node, _GO_KINDS.get(kind, kind))
            return NOTHING
        if is_null(node):
            return NOTHING
        self.size += len(node.value)
        if self.size > MAX_SIZE:
            raise YamlError(f"document means more than {MAX_SIZE // 1024 // 1024} MiB of text, by aliases")
        if kind == "string":
            return as_string(node)
        try:
            if kind == "boolean":
                return as_bool(node, quoted=not self.old)
            return as_int(node) if kind == "integer" else as_unsigned(node)
        except NotThat as error:
            self._misfit(node, _GO_KINDS[kind], error.tag)
            return NOTHING

    def _list(self, node: Node, field: CField) -> object:
        if node.kind in (SCALAR, MAPPING):
            if node.kind == MAPPING and self._duplicates(node):
                return NOTHING
            if node.kind != SCALAR or not is_null(node):
                self._misfit(node, "a list", scalars.typed(node)[0] if node.kind == SCALAR else None)
            return NOTHING
        items = []
        for child in node.children:
            item = self._item(child, field)
            if item is not NOTHING:
                items.append(item)
            elif self.old and is_null(child):
                items.append({} if isinstance(field.item, CStruct) else "")
        return items

    def _item(self, node: Node, field: CField) -> object:
        self._count()
        if node.kind == ALIAS:
            with self.inside(node):
                return self._item(self._follow(node), field)
        if isinstance(field.item, CStruct):
            return self._struct_value(node, field.item)
        return self._scalar(node, field.item or "string")

    def _struct_value(self, node: Node, struct: CStruct) -> object:
        value = self._struct(node, struct)
        return NOTHING if value is None else value

    def _struct(self, node: Node, struct: CStruct) -> Values | None:
        """A mapping's values; None for null or what is no mapping."""
        if node.kind == ALIAS:
            node = self._follow(node)
        if node.kind == SCALAR:
            if not is_null(node):
                self._misfit(node, "a mapping", scalars.typed(node)[0])
            return None
        if node.kind != MAPPING:
            self._misfit(node, "a mapping")
            return None
        if self._duplicates(node):
            return None
        values: Values = {}
        self._mapping(node, struct, values, None)
        return values

    def _mapping(self, node: Node, struct: CStruct, values: Values, merged: set[str] | None) -> None:
        """Fill ``values`` from a mapping. ``merged``: keys already set, when this mapping is merged in by ``<<``."""
        merge: Node | None = None
        done: set[str] = set()
        children = node.children
        for index in range(0, len(children), 2):
            key, value = children[index], children[index + 1]
            if is_merge(key):
                merge = value
                continue
            name = self._key(key)
            if name is None:
                continue
            if merged is not None:
                if name in merged:
                    continue
                merged.add(name)
            field = struct.by_name.get(name)
            if field is None:
                continue
            if name in done:
                self.complain(key.line, f"field {name} already set")
                continue
            done.add(name)
            item = self._value(value, field)
            if item is not NOTHING and (item or not field.zero):
                values[name] = item
        if merge is not None:
            self._merge(node, merge, struct, values, merged)

    def _key(self, key: Node) -> str | None:
        """A key's name; None: null, or no scalar, which is an error."""
        self._count()
        if key.kind == ALIAS:
            key = self._follow(key)
        if key.kind != SCALAR:
            self._misfit(key, "string")
            return None
        if is_null(key):
            return None
        return as_string(key)

    def _merge(self, parent: Node, merge: Node, struct: CStruct, values: Values, merged: set[str] | None) -> None:
        """``<<: *alias`` or ``<<: [*a, *b]``: what is not set yet comes from there, the first one first."""
        if merged is None:
            merged = {key.value for key in parent.children[::2]}
        sources = merge.children if merge.kind == "seq" else [merge]
        for source in sources:
            self._count()
            target = source.target if source.kind == ALIAS else source
            if target is None or target.kind != MAPPING:
                raise YamlError("map merge requires map or sequence of maps as the value")
            with self.inside(source):
                if not self._duplicates(target):
                    self._mapping(target, struct, values, merged)

    def _duplicates(self, node: Node) -> bool:
        """Complain of keys that occur twice."""
        children = node.children
        if len(children) <= 2 or self.old:
            return False
        seen: dict[tuple[str, str], list[Node]] = {}
        for index in range(0, len(children), 2):
            key = children[index]
            seen.setdefault((key.kind, key.value), []).append(key)
        if len(seen) * 2 == len(children):
            return False
        for keys in seen.values():
            for index, first in enumerate(keys[:MAX_ERRORS]):
                for second in keys[index + 1 : index + 1 + MAX_ERRORS]:
                    if len(self.errors) >= MAX_ERRORS:
                        return True
                    self.complain(
                        second.line, f"mapping key {quote(second.value)} already defined at line {first.line}"
                    )
        return True


def is_merge(key: Node) -> bool:
    """Whether a key is YAML's ``<<``."""
    if key.kind != SCALAR or key.value != "<<":
        return False
    tag = scalars.short(key.tag)
    return tag == "!!merge" or (not tag and key.plain)
