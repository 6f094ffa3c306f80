"""A checked Butane document → an Ignition config, and where each part of it came from.

Most of it is renaming keys, which the schema says how to do. What Butane adds on top is resolved here (content to
``data:`` URLs, keys and units from files) and in ``mounts``, ``trees`` and ``bootdevice``.
"""

from __future__ import annotations

from typing import Any, cast

from nodisk.butane import resources
from nodisk.butane.context import Context
from nodisk.butane.paths import Path
from nodisk.butane.schema import CStruct

Values = dict[str, Any]


def translate(struct: CStruct, document: Values, context: Context) -> Values:
    """The Ignition config. If ``context.found`` then holds an error, it is not usable."""
    version = context.version
    ignition: Values = {}
    if "ignition" in document:
        field = struct.by_name["ignition"]
        ignition = _struct(cast("CStruct", field.item), document["ignition"], context, ("ignition",), ("ignition",))
    config: Values = {"ignition": {**ignition, "version": f"3.{version.spec}.0"}}
    context.from_path(("version",), ("ignition", "version"))
    context.from_path(("ignition",), ("ignition",))
    for name in ("kernel_arguments", "passwd", "storage", "systemd"):
        field_ = struct.by_name.get(name)
        if field_ is not None and name in document:
            json = cast("str", field_.json)
            config[json] = _struct(cast("CStruct", field_.item), document[name], context, (name,), (json,))
            if document[name]:
                context.from_path((name,), (json,))
    return _sections(document, config, context)


def _sections(document: Values, config: Values, context: Context) -> Values:
    """What whole sections of sugar add. Each is imported only where it is used: a process has 0.15 s in all."""
    storage = document.get("storage", {})
    if storage.get("filesystems"):
        from nodisk.butane import mounts  # noqa: PLC0415

        config = mounts.add(storage, config, context)
    if storage.get("trees"):
        from nodisk.butane import trees  # noqa: PLC0415

        trees.add(storage["trees"], config, context)
    if context.version.fcos is not None and not context.found.fatal:
        from nodisk.butane import bootdevice  # noqa: PLC0415

        config = bootdevice.add(document, config, context)
    return config


def _struct(struct: CStruct, values: Values, context: Context, path: Path, result: Path) -> Values:
    out: Values = {}
    for name, value in values.items():
        field = struct.by_name[name]
        if field.json is None:
            continue
        here, there = (*path, name), (*result, field.json)
        if field.kind == "map":
            out[field.json] = _struct(cast("CStruct", field.item), value, context, here, there)
            if value:
                context.from_path(here, there)
            continue
        if field.kind == "list":
            if isinstance(field.item, CStruct):
                inner = field.item
                out[field.json] = [
                    _struct(inner, item, context, (*here, index), (*there, index)) for index, item in enumerate(value)
                ]
            else:
                out[field.json] = list(value)
            if context.sources is not None:
                for index, item in enumerate(value):
                    if item or not isinstance(field.item, CStruct):
                        context.from_path((*here, index), (*there, index))
        else:
            out[field.json] = value
        context.from_path(here, there)
    sugar = _SUGAR.get(struct.name)
    if sugar is not None:
        sugar(values, out, context, path, result)
    return out


def _resource(values: Values, out: Values, context: Context, path: Path, result: Path) -> None:
    for name in ("local", "inline"):
        if name not in values:
            continue
        if name == "local":
            data = context.read(values["local"], (*path, "local"))
            if data is None:
                return
        else:
            data = values["inline"].encode("utf-8", "surrogateescape")
        if context.version.spec == 0:
            out["source"] = "data:," + resources.escape(data)
        else:
            out["source"], compression = resources.data_url(data, out.get("compression"))
            if compression is not None:
                out["compression"] = compression
                context.from_path((*path, name), (*result, "compression"))
        context.from_path((*path, name), (*result, "source"))


def _user(values: Values, out: Values, context: Context, path: Path, result: Path) -> None:
    local = values.get("ssh_authorized_keys_local")
    if not local:
        return
    here, there = (*path, "ssh_authorized_keys_local"), (*result, "sshAuthorizedKeys")
    context.from_path(here, there)
    if not context.files.root:
        context.read("", here)
        return
    keys = out.setdefault("sshAuthorizedKeys", [])
    for index, name in enumerate(local):
        data = context.read(name, (*here, index))
        for line in (data or b"").decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n"):
            if line:
                context.from_path((*here, index), (*there, len(keys)))
                keys.append(line)


def _unit(values: Values, out: Values, context: Context, path: Path, result: Path) -> None:
    local = values.get("contents_local")
    if local:
        data = context.read(local, (*path, "contents_local"))
        if data is not None:
            out["contents"] = data.decode("utf-8", "surrogateescape")
            context.from_path((*path, "contents_local"), (*result, "contents"))


_SUGAR = {"Resource": _resource, "PasswdUser": _user, "Unit": _unit, "Dropin": _unit}
