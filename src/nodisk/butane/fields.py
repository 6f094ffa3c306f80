"""The description of Butane (fcos, flatcar) and of Ignition 3.x: every key, its kind, its versions, what it does.

Decoding, unknown keys, translation, Ignition's JSON, merging and docs/reference/butane.md all come from here.
"""

from __future__ import annotations

from nodisk.butane.fields_resource import RESOURCE, STRS, VERIFICATION
from nodisk.butane.fields_storage import CEX, STORAGE, TANG
from nodisk.butane.schema import Field, ListOf, Struct

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
