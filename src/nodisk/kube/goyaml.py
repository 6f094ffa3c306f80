"""YAML as kubectl and similar tools read it (Go's sigs.k8s.io/yaml), for files written for them.

PyYAML takes ``1:30`` for a number, ``=`` for a mistake and ``2026-13-01`` for a date that there is not; to Go's reader
these are texts, and ``1e3``, ``08`` and ``y`` are none. Times are text, and so are all keys: JSON has nothing else.
"""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

import yaml

_TAG = "tag:yaml.org,2002:"
_BARE = "!bare"
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SAFE = yaml.SafeLoader.yaml_constructors

_WORDS: dict[str, bool | None] = {
    **{form: True for word in ("y", "yes", "true", "on") for form in (word, word.capitalize(), word.upper())},
    **{form: False for word in ("n", "no", "false", "off") for form in (word, word.capitalize(), word.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def documents(data: bytes | str) -> list[Any]:
    """Every document as plain data; raises ValueError for text that can't be read or represented in JSON."""
    try:
        return list(yaml.load_all(data, Loader=_Loader))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error


class _Loader(_FAST):  # type: ignore[misc,valid-type] # the one that is there
    """Only ``_meaning`` decides what a plain scalar means, whatever it looks like to PyYAML."""

    yaml_implicit_resolvers: ClassVar = {
        None: [(_TAG + "merge", re.compile(r"<<$")), (_BARE, re.compile(r""))],
    }
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        None: _SAFE[None],
        **{_TAG + kind: _SAFE[_TAG + kind] for kind in ("str", "seq", "map", "null", "bool", "int", "float")},
        _TAG + "merge": lambda loader, node: loader.construct_scalar(node),
        _TAG + "timestamp": lambda loader, node: loader.construct_scalar(node),
        _BARE: lambda loader, node: _meaning(loader.construct_scalar(node)),
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        self.flatten_mapping(node)
        pairs = ((_key(self.construct_object(key, deep=True)), value) for key, value in node.value)
        return {key: self.construct_object(value, deep=deep) for key, value in pairs}


def _meaning(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _NO_NUMBER.fullmatch(text):
        raise ValueError(f"JSON has no number {text}; to use it as a string, quote it")
    digits = text.replace("_", "") if text[0] in "+-0123456789" else text
    if _INTEGER.fullmatch(digits):
        octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
        value = int(f"{octal[1]}0o{octal[2]}" if octal else digits, 0)
        return value if -(2**63) <= value < 2**63 else float(value)
    if _FLOAT.fullmatch(digits) and math.isfinite(number := float(digits)):
        return int(number) if number.is_integer() and abs(number) < 2**63 else number
    return text


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise ValueError(f"{key!r} can't be a JSON key")
