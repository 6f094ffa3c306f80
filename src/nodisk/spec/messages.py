"""Translate pydantic's messages for the person who wrote the file."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from nodisk.spec import synonyms
from nodisk.spec.finding import Finding
from nodisk.spec.model import Lab
from nodisk.spec.section import keys
from nodisk.yamltree import Path


def of(error: Mapping[str, Any]) -> Finding:
    """One entry of ``ValidationError.errors()`` as a finding."""
    path: Path = tuple(step for step in error["loc"] if step != "[key]")
    key = "[key]" in error["loc"] or error["type"] == "extra_forbidden"
    what, hint = _words(error, path)
    return Finding(path, what, hint, key=key, about=_meant(path) if error["type"] == "extra_forbidden" else ())


def _words(error: Mapping[str, Any], path: Path) -> tuple[str, str]:
    if error["type"] == "extra_forbidden":
        return _unknown(path, error["input"])
    if error["type"] == "missing":
        return f"{path[-1]!r} is missing", _MISSING.get(str(path[-1]), "add it")
    if path == ("timetable",) and isinstance(error["input"], (list, tuple)):
        return "expected a mapping (`key: value` lines), not a list", "put the lessons below `lessons:`"
    if error["type"] in _SINGLE and isinstance(error["input"], (list, tuple, dict)):
        return _no_single(path, error["input"])
    if error["type"] == "enum":
        return _choice(path, error["input"], error["ctx"])
    words = _WORDS.get(error["type"])
    return words(error["input"], error.get("ctx", {})) if words else (str(error["msg"]), "")


def _choice(path: Path, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    choices = [word.strip().strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
    what = f"{_show(value)} is not one of {', '.join(choices)}"
    place = "roles" if path[:1] == ("roles",) else synonyms.place(path)
    meant = synonyms.choice(place, str(value))
    return what, (f"write `{meant}`" if meant in choices else meant or nearest(str(value), choices))


_SINGLE = ("enum", "value_error", "ip_v4_address", "ip_v4_network", "string_type", "int_type", "int_parsing")
"""Errors of scalar values."""

_ONE = {
    "machines[].mac": "a machine has one MAC address here: that of the NIC it boots from",
    "machines[].address": "a machine has one address here, on the room's segment",
    "machines[].role": "a machine has one role",
    "network.gateway": "the machines have one default route",
    "network.server": "the lab has one server, with one address on the segment",
    "network.interface": "the lab uses one interface; a second segment is a second lab",
}


def _no_single(path: Path, value: Any) -> tuple[str, str]:
    """A list or a mapping where a single value is expected."""
    if isinstance(value, dict):
        return f"expected a string, not {_show(value)}", "put it in quotes if the braces belong to the text"
    return f"expected a single value, not {_show(value)}", _ONE.get(synonyms.place(path), "write one, without [ ]")


def _refused(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    what, _, hint = str(context["error"]).partition("; ")
    return what, hint


def _no_list(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    hint = f"write [{value}]" if isinstance(value, str) and len(value) < 60 else "start each item with `- `"
    return f"expected a list, not {_show(value)}", hint


def _no_mapping(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    return f"expected a mapping (`key: value` lines), not {_show(value)}", "indent its keys below"


def _no_number(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    return f"{_show(value)} is not a whole number", ""


def _no_truth(value: Any, context: dict[str, Any]) -> tuple[str, str]:
    return f"{_show(value)} is neither `true` nor `false`", ""


_WORDS: dict[str, Callable[[Any, dict[str, Any]], tuple[str, str]]] = {
    "value_error": _refused,
    "ip_v4_address": lambda value, _: _address(value),
    "ip_v4_network": lambda value, _: _network(value),
    "model_type": _no_mapping,
    "model_attributes_type": _no_mapping,
    "dict_type": _no_mapping,
    "tuple_type": _no_list,
    "string_type": lambda value, _: (
        f"expected a string, not {_show(value)}",
        'write "" for an empty one' if value is None else "",
    ),
    "int_parsing": _no_number,
    "int_parsing_size": _no_number,
    "int_type": _no_number,
    "bool_parsing": _no_truth,
    "bool_type": _no_truth,
    "greater_than_equal": lambda value, context: (f"{_show(value)} is too small", f"at least {context['ge']}"),
    "less_than_equal": lambda value, context: (f"{_show(value)} is too large", f"at most {context['le']}"),
    "too_short": lambda *_: ("there are no machines", "add at least one control-plane machine"),
}

_MISSING = {
    "name": "a name such as `name: s4` or, for the lab, `name: room`",
    "network": "add `network:` with `subnet:` and `server:`",
    "subnet": "the addresses of the room's segment, such as `subnet: 10.77.0.0/24`",
    "server": "this host's address on the segment, such as `server: 10.77.0.1`",
    "machines": "add `machines:` with name, mac and address of each",
    "mac": "it is on the PC's label or in the DHCP server's log, such as `mac: 52:54:00:ab:01:02`",
    "address": "a fixed address in the subnet, such as `address: 10.77.0.11`",
    "kind": "one of wake-on-lan, ipmi, redfish, amt, plug",
    "lessons": "add `lessons:` with a line each, such as `- mon 10:15-12:00`",
    "effect": "one of NoSchedule, PreferNoSchedule, NoExecute",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean X?`` or ''."""
    names = list(known)
    found = difflib.get_close_matches(word.lower(), [name.lower() for name in names], n=1, cutoff=0.6)
    return next((f"did you mean {name!r}?" for name in names if found and name.lower() == found[0]), "")


def _unknown(path: Path, value: Any) -> tuple[str, str]:
    if path[-1] == "<<":
        return "merge keys are not supported", "write the keys out"
    word = str(path[-1])
    return f"unknown key {word!r}", _other_word(path, value) or _other_place(path) or _near(path)


def _other_word(path: Path, value: Any) -> str:
    """The hint for a misspelt or differently named key of this section; '' if it is none."""
    word, section = str(path[-1]), synonyms.place(path[:-1])
    if (plain := synonyms.plain(word)) in _section(path[:-1]):
        return f"did you mean {plain!r}?"
    meant = synonyms.keys(section, word)
    if meant is None or meant.rpartition(".")[0] != section:
        return ""
    return f"here it is called `{meant.rpartition('.')[2]}`{_but_one(meant, word, value)}"


def _other_place(path: Path) -> str:
    """The hint for a key that belongs in another section, or in none; '' if it isn't known at all."""
    word, section = str(path[-1]), synonyms.place(path[:-1])
    if hint := synonyms.absent(section, word):
        return hint
    meant = synonyms.keys(section, word)
    # A name, a kind or a network means too many things to be sent elsewhere.
    return "" if meant in ("name", "network", "machines[].name", "machines[].role") else _belongs(word, meant)


def _near(path: Path) -> str:
    word, here = str(path[-1]), _section(path[:-1])
    if close := nearest(word, here):
        return close
    if elsewhere := next((place for place, keys in sections().items() if word in keys), None):
        return f"it belongs under {elsewhere or 'the top level'}"
    return "known here: " + ", ".join(here)


def _but_one(place: str, word: str, value: Any) -> str:
    """Further advice on a key that is known under another name."""
    if isinstance(value, (list, tuple)) and place in _ONE:
        return f"; {_ONE[place]}"
    if place == "network.subnet" and "mask" in word.lower():
        return ", with its mask: 10.77.0.0/24"
    return ""


def _belongs(word: str, place: str | None) -> str:
    if place is None:
        return ""
    section, _, key = place.rpartition(".")
    if section == "machines[]":
        return f"it is `{key}` of a machine, under machines" if key != word else "it belongs to a machine, in machines"
    where = f"under {section}" if section else "at the top level"
    return f"it belongs {where}" if key == word else f"it is called `{key}` and belongs {where}"


def _meant(path: Path) -> tuple[Path, ...]:
    """The keys that the author of an unknown key probably meant."""
    here, word = _section(path[:-1]), str(path[-1])
    said = nearest(word, here)
    near = [(*path[:-1], name) for name in here if repr(name) in said or name == synonyms.plain(word)]
    place = synonyms.keys(synonyms.place(path[:-1]), word)
    if place is None:
        return tuple(near)
    section, _, key = place.rpartition(".")
    if section == synonyms.place(path[:-1]):
        return (*path[:-1], key), *near
    return (tuple(place.split(".")),) if "[]" not in place else ()


def _section(path: Path) -> tuple[str, ...]:
    pattern = ".".join("[]" if isinstance(step, int) else step for step in path)
    if path[:1] == ("roles",):
        pattern = "roles.NAME"
    return sections().get(pattern.replace(".[]", "[]"), ())


@cache
def sections() -> dict[str, tuple[str, ...]]:
    """The keys of every section: ``{"": (…), "network": (…), "machines[]": (…)}``."""
    found: dict[str, tuple[str, ...]] = {}

    def walk(model: type[BaseModel], place: str) -> None:
        found[place] = tuple(keys(model))
        for name, info in keys(model).items():
            inner = f"{place}.{name}" if place else name
            for kind in (info.annotation, *get_args(info.annotation)):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    origin = get_origin(info.annotation)
                    many = "[]" if origin is tuple else ".NAME" if origin is dict else ""
                    walk(kind, inner + many)

    walk(Lab, "")
    return found


def _address(value: object) -> tuple[str, str]:
    text = str(value)
    with contextlib.suppress(ValueError):
        return f"{_show(value)} is an IPv6 address", f"nodisk's network is IPv4: {IPv6Address(text)} has no place in it"
    with contextlib.suppress(ValueError):
        alone = IPv4Address(text.partition("/")[0].strip())
        return f"{_show(value)} is an address with a prefix", f"write {alone}; the prefix is that of network.subnet"
    return f"{_show(value)} is not an IPv4 address", "write it as 10.77.0.1"


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
