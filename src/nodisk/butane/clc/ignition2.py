"""Ignition 2.1.0, 2.2.0 and 2.3.0 as ct writes them: which keys in which order, what is always there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nodisk.butane.clc.ignition2_rules import Rules
from nodisk.butane.clc.walk import Part, Shape

Values = Mapping[str, Any]

# A line a mapping: its name, then its keys in order. A kind after a colon: Name (a mapping that is always written),
# *Name (only if given), [Name] a list of mappings; without one a scalar or list of scalars, left out if empty.
# `?` given or not counts, not zero or not; `!` always written from 2.3.0; a number: only from 2.number.0.
_TABLE = """
Config ignition:Ignition networkd:Networkd passwd:Passwd storage:Storage systemd:Systemd
Ignition config:IgnitionConfig security:Security/2 timeouts:Timeouts version
IgnitionConfig append:[ConfigReference] replace:*ConfigReference
ConfigReference source! verification:Verification
Security tls:TLS
TLS certificateAuthorities:[CaReference]
CaReference source! verification:Verification
Verification hash?
Timeouts httpResponseHeaders? httpTotal?
Networkd units:[NetworkdUnit]
NetworkdUnit contents dropins:[NetworkdDropin]/2 name!
NetworkdDropin contents name!
Passwd groups:[PasswdGroup] users:[PasswdUser]
PasswdGroup gid? name! passwordHash system
PasswdUser create:*Usercreate gecos groups homeDir name! noCreateHome noLogInit noUserGroup passwordHash? primaryGroup
PasswdUser sshAuthorizedKeys shell system uid?
Usercreate gecos groups homeDir noCreateHome noLogInit noUserGroup primaryGroup shell system uid?
Storage directories:[Directory] disks:[Disk] files:[File] filesystems:[Filesystem] links:[Link] raid:[Raid]
Directory filesystem! group:*NodeGroup overwrite?/2 path! user:*NodeUser mode?
File filesystem! group:*NodeGroup overwrite?/2 path! user:*NodeUser append/2 contents:FileContents mode?
Link filesystem! group:*NodeGroup overwrite?/2 path! user:*NodeUser hard target!
NodeGroup id? name
NodeUser id? name
FileContents compression source verification:Verification
Disk device! partitions:[Partition] wipeTable
Partition guid label? number size sizeMiB? start startMiB? typeGuid
Filesystem mount:*Mount name path?
Mount create:*Create device! format! label? options uuid? wipeFilesystem
Create force options
Raid devices! level! name! options/2 spares
Systemd units:[Unit]
Unit contents dropins:[SystemdDropin] enable enabled? mask name!
SystemdDropin contents name!
"""


class _Key(NamedTuple):
    name: str
    inner: str
    """The mapping that it holds; "" for none."""
    is_list: bool
    optional: bool
    counts: bool
    """Given or not is what counts."""
    always: bool
    since: int


def _parse() -> dict[str, list[_Key]]:
    table: dict[str, list[_Key]] = {}
    for line in _TABLE.strip().splitlines():
        struct, *words = line.split()
        for word in words:
            text, _, since = word.partition("/")
            name, _, kind = text.partition(":")
            table.setdefault(struct, []).append(
                _Key(
                    name.rstrip("?!"),
                    kind.strip("*[]"),
                    kind.startswith("["),
                    kind.startswith("*"),
                    name.endswith("?"),
                    name.endswith("!"),
                    int(since or 1),
                )
            )
    return table


_KEYS = _parse()


def emit(name: str, values: Values, target: int) -> dict[str, Any]:
    """The mapping ``name`` as Ignition 2.``target`` has it."""
    out: dict[str, Any] = {}
    for key in _KEYS[name]:
        if target < key.since:
            continue
        value = values.get(key.name)
        if key.is_list:
            if value:
                out[key.name] = [emit(key.inner, item, target) for item in value]
        elif key.inner:
            if value is not None or not key.optional or _plain_owner(key, target):
                out[key.name] = emit(key.inner, value or {}, target)
        elif key.always and target >= 3:
            # A list that is empty is none at all to Go.
            out[key.name] = (value or None) if key.name == "devices" else value or ""
        elif _written(name, key, value, target):
            out[key.name] = value
    return out


def _plain_owner(key: _Key, target: int) -> bool:
    """Owners were no pointers in 2.1: they are written, and judged, even if nobody gave any."""
    return target == 1 and key.name in ("user", "group")


def _written(struct: str, key: _Key, value: Any, target: int) -> bool:
    if value is None:
        return False
    if target == 1 and key.name == "mode":  # no pointer then: 0 is as good as absent
        return bool(value)
    if struct == "Partition" and key.name == "label" and target < 3:
        return bool(value)
    return key.counts or bool(value)


def shape(target: int) -> Shape:
    """How a config of 2.``target`` is judged."""
    return _shape("Config", target)


def _shape(name: str, target: int) -> Shape:
    out = Shape()
    rules = Rules(target).table().get(name, {})
    out.rule = rules.get("")
    for key in _KEYS[name]:
        if target < key.since:
            continue
        inner = _shape(key.inner, target) if key.inner else None
        if key.is_list:
            listed = Shape()
            listed.item = inner
            inner = listed
        # Ignition 2.3.0 looks for the authorities in `security` itself, finds no node, and stays at that one.
        lost = name == "Security" and target >= 3
        out.parts.append(
            Part("" if lost else key.name, key.name, inner, pointer=key.optional and not _plain_owner(key, target))
        )
        if key.name in rules:
            out.field_rules[key.name] = rules[key.name]
    return out
