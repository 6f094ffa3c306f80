"""Ignition's own rules for configs of spec 3.0.0 to 3.6.0: what Ignition refuses on the machine is refused here.

A rule a struct, applied to each mapping of that kind; lists with keys are checked for duplicates besides. Messages
are Ignition's. Paths are those of the Ignition config.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from nodisk.butane import gourl, jsonsyntax, rules_storage, semver, unitfile
from nodisk.butane.gojson import quote
from nodisk.butane.paths import Path
from nodisk.butane.pattern import Pattern
from nodisk.butane.report import Findings
from nodisk.butane.schema import CStruct, key_of
from nodisk.butane.urls import check_required, check_url

Values = Mapping[str, Any]
Rule = Callable[[Values, Path, int, Findings], None]

UNIT_SUFFIXES = frozenset(
    [
        "service",
        "socket",
        "device",
        "mount",
        "automount",
        "swap",
        "target",
        "path",
        "timer",
        "snapshot",
        "slice",
        "scope",
    ]
)
_INSTANCE = Pattern(r"(.+?)@(.+?)\.service", re.DOTALL)
_HASH_SIZES = {"sha512": 128, "sha256": 64}


def check(struct: CStruct, values: Values, spec: int, found: Findings, path: Path = ()) -> None:
    """Apply every rule to ``values`` and what is in it."""
    rule = RULES.get(struct.name)
    if rule is not None:
        rule(values, path, spec, found)
    for field in struct.fields:
        name = cast("str", field.json)
        value = values.get(name)
        if value is None:
            continue
        if isinstance(field.item, CStruct):
            if field.kind == "map":
                check(field.item, value, spec, found, (*path, name))
            else:
                for index, item in enumerate(value):
                    check(field.item, item, spec, found, (*path, name, index))
        elif field.paths:
            for index, item in enumerate(value):
                rules_storage.check_path(item, (*path, name, index), found)


def check_duplicates(struct: CStruct, values: Values, found: Findings, path: Path = ()) -> None:
    """Two items with the same key, in a list or in lists that share their keys, are an error each."""
    seen: dict[str, set[str]] = {}
    for field in struct.fields:
        name = cast("str", field.json)
        value = values.get(name)
        if not value:
            continue
        if field.kind == "list":
            if field.unique:
                keys = seen.setdefault(field.group or name, set())
                for index, item in enumerate(value):
                    key = key_of(field.item, item)
                    if key in keys:
                        found.error((*path, name, index), "duplicate entry defined")
                    keys.add(key)
            if isinstance(field.item, CStruct):
                for index, item in enumerate(value):
                    check_duplicates(field.item, item, found, (*path, name, index))
        elif isinstance(field.item, CStruct):
            check_duplicates(field.item, value, found, (*path, name))


def _config(values: Values, path: Path, spec: int, found: Findings) -> None:
    units: set[str] = set()
    for unit in values.get("systemd", {}).get("units") or ():
        place = "/etc/systemd/system/" + unit.get("name", "")
        if unit.get("contents"):
            units.add(place)
        for dropin in unit.get("dropins") or ():
            if dropin.get("contents"):
                units.add(f"{place}.d/{dropin.get('name', '')}")
    storage = values.get("storage", {})
    for kind in ("files", "directories", "links"):
        for index, node in enumerate(storage.get(kind) or ()):
            if node.get("path", "") in units:
                found.error(("storage", kind, index, "path"), "path conflicts with systemd unit or dropin")


def _version(values: Values, path: Path, spec: int, found: Findings) -> None:
    try:
        version = semver.parse(values.get("version", ""))
    except semver.BadVersion:
        found.error((*path, "version"), "invalid config version (couldn't parse)")
        return
    if version != semver.Version(3, spec, 0):
        found.error((*path, "version"), "unsupported config version")


def _ignition_config(values: Values, path: Path, spec: int, found: Findings) -> None:
    if spec >= 1:
        for index, resource in enumerate(values.get("merge") or ()):
            check_required(resource.get("source"), spec, (*path, "merge", index), found)


def _config_reference(values: Values, path: Path, spec: int, found: Findings) -> None:
    check_url(values.get("source"), spec, (*path, "source"), found)


def _ca_reference(values: Values, path: Path, spec: int, found: Findings) -> None:
    check_url(values.get("source", ""), spec, (*path, "source"), found, empty_ok=False)


def _tls(values: Values, path: Path, spec: int, found: Findings) -> None:
    if spec >= 1:
        for index, resource in enumerate(values.get("certificateAuthorities") or ()):
            check_required(resource.get("source"), spec, (*path, "certificateAuthorities", index), found)


def _proxy(values: Values, path: Path, spec: int, found: Findings) -> None:
    for name in ("httpProxy", "httpsProxy"):
        text = values.get(name)
        if text is None:
            continue
        try:
            scheme = gourl.parse(text).scheme
        except gourl.BadUrl:
            found.error((*path, name), "unable to parse url")
            continue
        if scheme not in ("http", "https"):
            found.error((*path, name), "proxies must be http(s)")
        elif scheme == "http" and name == "httpsProxy":
            found.warn((*path, name), "insecure plaintext HTTP proxy specified for HTTPS resources")


def _resource(values: Values, path: Path, spec: int, found: Findings) -> None:
    source = values.get("source")
    if values.get("compression") not in (None, "", "gzip"):
        found.error((*path, "compression"), "invalid compression method")
    if values.get("verification", {}).get("hash") is not None and source is None:
        found.error((*path, "verification", "hash"), "source must be specified if verification is specified")
    check_url(source, spec, (*path, "source"), found)
    if values.get("httpHeaders"):
        place = (*path, "httpHeaders")
        try:
            if not source:
                raise gourl.BadUrl("no URL")
            if gourl.parse(source).scheme not in ("http", "https"):
                found.error(place, "cannot use HTTP headers with this source scheme")
        except gourl.BadUrl:
            found.error(place, "unable to parse url")


def _header(values: Values, path: Path, spec: int, found: Findings) -> None:
    if not values.get("name"):
        found.error((*path, "name"), "HTTP header name can't be empty")
    if values.get("value") == "":
        found.error((*path, "value"), "unable to parse HTTP header")


def _verification(values: Values, path: Path, spec: int, found: Findings) -> None:
    text = values.get("hash")
    if text is None:
        return
    place = (*path, "hash")
    function, dash, total = text.partition("-")
    if not dash:
        found.error(place, "malformed hash specifier")
    elif function not in _HASH_SIZES or (function == "sha256" and spec < 1):
        found.error(place, "unrecognized hash function")
    elif len(total.encode("utf-8", "surrogateescape")) != _HASH_SIZES[function]:
        found.error(place, "incorrect size for hash sum")


def _tang(values: Values, path: Path, spec: int, found: Findings) -> None:
    try:
        if gourl.parse(values.get("url", "")).scheme not in ("http", "https"):
            found.error((*path, "url"), "invalid url scheme")
    except gourl.BadUrl:
        found.error((*path, "url"), "unable to parse url")
    if not values.get("thumbprint"):
        found.error((*path, "thumbprint"), "thumbprint is required")
    advertisement = values.get("advertisement")
    if advertisement:
        try:
            jsonsyntax.check_values(advertisement.encode("utf-8", "surrogateescape"))
        except jsonsyntax.JsonError:
            found.error((*path, "advertisement"), "advertisement is not valid JSON")


def extension(name: str) -> str:
    """What follows the last dot of the last path element, as Go's path.Ext has it; "" if there is none."""
    return name.rsplit("/", 1)[-1].rpartition(".")[2] if "." in name.rsplit("/", 1)[-1] else ""


def _unit(values: Values, path: Path, spec: int, found: Findings) -> None:
    name, contents = values.get("name", ""), values.get("contents")
    if extension(name) not in UNIT_SUFFIXES:
        found.error((*path, "name"), "invalid systemd unit extension")
    try:
        sections = unitfile.sections(contents or "")
    except unitfile.UnitError as error:
        found.error((*path, "contents"), f"invalid unit content: {error}")
        return
    if values.get("enabled") and contents and "Install" not in sections:
        found.warn(
            (*path, "contents"),
            f"unit {quote(name)} is enabled, but has no install section so enable does nothing",
        )


def _dropin(values: Values, path: Path, spec: int, found: Findings) -> None:
    problem = unitfile.problem(values.get("contents"))
    if problem:
        found.error((*path, "contents"), problem)
    if extension(values.get("name", "")) != "conf":
        found.error((*path, "name"), "invalid systemd drop-in extension")


def _systemd(values: Values, path: Path, spec: int, found: Findings) -> None:
    """An enabled instance of a template whose text is in the config too: the template needs the install section."""
    units: Sequence[Values] = values.get("units") or ()
    by_name = {unit.get("name", ""): unit for unit in units}
    for index, unit in enumerate(units):
        match = _INSTANCE.fullmatch(unit.get("name", "")) if unit.get("enabled") else None
        if match is None or "\n" in match[0]:
            continue
        template = f"{match[1]}@.service"
        contents = by_name.get(template, {}).get("contents")
        if not contents:
            continue
        try:
            sections = unitfile.sections(contents)
        except unitfile.UnitError:
            continue  # said where the template is
        if "Install" not in sections:
            found.warn(
                (*path, "units", index, "contents"),
                f"template unit {quote(template)} for {quote(match[0])} doesn't have Install section",
            )


RULES: dict[str, Rule] = {
    "IgnitionFile": _config,
    "Ignition": _version,
    "IgnitionConfig": _ignition_config,
    "ConfigReference": _config_reference,
    "CaReference": _ca_reference,
    "TLS": _tls,
    "Proxy": _proxy,
    "Resource": _resource,
    "HTTPHeader": _header,
    "Verification": _verification,
    "Tang": _tang,
    "Unit": _unit,
    "Dropin": _dropin,
    "Systemd": _systemd,
    **rules_storage.RULES,
}
