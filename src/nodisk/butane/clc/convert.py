"""A checked Container Linux Config → the values of an Ignition 2.x config."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from nodisk.butane import gourl, resources
from nodisk.butane.clc import services
from nodisk.butane.gojson import quote
from nodisk.butane.localfiles import FilesDir, LocalError
from nodisk.butane.pattern import Pattern
from nodisk.butane.report import Entry
from nodisk.butane.schema import CStruct, camel
from nodisk.butane.yamltree import SEQUENCE, Node

Values = Mapping[str, Any]

TYPE_GUIDS = {
    "raid_containing_root": "be9067b9-ea49-4f15-b4f6-f36f8c9e1818",
    "linux_filesystem_data": "0fc63daf-8483-4772-8e79-3d69d8477de4",
    "swap_partition": "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
    "raid_partition": "a19d880f-05fc-4d3b-a006-743f0f84911e",
}
NO_FOLDER = "local files require setting the --files-dir flag to the directory that contains the file"
_UNITS = [
    {"B": 1} | {prefix + suffix: 1024**power for power, prefix in enumerate("KMGTPE", 1)} for suffix in ("iB", "B")
]
_AMOUNT = Pattern(r"(\d*)(?:\.(\d*))?([^.0-9]*)", re.ASCII)
_SECTOR = 512
_MIB = 1024 * 1024


def size(text: str) -> int:
    """Bytes of ``1GiB``, ``1.5GB512MB`` (both to the base of 1024, but not both in one). Raises ValueError."""
    try:
        return _size(text, _UNITS[0])
    except ValueError:
        return _size(text, _UNITS[1])


def _size(text: str, units: Mapping[str, int]) -> int:
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total = 0.0
    place = 0
    while place < len(rest) or not rest:
        match = _AMOUNT.match(rest, place)
        if match is None or not (match[1] or match[2]) or len(match[1]) > 18:
            raise ValueError(f"units: invalid {text}")
        if match[3] not in units:
            raise ValueError(f"units: unknown unit {match[3]} in {text}")
        total += float(f"{match[1] or 0}.{match[2] or 0}") * units[match[3]]
        place = match.end()
    if total > 2**63 - 1:
        raise ValueError("units: overflow parsing unit")
    return -int(total) if negative else int(total)


class Converter:
    """One document on its way to Ignition 2.``target``."""

    def __init__(self, target: int, platform: str, files: FilesDir, root: Node | None) -> None:
        self.target = target
        self.platform = platform
        self.files = files
        self.root = root
        self.entries: list[Entry] = []

    def _error(self, message: str, path: tuple[str | int, ...]) -> None:
        """An error at the node of ``path``, if the document has it."""
        node = self._node(path)
        place = (node.line, node.column) if node is not None else (None, None)
        self.entries.append(Entry("error", message, None, *place))

    def _node(self, path: tuple[str | int, ...]) -> Node | None:
        node = self.root
        for part in path:
            if node is None:
                return None
            if isinstance(part, str):
                node = node.child(part)
            else:
                node = node.children[part] if node.kind == SEQUENCE and part < len(node.children) else None
        return node

    def convert(self, config: Values, etcd: CStruct, flannel: CStruct, locksmith: CStruct) -> dict[str, Any]:
        """The values; ``entries`` then holds what could not be converted."""
        storage = config.get("storage", {})
        units = services.metadata_units(self.platform)
        if "docker" in config:
            units.append(services.docker_unit(config["docker"]))
        for name, struct, make in (("etcd", etcd, services.etcd_unit), ("flannel", flannel, services.flannel_unit)):
            if name in config:
                try:
                    units.append(make(config[name], struct, self.platform))
                except services.ServiceError as error:
                    self.entries.append(Entry("error", str(error)))
        units += [_renamed(unit) for unit in config.get("systemd", {}).get("units", ())]
        files = [one for at, file in enumerate(storage.get("files", ())) if (one := self._file(file, at)) is not None]
        fields = tuple(locksmith.by_name.values())
        text = services.update_conf(config.get("update"), config.get("locksmith"), fields)
        if text:
            contents = {"source": "data:," + resources.escape(text.encode("utf-8", "surrogateescape"))}
            files.append({"filesystem": "root", "path": "/etc/coreos/update.conf", "mode": 0o644, "contents": contents})
        return {
            "ignition": self._ignition(config.get("ignition", {})),
            "networkd": {"units": [_renamed(unit) for unit in config.get("networkd", {}).get("units", ())]},
            "passwd": {
                "users": [_user(user) for user in config.get("passwd", {}).get("users", ())],
                "groups": [_renamed(group) for group in config.get("passwd", {}).get("groups", ())],
            },
            "storage": {
                "directories": [self._node_values(one, 0o755) for one in storage.get("directories", ())],
                "disks": [self._disk(disk, index) for index, disk in enumerate(storage.get("disks", ()))],
                "files": files,
                "filesystems": [_renamed(one) for one in storage.get("filesystems", ())],
                "links": [self._node_values(one, None) for one in storage.get("links", ())],
                "raid": [_renamed(one) for one in storage.get("raid", ())],
            },
            "systemd": {"units": units},
        }

    def _ignition(self, ignition: Values) -> dict[str, Any]:
        config = ignition.get("config", {})
        out: dict[str, Any] = {"timeouts": _renamed(ignition.get("timeouts", {})), "version": f"2.{self.target}.0"}
        append = [
            self._reference(one, ("ignition", "config", "append", index))
            for index, one in enumerate(config.get("append", ()))
        ]
        out["config"] = {"append": [one for one in append if one is not None]}
        if "replace" in config:
            out["config"]["replace"] = self._reference(config["replace"], ("ignition", "config", "replace"))
        authorities = ignition.get("security", {}).get("tls", {}).get("certificate_authorities", ())
        listed = [{"source": one.get("source", ""), "verification": _verification(one)} for one in authorities]
        out["security"] = {"tls": {"certificateAuthorities": listed}}
        return out

    def _reference(self, reference: Values, path: tuple[str | int, ...]) -> dict[str, Any] | None:
        source = reference.get("source", "")
        try:
            gourl.parse(source)
        except gourl.BadUrl as error:
            self._error(f"parse {quote(source)}: {error}", (*path, "source"))
            return None
        return {"source": source, "verification": _verification(reference)}

    def _disk(self, disk: Values, index: int) -> dict[str, Any]:
        partitions = []
        for place, partition in enumerate(disk.get("partitions", ())):
            path = ("storage", "disks", index, "partitions", place)
            out = {
                camel(name): partition[name] for name in ("label", "number", "guid", "type_guid") if name in partition
            }
            out["typeGuid"] = TYPE_GUIDS.get(out.get("typeGuid", ""), out.get("typeGuid", ""))
            try:
                for name in ("size", "start"):
                    place_of = name
                    self._dimension(partition.get(name, ""), name, out)
            except ValueError as error:
                self._error(str(error), (*path, place_of))
                continue
            partitions.append(out)
        return {"device": disk.get("device", ""), "wipeTable": disk.get("wipe_table"), "partitions": partitions}

    def _dimension(self, text: str, name: str, out: dict[str, Any]) -> None:
        """Sectors before Ignition 2.3.0, MiB since. Raises ValueError."""
        if not text:
            return
        number = size(text)
        if number < 0:
            raise ValueError(f'invalid dimension (negative): "{text}"')
        if self.target < 3:
            out[name] = -(-number // _SECTOR)
        elif number % _MIB:
            raise ValueError("invalid dimension (finest granularity is 1MiB)")
        else:
            out[name + "MiB"] = number // _MIB

    def _node_values(self, node: Values, mode: int | None) -> dict[str, Any]:
        """What files, directories and links have in common; the filesystem's default is newer than 2.2.0."""
        out = {camel(name): value for name, value in node.items() if name != "contents"}
        if self.target >= 3:
            out["filesystem"] = out.get("filesystem") or "root"
        out.setdefault("path", "")
        if mode is not None:
            out.setdefault("mode", mode)
        elif self.target >= 3:
            out.setdefault("target", "")
        return out

    def _file(self, file: Values, index: int) -> dict[str, Any] | None:
        out = self._node_values(file, 0o644)
        contents = file.get("contents", {})
        remote = contents.get("remote", {})
        source = None
        path = ("storage", "files", index, "contents")
        if contents.get("inline"):
            source = "data:," + resources.escape(contents["inline"].encode("utf-8", "surrogateescape"))
        if contents.get("local"):
            try:
                if not self.files.root:
                    raise LocalError(NO_FOLDER)
                source = "data:," + resources.escape(self.files.read(posixpath.normpath(contents["local"])))
            except LocalError as error:
                self._error(str(error), (*path, "local"))
                return None
        if remote.get("url"):
            try:
                source = gourl.normal(remote["url"])
            except gourl.BadUrl as error:
                self._error(f"parse {quote(remote['url'])}: {error}", (*path, "remote", "url"))
                return None
        out["contents"] = {
            "source": source or "data:,",
            "compression": remote.get("compression", ""),
            "verification": _verification(remote),
        }
        return out


def _renamed(value: Any) -> Any:
    """The same with keys in camelCase; required strings are there."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {camel(name): _renamed(item) for name, item in value.items()}


def _user(user: Values) -> dict[str, Any]:
    out: dict[str, Any] = _renamed(user)
    out.setdefault("name", "")
    return out


def _verification(value: Values) -> dict[str, Any]:
    parts = value.get("verification", {}).get("hash", {})
    if parts.get("function") and parts.get("sum"):
        return {"hash": f"{parts['function']}-{parts['sum']}"}
    return {}
