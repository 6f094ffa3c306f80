"""Stand-ins for what could not be read, so that the rules can still be checked for the rest of a file.

A stand-in conflicts with nothing: each machine gets its own MAC, name and address, and the subnet holds every address.
``spec.load`` drops whatever a rule says about one.
"""

from __future__ import annotations

import copy
from typing import Any

from pydantic import ValidationError

from nodisk.spec.model import Lab
from nodisk.yamltree import Path

_SECTIONS = ("network", "kubernetes", "os", "virtual")


def repaired(data: Any, bad: set[Path]) -> Lab | None:
    """The lab of ``data`` with every path of ``bad`` removed or replaced; None if that is not enough."""
    mended = copy.deepcopy(data)
    for path in sorted(bad, key=len, reverse=True):
        _mend(mended, path)
    try:
        return Lab.model_validate(mended)
    except ValidationError:
        return None


def _mend(data: dict[str, Any], path: Path) -> None:
    match path:
        case ("machines", int(index), *rest):
            machine = data["machines"][index]
            if not rest or not isinstance(machine, dict):
                data["machines"][index] = _machine(index)
            else:
                _set(machine, str(rest[0]), _machine(index))
        case ("machines",):
            data["machines"] = [_machine(0)]
        case (str(section), str(key), *_) if section in _SECTIONS:
            if isinstance(data.get(section), dict):  # else the section itself is one of the bad paths
                _set(data[section], key, _NETWORK if section == "network" else {})
        case ("network",):
            data["network"] = dict(_NETWORK)
        case (str(key), *_):
            _set(data, key, {"name": "stand-in"})


def _set(section: dict[str, Any], key: str, standins: dict[str, str]) -> None:
    if key in standins:
        section[key] = standins[key]
    else:
        section.pop(key, None)


_NETWORK = {"subnet": "0.0.0.0/0", "server": "240.0.0.1"}


def _machine(index: int) -> dict[str, str]:
    return {
        "name": f"stand-in-{index}",
        "mac": f"0200{index:08x}",
        "address": f"241.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}",
    }
