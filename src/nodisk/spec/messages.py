"""What pydantic says about a value, in words for the person who wrote it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Network
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from nodisk.spec.model import Lab
from nodisk.spec.rules import Finding
from nodisk.yamltree import Path


def of(error: Mapping[str, Any]) -> Finding:
    """One entry of ``ValidationError.errors()`` as a finding."""
    path: Path = tuple(step for step in error["loc"] if step != "[key]")
    key = "[key]" in error["loc"] or error["type"] == "extra_forbidden"
    what, hint = _words(error, path)
    return Finding(path, what, hint, key=key, about=_meant(path) if error["type"] == "extra_forbidden" else ())


def _words(error: Mapping[str, Any], path: Path) -> tuple[str, str]:
    if error["type"] == "extra_forbidden":
        return _unknown(path)
    if error["type"] == "missing":
        return f"{path[-1]!r} is missing", _MISSING.get(str(path[-1]), "add it")
    words = _WORDS.get(error["type"])
    return words(error["input"], error.get("ctx", {})) if words else (str(error["msg"]), "")


def _choice(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    choices = [word.strip().strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
    return f"{_show(value)} is not one of {', '.join(choices)}", nearest(str(value), choices)


def _refused(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    what, _, hint = str(context["error"]).partition("; ")
    return what, hint


def _no_list(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    hint = f"write [{value}]" if isinstance(value, str) and len(value) < 60 else "start each item with `- `"
    return f"a list is wanted here, not {_show(value)}", hint


def _no_mapping(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    return f"a mapping (`key: value` lines) is wanted here, not {_show(value)}", "indent its keys below"


def _no_number(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    return f"{_show(value)} is not a whole number", ""


_WORDS: dict[str, Callable[[Any, dict[str, Any]], tuple[str, str]]] = {
    "enum": _choice,
    "value_error": _refused,
    "ip_v4_address": lambda value, _: (f"{_show(value)} is not an IPv4 address", "write it as 10.77.0.1"),
    "ip_v4_network": lambda value, _: _network(value),
    "model_type": _no_mapping,
    "model_attributes_type": _no_mapping,
    "dict_type": _no_mapping,
    "tuple_type": _no_list,
    "string_type": lambda value, _: (
        f"a text is wanted here, not {_show(value)}",
        'write "" for an empty one' if value is None else "",
    ),
    "int_parsing": _no_number,
    "int_parsing_size": _no_number,
    "int_type": _no_number,
    "greater_than_equal": lambda value, context: (f"{_show(value)} is too small", f"at least {context['ge']}"),
    "less_than_equal": lambda value, context: (f"{_show(value)} is too large", f"at most {context['le']}"),
    "too_short": lambda *_: ("there is no machine here", "add at least a control-plane machine"),
}

_MISSING = {
    "name": "a name such as `name: s4` or, for the lab, `name: room`",
    "network": "add `network:` with `subnet:` and `server:`",
    "subnet": "the addresses of the room's segment, such as `subnet: 10.77.0.0/24`",
    "server": "this host's address on the segment, such as `server: 10.77.0.1`",
    "machines": "add `machines:` with name, mac and address of each",
    "mac": "it is on the PC's label or in the DHCP server's log, such as `mac: 52:54:00:ab:01:02`",
    "address": "a fixed address in the subnet, such as `address: 10.77.0.11`",
    "effect": "one of NoSchedule, PreferNoSchedule, NoExecute",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean X?`` or ''."""
    names = list(known)
    found = difflib.get_close_matches(word.lower(), [name.lower() for name in names], n=1, cutoff=0.6)
    return next((f"did you mean {name!r}?" for name in names if found and name.lower() == found[0]), "")


def _unknown(path: Path) -> tuple[str, str]:
    word = str(path[-1])
    if word == "<<":
        return "merge keys are not read", "write the keys out"
    here = _section(path[:-1])
    if close := nearest(word, here):
        return f"unknown key {word!r}", close
    if elsewhere := next((place for place, keys in _sections().items() if word in keys), None):
        place = elsewhere or "the top level"
        return f"unknown key {word!r}", f"it belongs under {place}"
    return f"unknown key {word!r}", "known here: " + ", ".join(here)


def _meant(path: Path) -> tuple[Path, ...]:
    """The key that an unknown one was probably meant to be."""
    here = _section(path[:-1])
    said = nearest(str(path[-1]), here)
    return tuple((*path[:-1], name) for name in here if repr(name) in said)


def _section(path: Path) -> tuple[str, ...]:
    pattern = ".".join("[]" if isinstance(step, int) else step for step in path)
    if path[:1] == ("roles",):
        pattern = "roles.NAME"
    return _sections().get(pattern.replace(".[]", "[]"), ())


@cache
def _sections() -> dict[str, tuple[str, ...]]:
    """The keys of every section: ``{"": (…), "network": (…), "machines[]": (…)}``."""
    found: dict[str, tuple[str, ...]] = {}

    def walk(model: type[BaseModel], place: str) -> None:
        found[place] = tuple(model.model_fields)
        for name, info in model.model_fields.items():
            inner = f"{place}.{name}" if place else name
            for kind in (info.annotation, *get_args(info.annotation)):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    origin = get_origin(info.annotation)
                    many = "[]" if origin is tuple else ".NAME" if origin is dict else ""
                    walk(kind, inner + many)

    walk(Lab, "")
    return found


def _network(value: object) -> tuple[str, str]:
    try:
        meant = IPv4Network(str(value), strict=False)
    except ValueError:
        return f"{_show(value)} is not an IPv4 network", "write it as 10.77.0.0/24"
    return f"{_show(value)} is an address in a network, not a network", f"write {meant}"


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = value.value if isinstance(value, StrEnum) else str(value)
    return repr(text if len(text) <= 60 else text[:57] + "…")
