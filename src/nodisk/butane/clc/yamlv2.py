"""Where yaml.v2, which ``ct`` reads with, decodes otherwise than yaml.v3."""

from __future__ import annotations

import re
from typing import cast

from nodisk.butane.clc import services
from nodisk.butane.decode import NOTHING, Decoder, Values, is_merge
from nodisk.butane.goscanner import YamlError
from nodisk.butane.pattern import Pattern
from nodisk.butane.scalars import is_bool_word, resolve, short, typed
from nodisk.butane.schema import CField, CStruct, Struct, compile_
from nodisk.butane.yamltree import ALIAS, MAPPING, SCALAR, Node

_FLOAT = Pattern(r"[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?", re.ASCII)


_VERSIONED = {"etcd": services.etcd_struct, "flannel": services.flannel_struct}
_NO_OPTIONS = {
    "etcd": compile_(Struct("Etcd", (services.VERSION,)), 1, None),
    "flannel": compile_(Struct("Flannel", (services.VERSION, services.NETWORK)), 1, None),
}
_VERSION = _NO_OPTIONS["etcd"].by_name["version"]


class OldDecoder(Decoder):
    """The last of two equal keys counts, what is decoded twice into the same place adds up, nulls stay in lists as
    empty items, and ``yes`` is a boolean only without quotes. Raises services.ServiceError for a version that is none.
    """

    old = True

    def __init__(self, *, old_options: bool = False) -> None:
        super().__init__()
        self._old_options = old_options
        self._sections: dict[str, CStruct] = {}

    def section(self, name: str) -> CStruct:
        """``etcd`` or ``flannel`` as the version in the document has it."""
        return self._sections.get(name, _NO_OPTIONS[name])

    def _mapping(self, node: Node, struct: CStruct, values: Values, merged: set[str] | None = None) -> None:
        """Key by key; ``<<`` sets what is in it there and then, over what was set before."""
        for key, value in zip(node.children[::2], node.children[1::2], strict=True):
            if is_merge(key):
                self._merge_here(value, struct, values)
                continue
            name = self._key(key)
            field = struct.by_name.get(name) if name is not None else None
            if name is None or field is None:
                continue
            item = self._over(value, field, values.get(name))
            if item is not NOTHING and (item or not field.zero):
                values[name] = item
            else:
                values.pop(name, None)

    def _over(self, node: Node, field: CField, there: object) -> object:
        """The node as ``field``'s kind, over what is there: a mapping changes only what it names."""
        if field.name in _VERSIONED and isinstance(field.item, CStruct):
            return self._service(node, field, there if isinstance(there, dict) else {})
        if field == _VERSION:
            item = self._value(node, field)
            if item is not NOTHING:
                services.version_of(str(item))
            return item
        if field.kind != "map" or not isinstance(there, dict) or not isinstance(field.item, CStruct):
            return self._value(node, field)
        if node.kind == ALIAS:
            with self.inside(node):
                return self._over(self._follow(node), field, there)
        if node.kind != MAPPING:
            return self._value(node, field)
        self._count()
        self._mapping(node, field.item, there)
        return there

    def _service(self, node: Node, field: CField, there: Values) -> object:
        """A section whose options depend on its version: that is read first, then those. A second one adds to it."""
        if node.kind == ALIAS:
            with self.inside(node):
                return self._service(self._follow(node), field, there)
        if node.kind != MAPPING:
            return self._value(node, field)
        self._count()
        errors = len(self.errors)
        common = _NO_OPTIONS[field.name]
        values: Values = {name: value for name, value in there.items() if name in common.by_name}
        self._mapping(node, common, values)
        if len(self.errors) > errors:
            return NOTHING
        section = _VERSIONED[field.name](cast("str | None", values.get("version")), old=self._old_options)
        if section is None:  # what an earlier section of another version said stays
            return {**there, **values}
        self._sections[field.name] = section
        options: Values = {}
        self._mapping(node, section, options)
        return {**options, **values}

    def _merge_here(self, merge: Node, struct: CStruct, values: Values) -> None:
        # The first of several wins, so it comes last.
        for source in reversed(merge.children) if merge.kind == "seq" else [merge]:
            self._count()
            target = self._follow(source) if source.kind == ALIAS else source
            if target.kind != MAPPING:
                raise YamlError("map merge requires map or sequence of maps as the value")
            with self.inside(source):
                self._mapping(target, struct, values)

    def _scalar(self, node: Node, kind: str) -> object:
        if short(node.tag) == "!!float" and node.kind == SCALAR and resolve("", node.value)[0] == "!!int":
            raise YamlError(f"cannot decode !!int `{node.value}` as a !!float")
        if node.kind == SCALAR and kind in ("integer", "unsigned"):
            found, _ = typed(node)
            if (
                found == "!!float"
                and not node.value.startswith(".")
                and not _FLOAT.fullmatch(node.value.replace("_", ""))
            ):
                self._misfit(node, "int" if kind == "integer" else "uint", "!!str")
                return NOTHING
        return super()._scalar(node, kind)

    def _misfit(self, node: Node, wanted: str, tag: str | None = None) -> None:
        if node.kind == SCALAR and node.plain and not node.tag:
            if is_bool_word(node.value):
                tag = "!!bool"
            elif tag == "!!timestamp":  # a type that it doesn't know
                tag = "!!str"
        elif node.tag == "!":
            tag = "!"
        super()._misfit(node, wanted, tag)
