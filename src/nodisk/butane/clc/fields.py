"""The description of Container Linux Config: every key, its kind, and the Ignition 2.x version it needs.

``since`` is the minor version of Ignition 2.x here. Services (etcd, flannel, locksmith) become command-line options
or environment variables; ``json`` holds the option's or variable's name.
"""

from __future__ import annotations

from nodisk.butane.schema import Field, ListOf, Scalar, Struct

STRS = ListOf("string", unique=False)


def _plain(name: str, kind: Scalar, doc: str, since: int = 1) -> Field:
    """A field that can't be told from its zero value."""
    return Field(name, kind, doc, since=since, zero=True)


HASH = Struct(
    "Hash",
    (_plain("function", "string", "`sha512`."), _plain("sum", "string", "The sum, hexadecimal.")),
)
VERIFICATION = Struct("Verification", (Field("hash", HASH, "Hash of the content."),))
REFERENCE = Struct(
    "ConfigReference",
    (_plain("source", "string", "URL."), Field("verification", VERIFICATION, "How to verify it.")),
)
CA = Struct("CaReference", REFERENCE.fields)
IGNITION = Struct(
    "Ignition",
    (
        Field(
            "config",
            Struct(
                "IgnitionConfig",
                (
                    Field("append", ListOf(REFERENCE, unique=False), "Ignition configs to append."),
                    Field("replace", REFERENCE, "An Ignition config to use instead.", pointer_until=9),
                ),
            ),
            "Other Ignition configs.",
        ),
        Field(
            "timeouts",
            Struct(
                "Timeouts",
                (
                    Field("http_response_headers", "integer", "Seconds to wait for the headers of an answer."),
                    Field("http_total", "integer", "Seconds that an HTTP operation may take in all."),
                ),
            ),
            "Timeouts of Ignition's own downloads.",
        ),
        Field(
            "security",
            Struct(
                "Security",
                (
                    Field(
                        "tls",
                        Struct(
                            "TLS",
                            (
                                Field(
                                    "certificate_authorities", ListOf(CA, unique=False), "Further authorities to trust."
                                ),
                            ),
                        ),
                        "Options for TLS.",
                    ),
                ),
            ),
            "What Ignition trusts.",
            since=2,
        ),
    ),
)
PARTITION = Struct(
    "Partition",
    (
        Field("label", "string", "The partition's label."),
        _plain("number", "integer", "The partition's number."),
        _plain("size", "string", "Its size with a unit: `512MiB`."),
        _plain("start", "string", "Where it starts, with a unit."),
        _plain("guid", "string", "Its GUID."),
        _plain("type_guid", "string", "Its type's GUID, or one of the names of types."),
    ),
)
DISK = Struct(
    "Disk",
    (
        _plain("device", "string", "Absolute path of the device."),
        _plain("wipe_table", "boolean", "Wipe the partition table first."),
        Field("partitions", ListOf(PARTITION, unique=False), "The disk's partitions."),
    ),
)
RAID = Struct(
    "Raid",
    (
        _plain("name", "string", "The array's name."),
        _plain("level", "string", "Its level."),
        Field("devices", STRS, "Absolute paths of the devices."),
        _plain("spares", "integer", "Number of spare devices."),
        Field("options", STRS, "Further options for mdadm.", since=2),
    ),
)
MOUNT = Struct(
    "Mount",
    (
        _plain("device", "string", "Absolute path of the device."),
        _plain("format", "string", "`ext4`, `btrfs`, `xfs`, `vfat`, `swap`."),
        Field(
            "create",
            Struct(
                "Create",
                (_plain("force", "boolean", "Overwrite a filesystem."), Field("options", STRS, "Options for mkfs.")),
            ),
            "Make the filesystem (deprecated).",
            pointer_until=9,
        ),
        _plain("wipe_filesystem", "boolean", "Make a new filesystem even if there is one."),
        Field("label", "string", "The filesystem's label."),
        Field("uuid", "string", "The filesystem's UUID."),
        Field("options", STRS, "Options for mkfs."),
    ),
)
FILESYSTEM = Struct(
    "Filesystem",
    (
        _plain("name", "string", "The name by which files refer to it."),
        Field("mount", MOUNT, "The device to mount.", pointer_until=9),
        Field("path", "string", "Where it is mounted already."),
    ),
)
OWNER = (Field("id", "integer", "Its number."), _plain("name", "string", "Its name; not with `id`."))
NODE = (
    _plain("filesystem", "string", "The filesystem's name; `root` is the default with Ignition 2.3.0."),
    _plain("path", "string", "Absolute path."),
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
                                _plain("url", "string", "URL of the content."),
                                _plain("compression", "string", "`gzip`, or nothing."),
                                Field("verification", VERIFICATION, "How to verify it."),
                            ),
                        ),
                        "Content to fetch.",
                    ),
                    _plain("inline", "string", "The content itself."),
                    _plain("local", "string", "A file to embed, relative to `--files-dir`."),
                ),
            ),
            "The file's content.",
        ),
        Field("overwrite", "boolean", "Replace what is there already.", since=2),
        _plain("append", "boolean", "Append to what is there.", since=2),
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
        _plain("hard", "boolean", "A hard link."),
        _plain("target", "string", "What the link points to."),
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
DROPIN = (_plain("name", "string", "Its name, ending in `.conf`."), _plain("contents", "string", "Its content."))
UNIT = Struct(
    "SystemdUnit",
    (
        _plain("name", "string", "The unit's name with its suffix."),
        _plain("enable", "boolean", "Enable it (deprecated)."),
        Field("enabled", "boolean", "Enable or disable it."),
        _plain("mask", "boolean", "Mask it."),
        _plain("contents", "string", "Its content."),
        Field("dropins", ListOf(Struct("SystemdUnitDropIn", DROPIN), unique=False), "Its drop-ins."),
    ),
)
NETWORK_UNIT = Struct(
    "NetworkdUnit",
    (
        *DROPIN,
        Field("dropins", ListOf(Struct("NetworkdUnitDropIn", DROPIN), unique=False), "Its drop-ins.", since=2),
    ),
)
_ACCOUNT = (
    _plain("gecos", "string", "The account's comment."),
    _plain("home_dir", "string", "The home directory."),
    _plain("no_create_home", "boolean", "Don't create the home directory."),
    _plain("primary_group", "string", "The primary group."),
    Field("groups", STRS, "Supplementary groups."),
    _plain("no_user_group", "boolean", "Don't create a group with the user's name."),
    _plain("system", "boolean", "Make it a system account."),
    _plain("no_log_init", "boolean", "Don't add the user to lastlog and faillog."),
    _plain("shell", "string", "The login shell."),
)
USER = Struct(
    "User",
    (
        _plain("name", "string", "The account's name."),
        Field("password_hash", "string", "The encrypted password."),
        Field("ssh_authorized_keys", STRS, "SSH public keys."),
        Field(
            "create",
            Struct("UserCreate", (Field("uid", "unsigned", "Its number."), *_ACCOUNT)),
            "The same in one mapping (deprecated).",
            pointer_until=9,
        ),
        Field("uid", "integer", "The account's number."),
        *_ACCOUNT,
    ),
)
GROUP = Struct(
    "Group",
    (
        _plain("name", "string", "The group's name."),
        Field("gid", "unsigned", "Its number."),
        _plain("password_hash", "string", "Its encrypted password."),
        _plain("system", "boolean", "Make it a system group."),
    ),
)
LOCKSMITH = Struct(
    "Locksmith",
    tuple(
        Field(name, "string", doc, json=variable)
        for name, variable, doc in (
            ("reboot_strategy", "REBOOT_STRATEGY", "`reboot`, `etcd-lock` or `off`."),
            ("window_start", "LOCKSMITHD_REBOOT_WINDOW_START", "When reboots may begin: `Thu 04:00`."),
            ("window_length", "LOCKSMITHD_REBOOT_WINDOW_LENGTH", "For how long: `1h30m`."),
            ("group", "LOCKSMITHD_GROUP", "The group that shares the lock."),
            ("etcd_endpoints", "LOCKSMITHD_ENDPOINT", "etcd's endpoints."),
            ("etcd_cafile", "LOCKSMITHD_ETCD_CAFILE", "Authority of etcd."),
            ("etcd_certfile", "LOCKSMITHD_ETCD_CERTFILE", "Certificate for etcd."),
            ("etcd_keyfile", "LOCKSMITHD_ETCD_KEYFILE", "Its key."),
        )
    ),
)
CONFIG = Struct(
    "Config",
    (
        _plain("version", "integer", "0, or not at all.", since=3),
        Field("ignition", IGNITION, "Ignition itself."),
        Field("storage", STORAGE, "Disks, filesystems, files."),
        Field(
            "systemd", Struct("Systemd", (Field("units", ListOf(UNIT, unique=False), "Units."),)), "systemd's units."
        ),
        Field(
            "networkd",
            Struct("Networkd", (Field("units", ListOf(NETWORK_UNIT, unique=False), "Units."),)),
            "systemd-networkd's units.",
        ),
        Field(
            "passwd",
            Struct(
                "Passwd",
                (
                    Field("users", ListOf(USER, unique=False), "Accounts."),
                    Field("groups", ListOf(GROUP, unique=False), "Groups."),
                ),
            ),
            "Accounts and groups.",
        ),
        Field("etcd", Struct("Etcd", ()), "etcd as a container; its options depend on `version`.", pointer_until=9),
        Field("flannel", Struct("Flannel", ()), "flannel; its options depend on `version`.", pointer_until=9),
        Field(
            "update",
            Struct(
                "Update",
                (
                    _plain("group", "string", "The update group."),
                    _plain("server", "string", "The update server's URL."),
                ),
            ),
            "Updates of the system.",
            pointer_until=9,
        ),
        Field(
            "docker",
            Struct("Docker", (Field("flags", STRS, "Docker's options."),)),
            "The Docker daemon.",
            pointer_until=9,
        ),
        Field("locksmith", LOCKSMITH, "Reboots after updates.", pointer_until=9),
    ),
)
TARGETS = {"2.1.0": 1, "2.2.0": 2, "2.3.0": 3}
"""Ignition version → its minor version."""
