"""Container Linux Config → Ignition 2.1.0, 2.2.0 or 2.3.0, as CoreOS' ``ct`` does it."""

from __future__ import annotations

import os
from typing import Any, cast

from nodisk.butane.clc import ignition2, services, source_rules
from nodisk.butane.clc.convert import Converter
from nodisk.butane.clc.fields import CONFIG, TARGETS
from nodisk.butane.clc.walk import judge
from nodisk.butane.clc.yamlv2 import OldDecoder
from nodisk.butane.goscanner import YamlError
from nodisk.butane.localfiles import FilesDir
from nodisk.butane.report import Entry, Report
from nodisk.butane.schema import CStruct, compile_
from nodisk.butane.translation import Result
from nodisk.butane.yamltree import Node, parse

__all__ = ["translate"]

FAILED = "Failed to parse config"


def translate(
    text: str | bytes,
    *,
    to: str = "2.3.0",
    platform: str = "",
    files_dir: str | os.PathLike[str] | None = None,
    strict: bool = False,
) -> Result:
    """Translate a Container Linux Config to Ignition ``to``.

    ``platform``: where ``{PRIVATE_IPV4}`` and the like come from, ``ec2`` for instance. ``files_dir`` and ``strict``:
    as for Butane. Nothing is raised for any ``text``; ValueError for a version that is not one of the three.
    """
    if to not in TARGETS:
        raise ValueError(f"Ignition {to}: known are {', '.join(TARGETS)}")
    target = TARGETS[to]
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        root, values, structs = _read(data, target)
    except YamlError as error:
        return _failed([Entry("error", str(error))])
    except _Misfits as error:
        return _failed(error.entries)
    entries = []
    if root is None:
        entries.append(Entry("warning", "Configuration is empty"))
    shape = source_rules.shape_of(structs["Config"], target)
    entries += judge(shape, values, root, lambda name: name, unused=True)
    if _bad(entries, strict):
        return _failed(entries)
    # Only what is wrong up to here is a config that can't be parsed; what follows speaks for itself.
    if platform and platform not in services.PLATFORMS:
        return _failed([*entries, Entry("error", "unsupported platform")], "")
    converter = Converter(target, platform, FilesDir(files_dir), root)
    config = converter.convert(values, structs["Etcd"], structs["Flannel"], structs["Locksmith"])
    entries += converter.entries
    if not _bad(entries, False):
        document = _as_ignition(root) if root is not None else None
        entries += judge(ignition2.shape(target), config, document, _camel, unused=False)
    if _bad(entries, strict):
        return _failed(entries, "")
    return Result(cast("dict[str, object]", ignition2.emit("Config", config, target)), Report(entries))


def _bad(entries: list[Entry], strict: bool) -> bool:
    return bool(entries) if strict else any(entry.severity == "error" for entry in entries)


def _failed(entries: list[Entry], words: str = FAILED) -> Result:
    return Result(None, Report(entries, words))


class _Misfits(Exception):
    """Values of the wrong type."""

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__()
        self.entries = entries


def _read(data: bytes, target: int) -> tuple[Node | None, dict[str, Any], dict[str, CStruct]]:
    """The document, its values, and the structs by name. Raises YamlError, _Misfits."""
    root = parse(data, old=True)
    struct = compile_(CONFIG, target, None)
    locksmith = cast("CStruct", struct.by_name["locksmith"].item)
    if target == 1:
        for name, field in locksmith.by_name.items():
            locksmith.by_name[name] = field._replace(zero=True)
    decoder = OldDecoder(old_options=target == 1)
    try:
        values = decoder.document(root, struct) if root is not None else {}
    except services.ServiceError as error:
        raise _Misfits([Entry("error", str(error))]) from error
    if decoder.errors:
        lines = "".join(f"\n  line {error.line}: {error.message}" for error in decoder.errors)
        raise _Misfits([Entry("error", f"yaml: unmarshal errors:{lines}")])
    structs = {"Config": struct, "Locksmith": locksmith}
    for name in ("etcd", "flannel"):
        structs[name.capitalize()] = section = decoder.section(name)
        struct.by_name[name] = struct.by_name[name]._replace(item=section)
    return root, values, structs


def _camel(name: str) -> str:
    """A key of the document in Ignition's spelling."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _as_ignition(root: Node) -> Node:
    """The document in the shape of the Ignition config: a file's remote content is its content."""
    storage = root.child("storage")
    files = storage.child("files") if storage is not None else None
    if files is None or files.kind != "seq":
        return root
    for file in files.children:
        contents = file.child("contents")
        remote = contents.child("remote") if contents is not None else None
        url = remote.child("url") if remote is not None else None
        if contents is None or remote is None or url is None or not url.value:
            continue
        for index in range(0, len(file.children), 2):
            if file.children[index].value == "contents":
                file.children[index + 1] = remote
        remote.rename("url", "source")
    return root
