"""Ignition's rules for ``storage``: paths, modes, disks, filesystems, volumes, arrays, links."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nodisk.butane.paths import Path
from nodisk.butane.pattern import Pattern
from nodisk.butane.report import Findings
from nodisk.butane.urls import fetchable

Values = Mapping[str, Any]

_GUID = Pattern(r"(?:[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})?")
_LABEL_LIMITS = {"ext4": 16, "btrfs": 256, "xfs": 12, "swap": 15, "vfat": 11}
"""Bytes: what mkfs of each format takes without cutting."""
_STRIPED = ("linear", "raid0", "0", "stripe")
_LEVELS = (*_STRIPED, "raid1", "1", "mirror", "raid4", "4", "raid5", "5", "raid6", "6", "raid10", "10")


def clean(path: str) -> str:
    """The shortest path that means the same by its words alone, as Go's path.Clean."""
    if not path:
        return "."
    short = posixpath.normpath(path)
    return short[1:] if short.startswith("//") else short


def check_path(path: str, place: Path, found: Findings) -> None:
    """An absolute path without ``.``, ``..``, double or trailing slashes."""
    if not path:
        found.error(place, "path not specified")
    elif not path.startswith("/"):
        found.error(place, "path not absolute")
    elif clean(path) != path:
        found.error(place, "path is not fully simplified")


def byte_length(text: str) -> int:
    """Limits count bytes."""
    return len(text.encode("utf-8", "surrogateescape"))


def _node(values: Values, path: Path, spec: int, found: Findings) -> None:
    check_path(values.get("path", ""), (*path, "path"), found)


def _mode(values: Values, path: Path, spec: int, found: Findings) -> None:
    mode = values.get("mode")
    if mode is None:
        return
    if not 0 <= mode <= 0o7777:
        found.error((*path, "mode"), "illegal file mode")
    if spec < 6 and mode & 0o7000:
        found.warn(
            (*path, "mode"),
            "setuid/setgid/sticky bits are not supported or functional in spec versions older than 3.6.0",
        )


def _directory(values: Values, path: Path, spec: int, found: Findings) -> None:
    _node(values, path, spec, found)
    _mode(values, path, spec, found)


def _file(values: Values, path: Path, spec: int, found: Findings) -> None:
    _node(values, path, spec, found)
    _mode(values, path, spec, found)
    if values.get("overwrite") and values.get("contents", {}).get("source") is None:
        found.error((*path, "overwrite"), "overwrite must be false if source is unspecified")


def _owner(values: Values, path: Path, spec: int, found: Findings) -> None:
    if values.get("id") is not None and values.get("name"):
        found.error(path, "cannot set both id and name")


def _disk(values: Values, path: Path, spec: int, found: Findings) -> None:
    device = values.get("device", "")
    if not device:
        found.error((*path, "device"), "disk device is required")
        return
    check_path(device, (*path, "device"), found)
    partitions: Sequence[Values] = values.get("partitions") or ()
    for problem, index in (
        ("partition numbers collide", _same(partitions, "number")),
        ("partitions overlap", _overlap(partitions)),
    ):
        if index is not None:
            found.error((*path, "partitions", index), problem)
    if any(part.get("shouldExist") is False for part in partitions) and any(
        not part.get("number") for part in partitions
    ):
        found.error(
            (*path, "partitions"),
            "shouldExist is false for a partition and other partition(s) has start or size 0",
        )
    index = _same(partitions, "label")
    if index is not None:
        found.error((*path, "partitions", index), "cannot use the same partition label twice")


def _same(partitions: Sequence[Values], name: str) -> int | None:
    """The index of the first partition that repeats an earlier one's ``name`` (a number 0 is none)."""
    seen = set()
    for index, part in enumerate(partitions):
        value = part.get(name)
        if value is None or (name == "number" and value == 0):
            continue
        if value in seen:
            return index
        seen.add(value)
    return None


def _overlap(partitions: Sequence[Values]) -> int | None:
    """The index of a partition that lies on another; only those with a start and a size can be compared."""
    spans = []
    for index, part in enumerate(partitions):
        start, size = part.get("startMiB"), part.get("sizeMiB")
        if start and size is not None:
            spans.append((start, start + size - 1 if size else start, index))
    for first, first_end, first_index in spans:
        for second, second_end, index in spans:
            if index != first_index and (
                second <= first <= second_end
                or second <= first_end <= second_end
                or (first < second and first_end > second_end)
            ):
                return index
    return None


def _partition(values: Values, path: Path, spec: int, found: Findings) -> None:
    label = values.get("label")
    if values.get("shouldExist") is False and (
        label is not None
        or values.get("typeGuid")
        or values.get("guid")
        or values.get("startMiB") is not None
        or values.get("sizeMiB") is not None
    ):
        found.error(path, "shouldExist specified false with other options also specified")
    if not values.get("number") and label is None:
        found.error(path, "a partition number >= 1 or a label must be specified")
    if label is not None:
        if byte_length(label) > 36:
            found.error((*path, "label"), "partition labels may not exceed 36 characters")
        elif ":" in label:
            found.error((*path, "label"), "partition label will be truncated to text before the colon")
    for name in ("guid", "typeGuid"):
        if not _GUID.fullmatch(values.get(name) or ""):
            found.error((*path, name), 'doesn\'t match the form "01234567-89AB-CDEF-EDCB-A98765432101"')


def _filesystem(values: Values, path: Path, spec: int, found: Findings) -> None:
    if values.get("path"):
        check_path(values["path"], (*path, "path"), found)
    check_path(values.get("device", ""), (*path, "device"), found)
    kind, label = values.get("format"), values.get("label")
    if not kind:
        others = ("path", "label", "uuid", "wipeFilesystem", "mountOptions", "options")
        if any(values.get(name) for name in others):
            found.error(
                (*path, "format"),
                "format cannot be empty when path, label, uuid, wipeFilesystem, options, or mountOptions is specified",
            )
    elif kind not in _LABEL_LIMITS and not (kind == "none" and spec >= 3):
        found.error((*path, "format"), "invalid filesystem format")
    if label:
        limit = _LABEL_LIMITS.get(kind or "")
        if not kind:
            found.error((*path, "label"), "filesystem must specify format if label is specified")
        elif limit is not None and byte_length(label) > limit:
            found.error(
                (*path, "label"), f"filesystem labels cannot be longer than {limit} characters when using {kind}"
            )


def _raid(values: Values, path: Path, spec: int, found: Findings) -> None:
    level = values.get("level")
    if spec >= 3 and not level:
        found.error((*path, "level"), "raid level is required")
    elif level not in _LEVELS:
        found.error((*path, "level"), "unrecognized raid level")
    elif level in _STRIPED and values.get("spares"):
        found.error((*path, "level"), "spares unsupported for linear and raid0 arrays")
    if not values.get("devices"):
        found.error((*path, "devices"), "raid devices required")


def _luks(values: Values, path: Path, spec: int, found: Findings) -> None:
    if "/" in values.get("name", ""):
        found.error((*path, "name"), "device names cannot contain slashes")
    if byte_length(values.get("label") or "") > 47:
        found.error((*path, "label"), "luks device labels cannot be longer than 47 characters")
    if not values.get("device"):
        found.error((*path, "device"), "disk device is required")
    else:
        check_path(values["device"], (*path, "device"), found)
    clevis = values.get("clevis") or {}
    custom = clevis.get("custom")
    others = bool(clevis.get("tang") or clevis.get("tpm2") or clevis.get("threshold"))
    if others and (custom is not None if spec < 3 else (custom or {}).get("pin")):
        found.error((*path, "clevis"), "cannot use custom clevis config with tpm2, tang, or threshold")
    source = (values.get("keyFile") or {}).get("source")
    if not fetchable(source, spec):
        found.error((*path, "keys"), "invalid key-file source")
    if (values.get("cex") or {}).get("enabled"):
        if others or (custom or {}).get("pin"):
            found.error((*path, "cex"), "cannot use cex with clevis")
        if source:
            found.error((*path, "cex"), "cannot use key file with cex")


def _clevis_custom(values: Values, path: Path, spec: int, found: Findings) -> None:
    pin, config = values.get("pin"), values.get("config")
    if not pin and not config and not (spec >= 3 and values.get("needsNetwork")):
        return
    if not pin and spec >= 3:
        found.error((*path, "pin"), "missing required custom clevis pin")
    elif spec < 6 and pin not in ("tpm2", "tang", "sss"):
        found.error((*path, "pin"), "unsupported clevis pin")
    if not config:
        found.error((*path, "config"), "missing required custom clevis config")


def _storage(values: Values, path: Path, spec: int, found: Findings) -> None:
    links: Sequence[Values] = values.get("links") or ()
    prefixes = tuple(link.get("path", "") + "/" for link in links)
    for kind, word in (("directories", "directory"), ("files", "file"), ("links", "link")):
        for index, node in enumerate(values.get(kind) or ()) if prefixes else ():
            node_path = node.get("path", "")
            if node_path.startswith(prefixes):
                for prefix in prefixes:
                    if node_path.startswith(prefix):
                        found.error((*path, kind, index), f"{word} path includes link in config")
    _links(values, links, path, spec, found)
    disks = {disk.get("device", ""): disk for disk in values.get("disks") or ()}
    for index, filesystem in enumerate(values.get("filesystems") or ()):
        disk = disks.get(filesystem.get("device", ""))
        if disk is None:
            continue
        place = (*path, "filesystems", index, "device")
        if disk.get("partitions"):
            found.warn(place, "filesystem overwrites partitioned device")
        elif disk.get("wipeTable") and not filesystem.get("wipeFilesystem"):
            found.warn(place, "device matches disk with wipeTable enabled; filesystem will be wiped")


def _links(values: Values, links: Sequence[Values], path: Path, spec: int, found: Findings) -> None:
    directories = [node.get("path", "") for node in values.get("directories") or ()]
    for index, link in enumerate(links):
        target = link.get("target")
        place = (*path, "links", index)
        if not target and spec >= 3:
            found.error((*place, "target"), "link target is required")
            continue
        if not link.get("hard"):
            continue
        real = clean(target or "")
        if not real.startswith("/"):
            real = clean(f"{link.get('path', '')}/{target or ''}")
        for directory in directories:
            if real == directory:
                found.error(place, "hard link target is a directory")
        for owner in ("user", "group"):
            for name in ("id", "name"):
                if (link.get(owner) or {}).get(name) is not None:
                    found.warn((*place, owner, name), "user/group ignored for hard link")


RULES: dict[str, Callable[[Values, Path, int, Findings], None]] = {
    "Directory": _directory,
    "File": _file,
    "Link": _node,
    "NodeUser": _owner,
    "NodeGroup": _owner,
    "Disk": _disk,
    "Partition": _partition,
    "Filesystem": _filesystem,
    "Raid": _raid,
    "Luks": _luks,
    "ClevisCustom": _clevis_custom,
    "Storage": _storage,
}
