"""``storage.trees``: a local folder as files, links and, where they need owners or modes, directories."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from typing import Any, cast

from nodisk.butane import resources
from nodisk.butane.compiled import ignition_schema
from nodisk.butane.context import Context, all_paths
from nodisk.butane.localfiles import NO_FOLDER, LocalError, relative
from nodisk.butane.paths import Path
from nodisk.butane.schema import CStruct

Values = dict[str, Any]

MAX_NODES = 100_000
"""Of one tree."""

EXISTS = "matching filesystem node has existing contents or different type"


class _Nodes:
    """The files, directories and links of a config by path."""

    def __init__(self, storage: Values) -> None:
        self.storage = storage
        self.index = {
            kind: {node.get("path", ""): place for place, node in enumerate(storage.get(kind) or ())}
            for kind in ("files", "directories", "links")
        }

    def find(self, kind: str, path: str) -> tuple[int, Values] | None:
        """The node of that kind, and its index."""
        place = self.index[kind].get(path)
        return None if place is None else (place, self.storage[kind][place])

    def taken(self, path: str) -> bool:
        """Whether there is a node of any kind."""
        return any(path in places for places in self.index.values())

    def add(self, kind: str, node: Values) -> int:
        """Append a node; its index."""
        nodes = self.storage.setdefault(kind, [])
        nodes.append(node)
        self.index[kind][node["path"]] = len(nodes) - 1
        return len(nodes) - 1


def add(trees: Sequence[Values], config: Values, context: Context) -> None:
    """Put every tree into ``config``; problems go to the tree's path."""
    if not trees:
        return
    storage = config.setdefault("storage", {})
    nodes = _Nodes(storage)
    for index, tree in enumerate(trees):
        path: Path = ("storage", "trees", index)
        if not context.files.root:
            context.found.error(path, NO_FOLDER)
            return
        try:
            base = context.files.path(tree.get("local", ""))
            if not context.files.is_folder(base):
                raise LocalError("root of tree must be a directory")
        except LocalError as error:
            context.found.error(path, str(error))
            continue
        _Tree(tree, base, path, nodes, context).embed()


class _Tree:
    """One tree on its way into the config."""

    def __init__(self, tree: Values, base: str, path: Path, nodes: _Nodes, context: Context) -> None:
        self.tree = tree
        self.base = base
        self.path = path
        self.nodes = nodes
        self.context = context
        self.owners = {name: dict(tree[name]) for name in ("user", "group") if tree.get(name)}

    def embed(self) -> None:
        """Walk in lexical order, folders before what is in them."""
        target = self.tree.get("path") or "/"
        for count, (path, mode) in enumerate(self._walk(self.base)):
            if count >= MAX_NODES:
                self._error(f"tree has more than {MAX_NODES} entries")
                return
            below = relative(path, self.base)
            destination = (
                posixpath.normpath(posixpath.join(target, below)) if below != "." else posixpath.normpath(target)
            )
            if destination.startswith("//"):
                destination = destination[1:]
            if stat.S_ISDIR(mode):
                self._directory(destination)
            elif stat.S_ISREG(mode):
                self._file(path, destination, mode)
            elif stat.S_ISLNK(mode):
                self._link(path, destination)
            else:
                self._error("trees may only contain files, directories, and symlinks")

    def _walk(self, root: str) -> Iterator[tuple[str, int]]:
        waiting = [root]
        while waiting:
            path = waiting.pop()
            try:
                mode = os.lstat(path).st_mode
                names = sorted(os.listdir(path), key=os.fsencode) if stat.S_ISDIR(mode) else []  # noqa: PTH208
            except OSError as error:
                self._error(f"open {path}: {(error.strerror or '').lower()}")
                continue
            yield path, mode
            waiting += [f"{path}/{name}" for name in reversed(names)]

    def _error(self, message: str) -> None:
        self.context.found.error(self.path, message)

    def _new(self, kind: str, node: Values) -> int:
        index = self.nodes.add(kind, node)
        if self.context.sources is not None:
            storage = cast("CStruct", ignition_schema(self.context.version.spec).by_json["storage"].item)
            struct = cast("CStruct", storage.by_json[kind].item)
            for path in all_paths(struct, node):
                self.context.from_path(self.path, ("storage", kind, index, *path))
            self.context.from_path(self.path, ("storage", kind, index))
            if index == 0:
                self.context.from_path(self.path, ("storage", kind))
        return index

    def _directory(self, destination: str) -> None:
        if "dir_mode" not in self.tree and not self.owners:
            return
        if self.nodes.taken(destination):
            self._error(EXISTS)
            return
        mode = self.tree.get("dir_mode", 0o755)
        self._new("directories", {"path": destination, **self.owners, "mode": mode})

    def _file(self, path: str, destination: str, mode: int) -> None:
        found = self.nodes.find("files", destination)
        if found is None and self.nodes.taken(destination):
            self._error(EXISTS)
            return
        if found is not None and found[1].get("contents", {}).get("source"):
            self._error(EXISTS)
            return
        if found is None:
            index = self._new("files", {"path": destination, **self.owners})
            file = self.nodes.storage["files"][index]
        else:
            index, file = found
        try:
            data = self.context.files.read_path(path)
        except LocalError as error:
            self._error(str(error))
            return
        contents = file.setdefault("contents", {})
        contents["source"], compression = resources.data_url(data, contents.get("compression"))
        place = ("storage", "files", index)
        self.context.from_path(self.path, (*place, "contents", "source"))
        if compression is not None:
            contents["compression"] = compression
            self.context.from_path(self.path, (*place, "contents", "compression"))
        self.context.from_path(self.path, (*place, "contents"))
        if "mode" not in file:
            file["mode"] = self.tree.get("file_mode", 0o755 if mode & 0o111 else 0o644)
            self.context.from_path(self.path, (*place, "mode"))

    def _link(self, path: str, destination: str) -> None:
        found = self.nodes.find("links", destination)
        if found is None:
            if self.nodes.taken(destination):
                self._error(EXISTS)
                return
            index = self._new("links", {"path": destination, **self.owners})
            link = self.nodes.storage["links"][index]
        else:
            index, link = found
            if link.get("target"):
                self._error(EXISTS)
                return
        link["target"] = os.readlink(path)  # noqa: PTH115 - a target is text, not a Path: "./a" stays
        self.context.from_path(self.path, ("storage", "links", index, "target"))
