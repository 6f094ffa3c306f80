"""What Container Linux Config says of disks, filesystems and files; and kinds that the rest of it has too."""

from __future__ import annotations

from nodisk.butane.schema import Field, ListOf, Scalar, Struct

STRS = ListOf("string", unique=False)


def plain(name: str, kind: Scalar, doc: str, since: int = 1) -> Field:
    """A field that can't be told from its zero value."""
    return Field(name, kind, doc, since=since, zero=True)


HASH = Struct(
    "Hash",
    (plain("function", "string", "`sha512`."), plain("sum", "string", "The sum, hexadecimal.")),
)
VERIFICATION = Struct("Verification", (Field("hash", HASH, "Hash of the content."),))
PARTITION = Struct(
    "Partition",
    (
        Field("label", "string", "The partition's label."),
        plain("number", "integer", "The partition's number."),
        plain("size", "string", "Its size with a unit: `512MiB`."),
        plain("start", "string", "Where it starts, with a unit."),
        plain("guid", "string", "Its GUID."),
        plain("type_guid", "string", "Its type's GUID, or one of the names of types."),
    ),
)
DISK = Struct(
    "Disk",
    (
        plain("device", "string", "Absolute path of the device."),
        plain("wipe_table", "boolean", "Wipe the partition table first."),
        Field("partitions", ListOf(PARTITION, unique=False), "The disk's partitions."),
    ),
)
RAID = Struct(
    "Raid",
    (
        plain("name", "string", "The array's name."),
        plain("level", "string", "Its level."),
        Field("devices", STRS, "Absolute paths of the devices."),
        plain("spares", "integer", "Number of spare devices."),
        Field("options", STRS, "Further options for mdadm.", since=2),
    ),
)
MOUNT = Struct(
    "Mount",
    (
        plain("device", "string", "Absolute path of the device."),
        plain("format", "string", "`ext4`, `btrfs`, `xfs`, `vfat`, `swap`."),
        Field(
            "create",
            Struct(
                "Create",
                (plain("force", "boolean", "Overwrite a filesystem."), Field("options", STRS, "Options for mkfs.")),
            ),
            "Make the filesystem (deprecated).",
            pointer_until=9,
        ),
        plain("wipe_filesystem", "boolean", "Make a new filesystem even if there is one."),
        Field("label", "string", "The filesystem's label."),
        Field("uuid", "string", "The filesystem's UUID."),
        Field("options", STRS, "Options for mkfs."),
    ),
)
FILESYSTEM = Struct(
    "Filesystem",
    (
        plain("name", "string", "The name by which files refer to it."),
        Field("mount", MOUNT, "The device to mount.", pointer_until=9),
        Field("path", "string", "Where it is mounted already."),
    ),
)
OWNER = (Field("id", "integer", "Its number."), plain("name", "string", "Its name; not with `id`."))
NODE = (
    plain("filesystem", "string", "The filesystem's name; `root` is the default with Ignition 2.3.0."),
    plain("path", "string", "Absolute path."),
    Field("user", Struct("FileUser", OWNER), "The owner.", pointer_until=9),
    Field("group", Struct("FileGroup", OWNER), "The owning group.", pointer_until=9),
)
FILE = Struct(
    "File",
    (
        *NODE,
        Field("mode", "integer", "Permissions, octal (default 0644, with a warning)."),
        Field(
            "contents",
            Struct(
                "FileContents",
                (
                    Field(
                        "remote",
                        Struct(
                            "Remote",
                            (
                                plain("url", "string", "URL of the content."),
                                plain("compression", "string", "`gzip`, or nothing."),
                                Field("verification", VERIFICATION, "How to verify it."),
                            ),
                        ),
                        "Content to fetch.",
                    ),
                    plain("inline", "string", "The content itself."),
                    plain("local", "string", "A file to embed, relative to `--files-dir`."),
                ),
            ),
            "The file's content.",
        ),
        Field("overwrite", "boolean", "Replace what is there already.", since=2),
        plain("append", "boolean", "Append to what is there.", since=2),
    ),
)
DIRECTORY = Struct(
    "Directory",
    (
        *NODE,
        Field("mode", "integer", "Permissions, octal (default 0755, with a warning)."),
        Field("overwrite", "boolean", "Replace what is there already.", since=2),
    ),
)
LINK = Struct(
    "Link",
    (
        *NODE,
        plain("hard", "boolean", "A hard link."),
        plain("target", "string", "What the link points to."),
        Field("overwrite", "boolean", "Replace what is there already.", since=2),
    ),
)
STORAGE = Struct(
    "Storage",
    (
        Field("disks", ListOf(DISK, unique=False), "Disks to partition."),
        Field("raid", ListOf(RAID, unique=False), "RAID arrays."),
        Field("filesystems", ListOf(FILESYSTEM, unique=False), "Filesystems."),
        Field("files", ListOf(FILE, unique=False), "Files to write."),
        Field("directories", ListOf(DIRECTORY, unique=False), "Directories to create."),
        Field("links", ListOf(LINK, unique=False), "Links to create."),
    ),
)
