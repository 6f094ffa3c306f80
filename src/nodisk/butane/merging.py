"""Ignition's merge rules: a child config over a parent config of the same spec version.

Scalars: the child's, if it has one. Mappings: field by field. Lists: items with the same key are merged in the
parent's place, the child's other items follow; lists without keys are appended. A file, a directory and a link with
the same path replace one another, and so do kernel arguments that one config wants and the other does not.

``Trace`` records where each part of the result came from, so that a message about the result can name the source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from nodisk.butane.compiled import ignition_schema
from nodisk.butane.fields import MAX_SPEC
from nodisk.butane.paths import Path
from nodisk.butane.schema import CField, CStruct, emit, key_of

Values = dict[str, Any]


class Origin(NamedTuple):
    """A part of a merge's result and where it came from."""

    child: bool
    source: Path
    result: Path


Trace = list[Origin]


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> Values:
    """``overlay`` merged over ``base``; both are Ignition configs of the same spec version 3.0.0 to 3.6.0.

    Raises ValueError if they are not. Neither argument is changed.
    """
    versions = [config.get("ignition", {}).get("version") for config in (base, overlay)]
    known = [f"3.{minor}.0" for minor in range(MAX_SPEC + 1)]
    if versions[0] != versions[1] or versions[0] not in known:
        raise ValueError(
            f"can't merge Ignition {versions[1]} over {versions[0]}: both must be the same, 3.0.0 to 3.6.0"
        )
    schema = ignition_schema(known.index(cast("str", versions[0])))
    return emit(schema, merge_values(schema, base, overlay))


def merge_values(
    struct: CStruct, parent: Mapping[str, Any], child: Mapping[str, Any], trace: Trace | None = None
) -> Values:
    """The same for any struct, with an optional trace."""
    return _merge(struct, parent, child, ((), (), ()), trace)


_Paths = tuple[Path, Path, Path]
"""Where the parent's, the child's and the result's part are."""


def _note_all(trace: Trace, field: CField, value: Any, origin: Origin) -> bool:
    """Record a value taken whole, with all that is in it; returns whether there was anything."""
    child, source, result = origin
    if field.kind == "list":
        found = False
        for index, item in enumerate(value):
            place = Origin(child, (*source, index), (*result, index))
            if isinstance(field.item, CStruct):
                found = _note_struct(trace, field.item, item, place) or found
            elif item:
                trace.append(place)
                found = True
    elif isinstance(field.item, CStruct):
        return _note_struct(trace, field.item, value, origin)
    else:
        found = bool(value) or not field.zero
    if found:
        trace.append(origin)
    return found


def _note_struct(trace: Trace, struct: CStruct, value: Values, origin: Origin) -> bool:
    found = False
    for field in struct.fields:
        name = cast("str", field.json)
        if value.get(name) is not None:
            place = Origin(origin.child, (*origin.source, name), (*origin.result, name))
            found = _note_all(trace, field, value[name], place) or found
    if found:
        trace.append(origin)
    return found


def _note_both(trace: Trace | None, paths: _Paths) -> None:
    """Record a part that both configs contributed to."""
    if trace is not None:
        trace.append(Origin(False, paths[0], paths[2]))
        trace.append(Origin(True, paths[1], paths[2]))


def _merge(
    struct: CStruct, parent: Mapping[str, Any], child: Mapping[str, Any], places: _Paths, trace: Trace | None
) -> Values:
    result: Values = {}
    moved = _moved_keys(struct, child)
    for field in struct.fields:
        name = cast("str", field.json)
        old, new = parent.get(name), child.get(name)
        paths = (*places[0], name), (*places[1], name), (*places[2], name)
        if field.kind == "list":
            if old or new:
                lists = (old or [], new or [])
                result[name] = _Lists(field, moved.get(field.group, {}), lists, paths, trace).merge()
            continue
        if field.kind == "map" and (old or new or field.pointer):
            if old is not None and new is not None and ((old and new) or field.pointer):
                result[name] = _merge(cast("CStruct", field.item), old, new, paths, trace)
                _note_both(trace, paths)
                continue
            taken, from_child = (new, True) if new or old is None else (old, False)
        else:
            # A plain field of the parent is lost where the child's is zero: Go can't tell absent from zero.
            from_child = new is not None or (field.zero and not _embedded_zero(struct, field, child))
            taken = new if from_child else old
        if taken is not None:
            result[name] = taken
            if trace is not None:
                _note_all(trace, field, taken, Origin(from_child, paths[from_child], paths[2]))
    return result


def _embedded_zero(struct: CStruct, field: CField, child: Mapping[str, Any]) -> bool:
    """Specs before 3.3.0: a link's ``target`` and ``hard`` are taken from the parent if the child has neither."""
    return struct.name == "Link" and field.json == "target" and child.get("hard") is None


def _moved_keys(struct: CStruct, child: Mapping[str, Any]) -> dict[str, dict[str, tuple[str, int]]]:
    """group → key → (field, index) of the child's items, over all lists of the group."""
    keys: dict[str, dict[str, tuple[str, int]]] = {}
    for field in struct.fields:
        if field.kind == "list" and field.unique:
            name = cast("str", field.json)
            places = keys.setdefault(field.group, {}) if field.group else {}
            for index, item in enumerate(child.get(name) or ()):
                places[key_of(field.item, item)] = (name, index)
    return keys


class _Lists:
    """Two lists on their way to one."""

    def __init__(
        self,
        field: CField,
        group: Mapping[str, tuple[str, int]],
        lists: tuple[Sequence[Any], Sequence[Any]],
        paths: _Paths,
        trace: Trace | None,
    ) -> None:
        self.field = field
        self.group = group
        self.lists = lists
        self.paths = paths
        self.trace = trace
        self.out: list[Any] = []
        self.used = {False: False, True: False}
        """Whether something came from the parent (False) or the child (True)."""

    def _take(self, item: Any, index: int, *, child: bool) -> None:
        """An item as it is."""
        self.used[child] = True
        if self.trace is not None:
            place = Origin(child, (*self.paths[child], index), (*self.paths[2], len(self.out)))
            if isinstance(self.field.item, CStruct):
                _note_struct(self.trace, self.field.item, item, place)
            elif item:
                self.trace.append(place)
        self.out.append(item)

    def merge(self) -> list[Any]:
        """The merged list."""
        old, new = self.lists
        if self.field.unique:
            self._join()
        else:
            for index, item in enumerate(old):
                self._take(item, index, child=False)
            for index, item in enumerate(new):
                self._take(item, index, child=True)
        if self.trace is not None:
            for child in (False, True):
                if self.used[child]:
                    self.trace.append(Origin(child, self.paths[child], self.paths[2]))
        return self.out

    def _join(self) -> None:
        """By key: the parent's places, the child's new items after them."""
        old, new = self.lists
        inner, name = self.field.item, cast("str", self.field.json)
        places = self.group if self.field.group else {key_of(inner, item): (name, at) for at, item in enumerate(new)}
        for index, item in enumerate(old):
            place = places.get(key_of(inner, item))
            if place is None:
                self._take(item, index, child=False)
            elif place[0] == name:  # else the child has it in another list, and there it stays
                self.used[False] = True
                self._both(item, index, new[place[1]], place[1])
        keys = {key_of(inner, item) for item in old}
        for index, item in enumerate(new):
            if key_of(inner, item) not in keys:
                self._take(item, index, child=True)

    def _both(self, old: Any, old_index: int, new: Any, new_index: int) -> None:
        self.used[True] = True
        if not isinstance(self.field.item, CStruct):
            self._take(new, new_index, child=True)
        elif self.field.json != "httpHeaders" or new.get("value") is not None:  # a header without value is removed
            paths = (*self.paths[0], old_index), (*self.paths[1], new_index), (*self.paths[2], len(self.out))
            self.out.append(_merge(self.field.item, old, new, paths, self.trace))
            _note_both(self.trace, paths)


class Conflict(NamedTuple):
    """Something that both configs define."""

    what: str
    """``file``, ``directory``, ``link``, ``unit``, ``user``, ``group``, ``filesystem``, ``disk`` …"""
    name: str
    """Its path, name or device."""
    field: str
    """The field that both set to different values (``contents``); "" if the two merge without loss."""


_SINGULAR = {
    "directories": "directory",
    "files": "file",
    "links": "link",
    "disks": "disk",
    "filesystems": "filesystem",
    "luks": "encrypted volume",
    "raid": "RAID array",
    "units": "unit",
    "users": "user",
    "groups": "group",
    "dropins": "drop-in",
    "shouldExist": "kernel argument",
    "shouldNotExist": "kernel argument",
}


def shared(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> Iterator[Conflict]:
    """What both configs define, each with the field in which they differ.

    Fields that only one of them sets don't differ; lists that merging appends or joins don't either, except drop-ins
    of the same name, which are compared in turn.
    """
    schema = ignition_schema(MAX_SPEC)
    for section in ("kernelArguments", "passwd", "storage", "systemd"):
        struct = cast("CStruct", schema.by_json[section].item)
        yield from _shared(struct, base.get(section) or {}, overlay.get(section) or {}, "")


def _shared(struct: CStruct, base: Mapping[str, Any], overlay: Mapping[str, Any], prefix: str) -> Iterator[Conflict]:
    for field in struct.fields:
        if field.kind != "list" or not field.unique or field.json not in _SINGULAR:
            continue
        for other in struct.fields:
            if other is not field and (not field.group or other.group != field.group):
                continue
            mine = {key_of(field.item, item): item for item in base.get(field.json) or ()}
            for item in overlay.get(other.json or "") or ():
                key = key_of(other.item, item)
                if key not in mine:
                    continue
                what = _SINGULAR[field.json]
                if other is not field:
                    now = "unwanted" if what == "kernel argument" else f"now a {_SINGULAR[cast('str', other.json)]}"
                    yield Conflict(what, prefix + key, now)
                elif isinstance(field.item, CStruct):
                    yield Conflict(what, prefix + key, _differing(field.item, mine[key], item, ""))
                    yield from _shared(field.item, mine[key], item, f"{prefix}{key} ")


def _differing(struct: CStruct, base: Mapping[str, Any], overlay: Mapping[str, Any], prefix: str) -> str:
    """The first field that both set, differently; "" if there is none."""
    for field in struct.fields:
        name = cast("str", field.json)
        old, new = base.get(name), overlay.get(name)
        if old is None or new is None or old == new or field.kind == "list":
            continue
        if isinstance(field.item, CStruct):
            inner = _differing(field.item, old, new, f"{prefix}{name}.")
            if inner:
                return inner
        else:
            return prefix + name
    return ""
