"""What ct checks of a Container Linux Config before converting it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodisk.butane import gourl, jsonsyntax
from nodisk.butane.clc.services import version_of
from nodisk.butane.clc.walk import Part, Rule, Said, Shape
from nodisk.butane.gojson import quote
from nodisk.butane.pattern import Pattern
from nodisk.butane.report import Severity
from nodisk.butane.schema import CStruct

_ETCD_TOO_NEW = (
    "Etcd minor version specified is too new, only options available in the previous minor version will be accepted"
)
_DURATION = Pattern(r"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|[-+]?0")
_CLOCK = Pattern(r"(?:[01]?\d|2[0-3]):[0-5]\d")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def shape_of(struct: CStruct, target: int) -> Shape:
    """How a compiled section is judged."""
    return _shape(struct, target, {})


def _shape(struct: CStruct, target: int, done: dict[str, Shape]) -> Shape:
    shape = Shape()
    rules = RULES.get(struct.name, {})
    shape.rule = rules.get("") if struct.name != "FileContents" or target >= 2 else None
    for name, field in struct.by_name.items():
        inner: Shape | None = None
        if isinstance(field.item, CStruct):
            inner = _shape(field.item, target, done)
            if field.kind == "list":
                outer = Shape()
                outer.item = inner
                inner = outer
        if f"={name}" in rules:
            inner = Shape()
            inner.rule = rules[f"={name}"]
        shape.parts.append(Part(name, name, inner, pointer=field.pointer or field.kind not in ("map", "list")))
        if name in rules:
            shape.field_rules[name] = rules[name]
    if struct.name == "Locksmith" and target == 1:
        shape.field_rules["reboot_strategy"] = _required_strategy
    if struct.name == "File" and target < 3:
        shape.field_rules["mode"] = _old_file_mode
    return shape


def _version(values: Any) -> Said:
    if values.get("version"):
        yield "error", "Invalid version. Only version 0 is supported"


def _file_mode(values: Any) -> Said:
    if "mode" in values:
        return
    if values.get("append"):
        yield "info", "mode unspecified for file, defaulting to 0644 if the file does not exist"
    else:
        yield "warning", "mode unspecified for file, defaulting to 0644"


def _old_file_mode(values: Any) -> Said:
    if "mode" not in values:
        yield "warning", "mode unspecified for file, defaulting to 0644"


def _directory_mode(values: Any) -> Said:
    if "mode" not in values:
        yield "warning", "mode unspecified for directory, defaulting to 0755"


def _contents(values: Any) -> Said:
    given = [values.get("remote", {}).get("url"), values.get("inline"), values.get("local")]
    if sum(map(bool, given)) > 1:
        yield "error", "only one of the following can be set: local, inline, remote.url"


def _update(values: Any) -> Said:
    if values.get("group", "").lower() not in ("stable", "beta", "alpha") and not values.get("server"):
        yield "warning", "unknown update group"


def _server(value: str) -> Said:
    try:
        gourl.parse(value)
    except gourl.BadUrl as error:
        yield "error", f"parse {quote(value)}: {error}"


def _locksmith(values: Any) -> Said:
    if bool(values.get("window_start")) != bool(values.get("window_length")):
        yield "error", "window-start and window-length must both be specified"


def _strategy(values: Any) -> Said:
    value = values.get("reboot_strategy")
    if value and value.lower() not in ("reboot", "etcd-lock", "off"):
        yield "error", "unknown reboot strategy"


def _required_strategy(values: Any) -> Said:
    if not values.get("reboot_strategy"):
        yield "error", "unknown reboot strategy"
    yield from _strategy(values)


def _window_start(values: Any) -> Said:
    words = (values.get("window_start") or "").split()
    if not words:
        if values.get("window_start"):
            yield "error", "couldn't parse window start"
        return
    if len(words) > 1:
        if words[0].lower() not in _DAYS:
            yield "error", "unknown day in window start"
            return
        clock = words[1]
    else:
        clock = values["window_start"]
    if not _CLOCK.fullmatch(clock):
        yield "error", "couldn't parse window start"


def _window_length(values: Any) -> Said:
    value = values.get("window_length")
    if value and not _DURATION.fullmatch(value):
        yield "error", "couldn't parse window length"


def _etcd_version(value: str) -> Said:
    version = version_of(value)
    if version.older(2, 3, 0):
        yield "error", "Etcd version specified is not valid (too old)"
    elif version.major in (2, 3) and version.minor > 3:
        yield "warning", _ETCD_TOO_NEW
    elif version.major > 3:
        yield "error", "Etcd version is not valid (too new)"


def _flannel_version(value: str) -> Said:
    version = version_of(value)
    if version.older(0, 5, 0):
        yield "error", "invalid flannel version (too old)"
    elif version.major == 0 and version.minor > 7:
        yield (
            "warning",
            "flannel minor version too new. Only options available in the previous minor version will be supported",
        )


def _network_config(value: str) -> Iterator[tuple[Severity, str]]:
    data = value.encode("utf-8", "surrogateescape")
    try:
        jsonsyntax.check(data)
        good = data.strip()[:1] == b"{" or data.strip() == b"null"
    except jsonsyntax.JsonError:
        good = False
    if not good:
        yield "error", "flannel network config doesn't appear to be valid JSON"


def _flannel(values: Any) -> Said:
    if values.get("kube_subnet_mgr") and values.get("network_config"):
        yield "error", "flannel network config cannot be provided if kube_subnet_mgr is set"


# Struct → "" its own rule · "field" a rule of the mapping placed at a field · "=field" a rule of a field's value.
RULES: dict[str, dict[str, Rule]] = {
    "Config": {"version": _version},
    "File": {"mode": _file_mode},
    "Directory": {"mode": _directory_mode},
    "FileContents": {"": _contents},
    "Update": {"": _update, "=server": _server},
    "Locksmith": {
        "": _locksmith,
        "reboot_strategy": _strategy,
        "window_start": _window_start,
        "window_length": _window_length,
    },
    "Etcd": {"=version": _etcd_version},
    "Flannel": {"": _flannel, "=version": _flannel_version, "=network_config": _network_config},
}
