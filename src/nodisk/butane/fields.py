"""The description of Butane (fcos, flatcar) and of Ignition 3.x: every key, its kind, its versions, what it does.

Decoding, unknown keys, translation, Ignition's JSON, merging and docs/reference/butane.md all come from here.
"""

from __future__ import annotations

from nodisk.butane.schema import Field, ListOf, Struct

STRS = ListOf("string")
OPTIONS = ListOf("string", unique=False)

VERIFICATION = Struct(
    "Verification",
    (Field("hash", "string", "Hash of the content, `TYPE-VALUE`: `sha512`, and from spec 3.1.0 `sha256`."),),
)
HEADER = Struct(
    "HTTPHeader",
    (
        Field("name", "string", "The header's name; unique in the list.", required=True),
        Field("value", "string", "The header's value; without it, merging removes the header of the parent config."),
    ),
    key="name",
)
RESOURCE = Struct(
    "Resource",
    (
        Field(
            "compression", "string", "`gzip`, or an empty string for none. Chosen automatically for inline and local."
        ),
        Field("http_headers", ListOf(HEADER), "Headers to send; only for `http` and `https` sources.", since=1),
        Field("source", "string", "URL: `http`, `https`, `tftp`, `s3`, `data`; from 3.2.0 `gs`, from 3.4.0 `arn`."),
        Field("inline", "string", "The content itself.", json=None),
        Field("local", "string", "A file to embed, relative to `--files-dir`.", json=None, since=1),
        Field("verification", VERIFICATION, "How to verify the content."),
    ),
    key="source",
)
CONFIG_REFERENCE = Struct(
    "ConfigReference",
    (
        Field("source", "string", "URL of the config.", null_until=1),
        Field("verification", VERIFICATION, "How to verify it."),
    ),
    key="source",
)
CA_REFERENCE = Struct(
    "CaReference",
    (
        Field("source", "string", "URL of the certificate bundle.", required=True),
        Field("verification", VERIFICATION, "How to verify it."),
    ),
    key="source",
)
IGNITION_CONFIG = Struct(
    "IgnitionConfig",
    (
        Field(
            "merge",
            ListOf(RESOURCE),
            "Ignition configs to merge into this one.",
            kind_until=(1, ListOf(CONFIG_REFERENCE)),
        ),
        Field("replace", RESOURCE, "An Ignition config to use instead of this one.", kind_until=(1, CONFIG_REFERENCE)),
    ),
)
PROXY = Struct(
    "Proxy",
    (
        Field("http_proxy", "string", "Proxy for HTTP URLs, also for HTTPS if `https_proxy` is absent."),
        Field("https_proxy", "string", "Proxy for HTTPS URLs."),
        Field("no_proxy", STRS, "Hosts, domains and networks to reach without a proxy."),
    ),
)
TLS = Struct(
    "TLS",
    (
        Field(
            "certificate_authorities",
            ListOf(RESOURCE),
            "Further authorities to trust when fetching over HTTPS.",
            kind_until=(1, ListOf(CA_REFERENCE)),
        ),
    ),
)
SECURITY = Struct("Security", (Field("tls", TLS, "Options for TLS.", json="tls"),))
TIMEOUTS = Struct(
    "Timeouts",
    (
        Field("http_response_headers", "integer", "Seconds to wait for the headers of an answer (default 10)."),
        Field("http_total", "integer", "Seconds that an HTTP operation may take in all (default 0: no limit)."),
    ),
)
IGNITION = Struct(
    "Ignition",
    (
        Field("config", IGNITION_CONFIG, "Other Ignition configs."),
        Field("proxy", PROXY, "Proxies for Ignition's own downloads.", since=1),
        Field("security", SECURITY, "What Ignition trusts."),
        Field("timeouts", TIMEOUTS, "Timeouts of Ignition's own downloads."),
    ),
)
KERNEL_ARGUMENTS = Struct(
    "KernelArguments",
    (
        Field("should_exist", STRS, "Arguments to add if missing.", group="karg"),
        Field("should_not_exist", STRS, "Arguments to remove if present.", group="karg"),
    ),
)
GROUP = Struct(
    "PasswdGroup",
    (
        Field("gid", "integer", "The group's number."),
        Field("name", "string", "The group's name; unique.", required=True),
        Field("password_hash", "string", "The group's encrypted password."),
        Field("should_exist", "boolean", "`false`: delete the group.", since=2),
        Field("system", "boolean", "Make it a system group."),
    ),
    key="name",
)
USER = Struct(
    "PasswdUser",
    (
        Field("gecos", "string", "The account's comment (full name)."),
        Field("groups", STRS, "Supplementary groups."),
        Field("home_dir", "string", "The home directory."),
        Field("name", "string", "The account's name; unique.", required=True),
        Field("no_create_home", "boolean", "Don't create the home directory."),
        Field("no_log_init", "boolean", "Don't add the user to lastlog and faillog."),
        Field("no_user_group", "boolean", "Don't create a group with the user's name."),
        Field("password_hash", "string", "The encrypted password."),
        Field("primary_group", "string", "Name or number of the primary group."),
        Field("ssh_authorized_keys", STRS, "SSH public keys."),
        Field(
            "ssh_authorized_keys_local",
            STRS,
            "Files of SSH public keys, relative to `--files-dir`.",
            json=None,
            since=4,
        ),
        Field("shell", "string", "The login shell."),
        Field("should_exist", "boolean", "`false`: delete the user.", since=2),
        Field("system", "boolean", "Make it a system account."),
        Field("uid", "integer", "The account's number."),
    ),
    key="name",
)
PASSWD = Struct(
    "Passwd",
    (
        Field("groups", ListOf(GROUP), "Groups to create or change."),
        Field("users", ListOf(USER), "Accounts to create or change."),
    ),
)
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
DROPIN = Struct(
    "Dropin",
    (
        Field("contents", "string", "The drop-in's content."),
        Field("contents_local", "string", "The same from a file, relative to `--files-dir`.", json=None, since=4),
        Field("name", "string", "The drop-in's name, ending in `.conf`.", required=True),
    ),
    key="name",
)
UNIT = Struct(
    "Unit",
    (
        Field("contents", "string", "The unit's content."),
        Field("contents_local", "string", "The same from a file, relative to `--files-dir`.", json=None, since=4),
        Field("dropins", ListOf(DROPIN), "Drop-ins of the unit."),
        Field("enabled", "boolean", "Enable or disable it; needs an `[Install]` section."),
        Field("mask", "boolean", "Mask it."),
        Field("name", "string", "The unit's name with its suffix; unique.", required=True),
    ),
    key="name",
)
SYSTEMD = Struct("Systemd", (Field("units", ListOf(UNIT), "Units."),))

BOOT_LUKS = Struct(
    "BootDeviceLuks",
    (
        Field("cex", CEX, "Unlock by a Crypto Express card (s390x).", fcos=6),
        Field("discard", "boolean", "Pass discards on to the device.", fcos=5),
        Field("device", "string", "The whole disk (s390x layouts `s390x-eckd`, `s390x-zfcp`).", fcos=6),
        Field("tang", ListOf(TANG), "Tang servers."),
        Field("threshold", "integer", "How many pieces are needed to unlock (default 1)."),
        Field("tpm2", "boolean", "Use the TPM 2."),
    ),
)
BOOT_MIRROR = Struct("BootDeviceMirror", (Field("devices", STRS, "Whole disks, at least two."),))
BOOT_DEVICE = Struct(
    "BootDevice",
    (
        Field(
            "layout",
            "string",
            "`aarch64`, `ppc64le`, `x86_64`; from 1.6.0 `s390x-eckd`, `s390x-virt`, `s390x-zfcp`.",
        ),
        Field("luks", BOOT_LUKS, "Encrypt the root filesystem."),
        Field("mirror", BOOT_MIRROR, "Mirror the boot disk."),
    ),
)
GRUB_USER = Struct(
    "GrubUser",
    (
        Field("name", "string", "The superuser's name.", required=True),
        Field("password_hash", "string", "The password's hash, of `grub2-mkpasswd-pbkdf2`."),
    ),
)
GRUB = Struct("Grub", (Field("users", ListOf(GRUB_USER), "Superusers of the boot loader."),))

IGNITION_OUT = Struct("Ignition", (*IGNITION.fields, Field("version", "string", "The spec's version.", required=True)))
_SECTIONS = (
    Field("kernel_arguments", KERNEL_ARGUMENTS, "Kernel arguments.", since=3),
    Field("passwd", PASSWD, "Accounts and groups."),
    Field("storage", STORAGE, "Disks, filesystems, files."),
    Field("systemd", SYSTEMD, "Units."),
)
CONFIG = Struct(
    "Config",
    (
        Field("variant", "string", "`fcos` or `flatcar`.", required=True, json=None),
        Field("version", "string", "The version of the variant's spec.", required=True, json=None),
        Field("ignition", IGNITION, "Ignition itself."),
        *_SECTIONS,
        Field("boot_device", BOOT_DEVICE, "The boot disk.", json=None, fcos=3),
        Field("grub", GRUB, "The boot loader.", json=None, fcos=5),
    ),
)
"""A Butane document."""
IGNITION_CONFIG_FILE = Struct(
    "IgnitionFile", (Field("ignition", IGNITION_OUT, "Ignition itself.", required=True), *_SECTIONS)
)
"""An Ignition config."""

VERSIONS: dict[str, dict[str, int]] = {
    "fcos": {"1.0.0": 0, "1.1.0": 1, "1.2.0": 2, "1.3.0": 2, "1.4.0": 3, "1.5.0": 4, "1.6.0": 5, "1.7.0": 6},
    "flatcar": {"1.0.0": 3, "1.1.0": 4},
}
"""Variant → version → minor version of the Ignition spec 3.x that it translates to."""
MAX_SPEC = 6
