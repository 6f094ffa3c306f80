"""The description of Container Linux Config: every key, its kind, and the Ignition 2.x version it needs.

``since`` is the minor version of Ignition 2.x here. Services (etcd, flannel, locksmith) become command-line options
or environment variables; ``json`` holds the option's or variable's name.
"""

from __future__ import annotations

from nodisk.butane.clc.fields_storage import STORAGE, STRS, VERIFICATION, plain
from nodisk.butane.schema import Field, ListOf, Struct

REFERENCE = Struct(
    "ConfigReference",
    (plain("source", "string", "URL."), Field("verification", VERIFICATION, "How to verify it.")),
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
DROPIN = (plain("name", "string", "Its name, ending in `.conf`."), plain("contents", "string", "Its content."))
UNIT = Struct(
    "SystemdUnit",
    (
        plain("name", "string", "The unit's name with its suffix."),
        plain("enable", "boolean", "Enable it (deprecated)."),
        Field("enabled", "boolean", "Enable or disable it."),
        plain("mask", "boolean", "Mask it."),
        plain("contents", "string", "Its content."),
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
    plain("gecos", "string", "The account's comment."),
    plain("home_dir", "string", "The home directory."),
    plain("no_create_home", "boolean", "Don't create the home directory."),
    plain("primary_group", "string", "The primary group."),
    Field("groups", STRS, "Supplementary groups."),
    plain("no_user_group", "boolean", "Don't create a group with the user's name."),
    plain("system", "boolean", "Make it a system account."),
    plain("no_log_init", "boolean", "Don't add the user to lastlog and faillog."),
    plain("shell", "string", "The login shell."),
)
USER = Struct(
    "User",
    (
        plain("name", "string", "The account's name."),
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
        plain("name", "string", "The group's name."),
        Field("gid", "unsigned", "Its number."),
        plain("password_hash", "string", "Its encrypted password."),
        plain("system", "boolean", "Make it a system group."),
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
        plain("version", "integer", "0, or not at all.", since=3),
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
                    plain("group", "string", "The update group."),
                    plain("server", "string", "The update server's URL."),
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
