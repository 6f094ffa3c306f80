"""What only variant fcos has: ``boot_device`` (encrypted, mirrored root), ``grub`` users, warnings about ``root``."""

from __future__ import annotations

from typing import Any, cast

from nodisk.butane import resources
from nodisk.butane.compiled import ignition_schema
from nodisk.butane.context import Context, Sources, all_paths
from nodisk.butane.paths import Path
from nodisk.butane.schema import CStruct

Values = dict[str, Any]

# Type GUIDs of partitions, from the layout of Fedora CoreOS's own images.
RESERVED = "8DA63339-0007-60C0-C436-083AC8230908"
BIOS = "21686148-6449-6E6F-744E-656564454649"
PREP = "9E1A2D38-C612-4316-AA26-8B49521E5A8B"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"

_NUMBERS = {"BIOS-BOOT": 1, "PowerPC-PReP-boot": 1, "EFI-SYSTEM": 2, "boot": 3, "root": 4}
"""Partitions that the image has, with the number that each must have to be found again."""
ROOT_MIB = 8192


def add(document: Values, config: Values, context: Context) -> Values:
    """The config with what these sections ask for; the user's own sections are merged over it."""
    minor = context.version.fcos or 0
    if minor >= 3:
        config = _boot_device(document.get("boot_device", {}), config, context)
    _warn_of_root(config, context, sizes=minor >= 3)
    if minor >= 5:
        config = _grub(document.get("grub", {}).get("users", []), config, context)
    return config


def _warn_of_root(config: Values, context: Context, *, sizes: bool) -> None:
    for index, disk in enumerate(config.get("storage", {}).get("disks", ())):
        partitions = disk.get("partitions", ())
        for place, partition in enumerate(partitions):
            label = partition.get("label")
            path: Path = ("storage", "disks", index, "partitions", place)
            if sizes and label == "root":
                size = partition.get("sizeMiB")
                if size and size < ROOT_MIB:
                    context.generated.warn((*path, "size_mib"), "root should have 8GiB of space assigned")
                others = [other for other in partitions if other is not partition]
                if not size and any(not other.get("startMiB") for other in others):
                    context.generated.warn(
                        (*path, "label"),
                        "root partition cannot expand; it is set to fill available space but is followed by an "
                        "auto-positioned partition",
                    )
            if not disk.get("wipeTable") and label in _NUMBERS and partition.get("number", 0) != _NUMBERS[label]:
                context.generated.warn(
                    (*path, "label"),
                    "incorrect partition number; a new partition will be created using reserved label",
                )


class _Generated:
    """A config that sugar makes, with the source of each part."""

    def __init__(self, context: Context) -> None:
        self.schema = cast("CStruct", ignition_schema(context.version.spec).by_json["storage"].item)
        self.storage: Values = {}
        self.sources: Sources = {}
        self.trace = context.sources is not None

    def append(self, kind: str, item: Values, source: Path) -> None:
        """Add an item to a list of ``storage``."""
        items = self.storage.setdefault(kind, [])
        self.note(source, ("storage", kind, len(items)), cast("CStruct", self.schema.by_json[kind].item), item)
        items.append(item)

    def note(self, source: Path, result: Path, struct: CStruct, value: Values) -> None:
        """Everything in ``value`` comes from ``source``."""
        if self.trace:
            self.sources[result] = source
            for path in all_paths(struct, value):
                self.sources[(*result, *path)] = source


def _filesystem(device: str, kind: str, label: str) -> Values:
    return {"device": device, "format": kind, "label": label, "wipeFilesystem": True}


def _boot_device(boot: Values, config: Values, context: Context) -> Values:
    luks, devices = boot.get("luks", {}), boot.get("mirror", {}).get("devices", [])
    cex = bool(luks.get("cex", {}).get("enabled"))
    encrypted = bool(luks.get("tpm2") or luks.get("tang") or cex)
    if not encrypted and not devices:
        return config
    layout = boot.get("layout") or "x86_64"
    out = _Generated(context)
    if devices:
        _mirror(devices, layout, out)
    if encrypted:
        _luks(luks, layout, out, mirrored=bool(devices), cex=cex)
    root = "/dev/mapper/root" if encrypted else "/dev/md/md-root"
    out.append("filesystems", _filesystem(root, "xfs", "root"), ("boot_device",))
    for path in (("storage", "filesystems"), ("storage",)):
        out.sources[path] = ("boot_device",)
    return context.merge_over({"storage": out.storage}, config, out.sources)


def _mirror(devices: list[str], layout: str, out: _Generated) -> None:
    first = {"x86_64": ("bios", 1, BIOS), "ppc64le": ("prep", 4, PREP)}.get(layout, ("reserved", 1, RESERVED))
    efi = layout in ("x86_64", "aarch64")
    second = ("esp", 127, ESP) if efi else ("reserved", 1, RESERVED)
    for index, device in enumerate(devices):
        number = index + 1
        source: Path = ("boot_device", "mirror", "devices", index)
        partitions: list[Values] = [
            {"label": f"{name}-{number}", "sizeMiB": size, "typeGuid": guid} for name, size, guid in (first, second)
        ]
        partitions += [{"label": f"boot-{number}", "sizeMiB": 384}, {"label": f"root-{number}"}]
        out.append("disks", {"device": device, "partitions": partitions, "wipeTable": True}, source)
        if efi:
            name = f"esp-{number}"
            out.append("filesystems", _filesystem(f"/dev/disk/by-partlabel/{name}", "vfat", name), source)
    out.sources["storage", "disks"] = ("boot_device", "mirror", "devices")

    def members(name: str) -> list[str]:
        return [f"/dev/disk/by-partlabel/{name}-{index + 1}" for index in range(len(devices))]

    # BIOS GRUB knows nothing of RAID: the superblock of /boot goes to the end of the partition.
    boot = {"devices": members("boot"), "level": "raid1", "name": "md-boot", "options": ["--metadata=1.0"]}
    out.append("raid", boot, ("boot_device", "mirror"))
    out.append("raid", {"devices": members("root"), "level": "raid1", "name": "md-root"}, ("boot_device", "mirror"))
    out.sources["storage", "raid"] = ("boot_device", "mirror")
    out.append("filesystems", _filesystem("/dev/md/md-boot", "ext4", "boot"), ("boot_device", "mirror"))


def _luks(luks: Values, layout: str, out: _Generated, *, mirrored: bool, cex: bool) -> None:
    if layout == "s390x-eckd":
        device = luks.get("device", "") + "2"
    elif layout == "s390x-zfcp":
        device = luks.get("device", "") + "4"
    else:
        device = "/dev/md/md-root" if mirrored else "/dev/disk/by-partlabel/root"
    volume: Values = {"device": device, "label": "luks-root", "name": "root", "wipeVolume": True}
    if "discard" in luks:
        volume["discard"] = luks["discard"]
    source: Path = ("boot_device", "luks")
    result: Path = ("storage", "luks", 0)
    if cex:
        volume["cex"] = {"enabled": True}
        out.sources[(*result, "cex", "enabled")] = (*source, "enabled")
        out.sources[(*result, "cex")] = source
    else:
        clevis: Values = {name: luks[name] for name in ("threshold", "tpm2") if name in luks}
        for name in clevis:
            out.sources[(*result, "clevis", name)] = (*source, name)
        if "tang" in luks:
            clevis["tang"] = [dict(server) for server in luks["tang"]]
            out.sources[(*result, "clevis", "tang")] = (*source, "tang")
            for index, server in enumerate(luks["tang"]):
                out.sources[(*result, "clevis", "tang", index)] = (*source, "tang", index)
                for name in server:
                    out.sources[(*result, "clevis", "tang", index, name)] = (*source, "tang", index, name)
        volume["clevis"] = clevis
        out.sources[(*result, "clevis")] = source
    out.sources[(*result, "discard")] = (*source, "discard")
    for name in ("device", "label", "name", "wipeVolume"):
        out.sources[(*result, name)] = source
    out.sources[result] = out.sources["storage", "luks"] = source
    out.storage["luks"] = [volume]


def _grub(users: list[Values], config: Values, context: Context) -> Values:
    out = _Generated(context)
    if users:
        source: Path = ("grub", "users")
        lines = ["# Generated by Butane", "", f'set superusers="{" ".join(user["name"] for user in users)}"']
        lines += [f"password_pbkdf2 {user['name']} {user['password_hash']}" for user in users]
        text = ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
        url, compression = resources.data_url(text, None)
        boot = {"device": "/dev/disk/by-label/boot", "format": "ext4", "path": "/boot"}
        config_file = {"path": "/boot/grub2/user.cfg", "append": [{"compression": compression, "source": url}]}
        out.append("filesystems", boot, source)
        out.append("files", config_file, source)
        for path in (("storage",), ("storage", "filesystems"), ("storage", "files")):
            out.sources[path] = source
    return context.merge_over({"storage": out.storage} if users else {}, config, out.sources)
