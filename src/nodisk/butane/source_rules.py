"""What Butane itself checks of a document, before translating it: its sugar. Ignition's own rules are in ``rules``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from nodisk.butane import modes
from nodisk.butane.paths import Path
from nodisk.butane.pattern import Pattern
from nodisk.butane.report import Findings
from nodisk.butane.schema import CStruct

BOOT_DISK = "/dev/disk/by-id/coreos-boot-disk"
LEGACY_LAYOUTS = ("aarch64", "ppc64le", "x86_64")
S390X_LAYOUTS = ("s390x-eckd", "s390x-virt", "s390x-zfcp")
DECIMAL_MODE = "unreasonable mode would be reasonable if specified in octal; remember to add a leading zero"

_MOUNTABLE = Pattern(r"/(etc|var)(/|\Z)")
_DISK_NAME = {"s390x-eckd": Pattern(r"/dev/dasd[a-z]\Z"), "s390x-zfcp": Pattern(r"/dev/sd[a-z]\Z")}


class Version(NamedTuple):
    """Which document this is."""

    variant: str
    version: str
    spec: int
    """Minor version of the Ignition spec it translates to."""
    fcos: int | None
    """Minor version of variant fcos; None: another variant."""


Values = Mapping[str, Any]
Rule = Callable[[Values, Path, Version, Findings], None]


def check(struct: CStruct, values: Values, version: Version, found: Findings, path: Path = ()) -> None:
    """Apply each mapping's rule, from the top down."""
    rule = RULES.get(struct.name)
    if rule is not None:
        rule(values, path, version, found)
    for name, value in values.items():
        field = struct.by_name[name]
        if isinstance(field.item, CStruct):
            if field.kind == "map":
                check(field.item, cast("Values", value), version, found, (*path, name))
            else:
                for index, item in enumerate(cast("Sequence[Values]", value)):
                    check(field.item, item, version, found, (*path, name, index))


def _resource(values: Values, path: Path, version: Version, found: Findings) -> None:
    given = [name for name in ("local", "inline", "source") if name in values]
    if len(given) > 1:
        place = "inline" if version.spec == 0 else given[-1]
        found.error((*path, place), "only one of the following can be set: inline, local, source")
    elif given == ["inline"] and path[:2] == ("ignition", "config"):
        from nodisk.butane.validation import check_embedded  # noqa: PLC0415 - rare, and it imports all of Ignition's rules

        check_embedded(values["inline"], path, version.spec, found)


def _filesystem(values: Values, path: Path, version: Version, found: Findings) -> None:
    if not values.get("with_mount_unit"):
        return
    no_format, no_path = not values.get("format"), not values.get("path")
    if version.spec >= 3:  # swap needs no path
        if no_format:
            found.error((*path, "format"), "format is required if with_mount_unit is true")
        elif values["format"] != "swap" and no_path:
            found.error((*path, "path"), "path is required if with_mount_unit is true and format is not swap")
        return
    if no_path:
        found.error((*path, "path"), "path is required if with_mount_unit is true and format is not swap")
    if no_format:
        found.error((*path, "format"), "format is required if with_mount_unit is true")


def _directory(values: Values, path: Path, version: Version, found: Findings) -> None:
    if "mode" in values and modes.looks_decimal(values["mode"], directory=True):
        found.warn((*path, "mode"), DECIMAL_MODE)


def _file(values: Values, path: Path, version: Version, found: Findings) -> None:
    if "mode" in values and modes.looks_decimal(values["mode"], directory=False):
        found.warn((*path, "mode"), DECIMAL_MODE)


def _tree(values: Values, path: Path, version: Version, found: Findings) -> None:
    if not values.get("local"):
        found.error(path, "local is required")


def _unit(values: Values, path: Path, version: Version, found: Findings) -> None:
    if "contents" in values and "contents_local" in values:
        found.error((*path, "contents_local"), "only one of the following can be set: contents, contents_local")


def _config(values: Values, path: Path, version: Version, found: Findings) -> None:
    if version.fcos is None or version.fcos < 6:
        return
    storage = values.get("storage", {})
    # Mirrored disks are wiped anyway, so partitions can be named by label there.
    mirrored = set(values.get("boot_device", {}).get("mirror", {}).get("devices", ()))
    for index, disk in enumerate(storage.get("disks", ())):
        device = disk.get("device", "")
        if device == BOOT_DISK or disk.get("wipe_table") or device in mirrored:
            continue
        for place, partition in enumerate(disk.get("partitions", ())):
            if not partition.get("number") and "label" in partition:
                found.warn(
                    ("storage", "disks", index, "partitions", place, "number"),
                    "partitions cannot be reused by label; number must be specified except on boot disk "
                    f"({BOOT_DISK}) or when wipe_table is true",
                )
    for index, filesystem in enumerate(storage.get("filesystems", ())):
        if "path" in filesystem and filesystem.get("with_mount_unit") and not _MOUNTABLE.match(filesystem["path"]):
            found.error(
                ("storage", "filesystems", index, "path"),
                "path must be under /etc or /var if with_mount_unit is true",
            )


def _boot_device(values: Values, path: Path, version: Version, found: Findings) -> None:
    minor = version.fcos or 0
    layout = values.get("layout")
    luks, mirror = values.get("luks", {}), values.get("mirror", {})
    if mirror.get("devices") and layout is None:
        report = found.error if minor >= 7 else found.warn
        report((*path, "mirror"), "boot_device.layout should be specified when boot_device.mirror is specified")
    if layout is not None:
        known = LEGACY_LAYOUTS + S390X_LAYOUTS if minor >= 6 else LEGACY_LAYOUTS
        if layout not in known:
            found.error((*path, "layout"), "layout must be one of: " + ", ".join(sorted(known)))
        elif layout in _DISK_NAME:
            if not luks.get("device"):
                found.error((*path, "layout"), "device is required for layouts: s390x-eckd, s390x-zfcp")
            elif not _DISK_NAME[layout].search(luks["device"]):
                found.error(
                    (*path, "layout"),
                    "device name must start with /dev/dasd on s390x-eckd layout or /dev/sd on s390x-zfcp layout",
                )
        if minor >= 6 and layout.startswith("s390x") and mirror.get("devices"):
            found.error((*path, "layout"), "mirroring not supported on layouts: s390x-eckd, s390x-zfcp, s390x-virt")
    if luks.get("cex", {}).get("enabled"):
        if layout is None or not layout.startswith("s390x"):
            place = ("luks", "cex") if layout is None else ("layout",)
            found.error((*path, *place), "when using cex the targeted architecture must match s390x")
        if luks.get("tang") or luks.get("tpm2"):
            found.error((*path, "luks"), "cannot use cex with clevis")
    _boot_mirror(mirror, (*path, "mirror"), version, found)  # Butane says this one twice


def _boot_mirror(values: Values, path: Path, version: Version, found: Findings) -> None:
    if len(values.get("devices", ())) == 1:
        found.error((*path, "devices"), "mirroring requires at least two devices")


def _boot_luks(values: Values, path: Path, version: Version, found: Findings) -> None:
    if (version.fcos or 0) < 7 or not values.get("device"):
        return
    if not (any(values.get("tang", ())) or values.get("tpm2") or values.get("cex", {}).get("enabled")):
        found.error((*path, "luks"), "no method specified for luks")


def _grub_user(values: Values, path: Path, version: Version, found: Findings) -> None:
    if not values.get("name"):
        found.error((*path, "name"), 'field "name" is required')
    if not values.get("password_hash"):
        found.error((*path, "password_hash"), 'field "password_hash" is required')


RULES: dict[str, Rule] = {
    "Config": _config,
    "Resource": _resource,
    "Filesystem": _filesystem,
    "Directory": _directory,
    "File": _file,
    "Tree": _tree,
    "Unit": _unit,
    "Dropin": _unit,
    "BootDevice": _boot_device,
    "BootDeviceMirror": _boot_mirror,
    "BootDeviceLuks": _boot_luks,
    "GrubUser": _grub_user,
}
