"""The description of Butane and Ignition 3.x: ``storage``."""

from __future__ import annotations

from nodisk.butane.fields_resource import OPTIONS, RESOURCE, STRS
from nodisk.butane.schema import Field, ListOf, Struct

NODE_USER = Struct(
    "NodeUser",
    (Field("id", "integer", "The owner's number."), Field("name", "string", "The owner's name; not with `id`.")),
)
NODE_GROUP = Struct(
    "NodeGroup",
    (Field("id", "integer", "The group's number."), Field("name", "string", "The group's name; not with `id`.")),
)
NODE = (
    Field("group", NODE_GROUP, "Owning group."),
    Field("overwrite", "boolean", "Replace what is there already."),
    Field("path", "string", "Absolute path; unique among files, directories and links.", required=True),
    Field("user", NODE_USER, "Owning user."),
)
DIRECTORY = Struct(
    "Directory",
    (*NODE, Field("mode", "integer", "Permissions, octal with a leading zero (default 0755).")),
    key="path",
)
FILE = Struct(
    "File",
    (
        *NODE,
        Field("append", ListOf(RESOURCE, unique=False), "Content to append."),
        Field("contents", RESOURCE, "The file's content."),
        Field("mode", "integer", "Permissions, octal with a leading zero (default 0644)."),
    ),
    key="path",
)
LINK = Struct(
    "Link",
    (
        *NODE,
        Field("hard", "boolean", "A hard link instead of a symbolic one."),
        Field("target", "string", "What the link points to.", required_until=3),
    ),
    key="path",
)
PARTITION = Struct(
    "Partition",
    (
        Field("guid", "string", "The partition's GUID.", json="guid"),
        Field("label", "string", "The partition's label (PARTLABEL)."),
        Field("number", "integer", "The partition's number; 0: the next free one.", zero=True),
        Field("resize", "boolean", "Change the size of an existing partition if it differs.", since=2),
        Field("should_exist", "boolean", "`false`: delete the partition."),
        Field("size_mib", "integer", "Size in MiB; 0: all the space there is."),
        Field("start_mib", "integer", "Start in MiB; 0: the first gap that is large enough."),
        Field("type_guid", "string", "The type's GUID (default: Linux filesystem data)."),
        Field("wipe_partition_entry", "boolean", "Replace an existing partition that does not match."),
    ),
    key="number or label",
)
DISK = Struct(
    "Disk",
    (
        Field("device", "string", "Absolute path of the device; unique.", required=True),
        Field("partitions", ListOf(PARTITION), "The disk's partitions."),
        Field("wipe_table", "boolean", "Wipe the partition table first."),
    ),
    key="device",
)
FILESYSTEM = Struct(
    "Filesystem",
    (
        Field("device", "string", "Absolute path of the device; unique.", required=True),
        Field("format", "string", "`ext4`, `btrfs`, `xfs`, `vfat`, `swap`; from spec 3.3.0 also `none`."),
        Field("label", "string", "The filesystem's label."),
        Field("mount_options", OPTIONS, "Options for mounting.", since=1),
        Field("options", OPTIONS, "Further options for mkfs."),
        Field("path", "string", "Where it is mounted while Ignition writes files."),
        Field("uuid", "string", "The filesystem's UUID."),
        Field("wipe_filesystem", "boolean", "Make a new filesystem even if there is one."),
        Field(
            "with_mount_unit",
            "boolean",
            "Write a systemd mount unit (for swap a swap unit, from spec 3.3.0).",
            json=None,
            since=1,
        ),
    ),
    key="device",
)
TANG = Struct(
    "Tang",
    (
        Field("advertisement", "string", "The server's advertisement, to bind without reaching it.", since=4),
        Field("thumbprint", "string", "Thumbprint of the server's signing key."),
        Field("url", "string", "The server's URL.", zero=True),
    ),
    key="url",
)
CLEVIS_CUSTOM = Struct(
    "ClevisCustom",
    (
        Field("config", "string", "The pin's configuration, JSON.", required_until=3),
        Field("needs_network", "boolean", "Whether the pin needs the network."),
        Field("pin", "string", "The pin's name: `tpm2`, `tang` or `sss`; any from spec 3.6.0.", required_until=3),
    ),
)
CLEVIS = Struct(
    "Clevis",
    (
        Field("custom", CLEVIS_CUSTOM, "A pin of one's own instead of the others.", pointer_until=3),
        Field("tang", ListOf(TANG), "Tang servers."),
        Field("threshold", "integer", "How many pieces are needed to unlock (default 1)."),
        Field("tpm2", "boolean", "Use the TPM 2."),
    ),
)
CEX = Struct("Cex", (Field("enabled", "boolean", "Use the IBM Crypto Express card."),))
LUKS = Struct(
    "Luks",
    (
        Field("cex", CEX, "Unlock by a Crypto Express card.", since=5),
        Field(
            "clevis",
            CLEVIS,
            "Unlock by Clevis.",
            pointer_until=3,
            variants_note="an error in flatcar",
        ),
        Field("device", "string", "Absolute path of the device to encrypt."),
        Field("discard", "boolean", "Pass discards on to the device.", since=4),
        Field("key_file", RESOURCE, "The key."),
        Field("label", "string", "The volume's label."),
        Field("name", "string", "Its name under `/dev/mapper`; unique.", required=True),
        Field("open_options", STRS, "Options for opening.", since=4),
        Field("options", OPTIONS, "Further options for `cryptsetup luksFormat`."),
        Field("uuid", "string", "The volume's UUID."),
        Field("wipe_volume", "boolean", "Make a new volume even if there is one."),
    ),
    key="name",
)
RAID = Struct(
    "Raid",
    (
        Field("devices", ListOf("string", paths=True), "Absolute paths of the devices."),
        Field("level", "string", "`linear`, `raid0`, `raid1`, `raid4`, `raid5`, `raid6`, `raid10`.", required_until=3),
        Field("name", "string", "The array's name, under `/dev/md`; unique.", required=True),
        Field("options", OPTIONS, "Further options for mdadm."),
        Field("spares", "integer", "Number of spare devices."),
    ),
    key="name",
)
TREE = Struct(
    "Tree",
    (
        Field("group", NODE_GROUP, "Owning group of what is new.", since=6, json=None),
        Field("local", "string", "The folder to embed, relative to `--files-dir`.", required=True, json=None),
        Field("path", "string", "Where it goes (default `/`).", json=None),
        Field("user", NODE_USER, "Owning user of what is new.", since=6, json=None),
        Field(
            "file_mode", "integer", "Permissions of files (default 0755 if executable, else 0644).", since=6, json=None
        ),
        Field("dir_mode", "integer", "Permissions of directories (default 0755).", since=6, json=None),
    ),
)
STORAGE = Struct(
    "Storage",
    (
        Field("directories", ListOf(DIRECTORY), "Directories to create.", group="node"),
        Field("disks", ListOf(DISK), "Disks to partition."),
        Field("files", ListOf(FILE), "Files to write.", group="node"),
        Field("filesystems", ListOf(FILESYSTEM), "Filesystems to make or reuse."),
        Field("links", ListOf(LINK), "Links to create.", group="node"),
        Field("luks", ListOf(LUKS), "Encrypted volumes.", since=2),
        Field("raid", ListOf(RAID), "RAID arrays."),
        Field("trees", ListOf(TREE), "Local folders to embed as files, links (and directories).", json=None, since=1),
    ),
)
