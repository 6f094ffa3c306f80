"""The rules of Ignition 2.1.0, 2.2.0 and 2.3.0, by the mapping or the field that each judges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodisk.butane import dataurl, gourl
from nodisk.butane.clc.ignition2_unit_rules import UnitRules
from nodisk.butane.clc.walk import Rule, Said
from nodisk.butane.gojson import quote
from nodisk.butane.pattern import Pattern
from nodisk.butane.report import Severity
from nodisk.butane.rules_storage import byte_length

_LABEL_LIMITS = {"ext4": 16, "btrfs": 256, "xfs": 12, "swap": 15, "vfat": 11}
_GUID = Pattern(r"(?:[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})?")
_STRIPED = ("linear", "raid0", "0", "stripe")
_LEVELS = (*_STRIPED, "raid1", "1", "mirror", "raid4", "4", "raid5", "5", "raid6", "6", "raid10", "10")
_CREATE_CLASHES = [
    "gecos",
    "groups",
    "homeDir",
    "noCreateHome",
    "noLogInit",
    "noUserGroup",
    "primaryGroup",
    "shell",
    "system",
]


class Rules:
    """Ignition 2.x's rules; 2.1.0 has fewer of them, and words some otherwise."""

    def __init__(self, target: int) -> None:
        self.target = target

    def table(self) -> dict[str, dict[str, Rule]]:
        """Struct → "" its own rule · a field's name: a rule of the mapping that is placed there."""
        source: dict[str, Rule] = {"source": self._source}
        node: dict[str, Rule] = {"filesystem": self._filesystem_name, "path": self._node_path}
        links: dict[int, dict[str, Rule]] = {1: {"": self._target}, 2: {"target": self._target}}
        return {
            "Config": {"": self._config},
            "ConfigReference": source,
            "CaReference": source,
            "Verification": {"": self._verification},
            "PasswdUser": {"": self._user},
            "Disk": {"device": self._device, "partitions": self._partitions},
            "Partition": {"label": self._label, "guid": self._guid, "typeGuid": self._type_guid},
            "File": {**node, "": self._file, "mode": self._mode},
            "Directory": {**node, "mode": self._mode},
            "Link": {**node, **links.get(self.target, {})},
            "NodeUser": {"": self._owner},
            "NodeGroup": {"": self._owner},
            "FileContents": {"compression": self._compression, "source": self._file_source},
            "Filesystem": {"": self._filesystem, "path": self._filesystem_path},
            "Mount": {"": self._format, "device": self._mount_device, "label": self._mount_label},
            "Raid": {"level": self._level, "devices": self._devices},
            **UnitRules(self.target).table(),
        }

    def _config(self, values: Any) -> Said:
        storage = values.get("storage", {})
        known = {"root", *(filesystem.get("name", "") for filesystem in storage.get("filesystems", ()))}
        for kind, word in (("files", "File"), ("links", "Link"), ("directories", "Directory")):
            for node in storage.get(kind, ()):
                if node.get("filesystem") and node["filesystem"] not in known:
                    where = f"{word} {quote(node.get('path', ''))}"
                    what = f"references nonexistent filesystem {quote(node['filesystem'])}."
                    yield "warning", f"{where} {what} (This is ok if it is defined in a referenced config)"
        seen = {"root"}
        for filesystem in storage.get("filesystems", ()):
            name = filesystem.get("name", "")
            if name in seen:
                yield "warning", f"Filesystem {quote(name)} shadows exising filesystem definition"
            seen.add(name)

    def _url(self, source: str) -> str | None:
        """What is wrong with a URL; an empty one means an empty file."""
        if not source:
            return None
        try:
            url = gourl.parse(source)
        except gourl.BadUrl as error:
            return f"parse {quote(source)}: {error}" if self.target == 1 else "unable to parse url"
        if url.scheme in ("http", "https", "oem", "tftp"):
            return None
        if url.scheme == "s3":
            versions = gourl.query_values(url.query, "versionId") if self.target >= 3 else []
            return "invalid S3 object VersionId" if versions and not versions[0] else None
        return dataurl.problem(source) if url.scheme == "data" else "invalid url scheme"

    def _source(self, values: Any) -> Said:
        problem = self._url(values.get("source", ""))
        if problem:
            yield "error", problem

    def _file_source(self, values: Any) -> Said:
        problem = self._url(values.get("source", ""))
        if problem:
            named = f"invalid url {quote(values['source'])}: {problem}"
            yield "error", problem if self.target == 2 else named

    def _verification(self, values: Any) -> Said:
        if values.get("hash") is None:
            return
        function, dash, total = values["hash"].partition("-")
        if not dash:
            yield "error", "malformed hash specifier"
        elif function != "sha512":
            yield "error", "unrecognized hash function"
        elif byte_length(total) != 128:
            yield "error", "incorrect size for hash sum"

    def _user(self, values: Any) -> Said:
        if values.get("create") is None:
            return
        yield "warning", "the create object has been deprecated in favor of user-level options"
        for name in _CREATE_CLASHES:
            if values.get(name):
                yield "error", f"cannot use both the create object and the user-level {name} field"
        if values.get("uid") is not None:
            yield "error", "cannot use both the create object and the user-level uid field"

    def _device(self, values: Any) -> Said:
        if not values.get("device"):
            yield "error", "disk device is required"
        elif not values["device"].startswith("/"):
            yield "error", "path not absolute"

    def _partitions(self, values: Any) -> Iterator[tuple[Severity, str]]:
        prefix = f"disk {quote(values.get('device', ''))}: " if self.target == 1 else ""
        partitions = values.get("partitions", ())
        numbers = [part["number"] for part in partitions if part.get("number")]
        if len(numbers) != len(set(numbers)):
            yield "error", prefix + "partition numbers collide"
        if self.target < 3 and self._overlap(partitions):
            yield "error", prefix + "partitions overlap"
        if self.target < 3 and any(part.get("start", 0) % 2048 for part in partitions):
            yield "error", prefix + "partitions misaligned"

    def _overlap(self, partitions: Any) -> bool:
        """Only sectors are compared; two partitions that are equal in all count as one."""
        spans = []
        for part in partitions:
            start, size = part.get("start", 0), part.get("size", 0)
            if start:
                spans.append((start, start + size - 1 if size else start, part))
        return any(
            one != other
            and (
                second <= first <= second_end
                or second <= first_end <= second_end
                or (first < second and first_end > second_end)
            )
            for first, first_end, one in spans
            for second, second_end, other in spans
        )

    def _label(self, values: Any) -> Said:
        label = values.get("label") or ""
        if byte_length(label) > 36:
            yield "error", "partition labels may not exceed 36 characters"
        if ":" in label and self.target >= 2:
            yield "warning", "partition label will be truncated to text before the colon"

    def _guid(self, values: Any) -> Said:
        return self._guid_said(values.get("guid", ""))

    def _type_guid(self, values: Any) -> Said:
        return self._guid_said(values.get("typeGuid", ""))

    def _guid_said(self, value: str) -> Said:
        if not _GUID.fullmatch(value):
            yield "error", 'doesn\'t match the form "01234567-89AB-CDEF-EDCB-A98765432101"'

    def _file(self, values: Any) -> Said:
        if values.get("overwrite") and values.get("append"):
            yield "error", "cannot set both append and overwrite to true"

    def _mode(self, values: Any) -> Said:
        if not 0 <= (values.get("mode") or 0) <= 0o7777:
            yield "error", "illegal file mode"

    def _filesystem_name(self, values: Any) -> Said:
        if not values.get("filesystem"):
            yield "error", "no filesystem specified"

    def _node_path(self, values: Any) -> Said:
        if not values.get("path", "").startswith("/"):
            yield "error", "path not absolute"

    def _target(self, values: Any) -> Said:
        target = values.get("target", "")
        if not values.get("hard") and not target.startswith("/"):
            named = f"problem with target path {quote(target)}: path not absolute"
            yield "error", named if self.target == 1 else "path not absolute"

    def _owner(self, values: Any) -> Said:
        if values.get("id") is not None and values.get("name"):
            yield "error", "cannot set both id and name"

    def _compression(self, values: Any) -> Said:
        if values.get("compression", "") not in ("", "gzip"):
            yield "error", "invalid compression method"

    def _filesystem(self, values: Any) -> Said:
        mount, path = values.get("mount"), values.get("path")
        if mount is None and path is None:
            yield "error", "filesystem is missing mount or path"
        if mount is None:
            return
        if path is not None:
            yield "error", "filesystem has both mount and path defined"
        if mount.get("create") is not None:
            if mount.get("wipeFilesystem"):
                yield "error", "cannot use both create object and wipeFilesystem field"
            if mount.get("options"):
                yield "error", "cannot use both create object and mount-level options field"
            yield "warning", "the create object has been deprecated in favor of mount-level options"

    def _filesystem_path(self, values: Any) -> Said:
        path = values.get("path")
        if path is not None and not path.startswith("/"):
            prefix = "" if self.target == 2 else f"filesystem {quote(values.get('name', ''))}: "
            yield "error", prefix + "path not absolute"

    def _format(self, values: Any) -> Said:
        if values.get("format", "") not in _LABEL_LIMITS:
            yield "error", "invalid filesystem format"

    def _mount_device(self, values: Any) -> Said:
        if not values.get("device", "").startswith("/"):
            yield "error", "path not absolute"

    def _mount_label(self, values: Any) -> Said:
        kind = values.get("format", "")
        limit = _LABEL_LIMITS.get(kind)
        if limit is not None and byte_length(values.get("label") or "") > limit:
            yield "error", f"filesystem labels cannot be longer than {limit} characters when using {kind}"

    def _level(self, values: Any) -> Said:
        level = values.get("level", "")
        old = self.target == 1
        if level in _STRIPED and values.get("spares"):
            words = f"{quote(level)} arrays" if old else "arrays with a level greater than 0"
            yield "error", f"spares unsupported for {words}"
        elif level not in _LEVELS:
            yield "error", "unrecognized raid level" + (f": {quote(level)}" if old else "")

    def _devices(self, values: Any) -> Said:
        for device in values.get("devices") or ():
            if not device.startswith("/"):
                name = quote(values.get("name", ""))
                named = f"array {name}: device path not absolute: {quote(device)}"
                yield "error", named if self.target == 1 else "path not absolute"
