"""What a YAML scalar means, in the dialect of Go's yaml.v3: a mix of YAML 1.1 and 1.2.

``0644`` and ``0o644`` are both octal, ``0888`` is decimal, ``yes`` is a boolean only where one is wanted.
"""

from __future__ import annotations

import binascii
import math
import re

from nodisk.butane.goscanner import YamlError
from nodisk.butane.pattern import Pattern
from nodisk.butane.yamltree import Node

LONG = "tag:yaml.org,2002:"
_RESOLVABLE = frozenset({"", "!!str", "!!bool", "!!int", "!!float", "!!null", "!!timestamp"})

_FIXED: dict[str, tuple[str, object]] = {
    **dict.fromkeys(("true", "True", "TRUE"), ("!!bool", True)),
    **dict.fromkeys(("false", "False", "FALSE"), ("!!bool", False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("!!null", None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ("!!float", math.nan)),
    **{sign + word: ("!!float", math.inf) for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **{"-" + word: ("!!float", -math.inf) for word in (".inf", ".Inf", ".INF")},
    "<<": ("!!merge", "<<"),
}
_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})

_FLOAT = Pattern(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_DECIMAL = Pattern(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_PREFIXED = Pattern(r"([-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+))", re.ASCII)
_DATE = Pattern(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(?:Z|[-+]\d{2}:\d{2})"
    r"| (\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?)?",
    re.ASCII,
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1


class NotThat(Exception):
    """The scalar has another type than the one wanted; ``tag`` is the type it has."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


def short(tag: str | None) -> str:
    """``!!str`` for ``tag:yaml.org,2002:str``; "" for none."""
    if tag is None or tag == "!":
        return ""
    return "!!" + tag[len(LONG) :] if tag.startswith(LONG) else tag


def _is_date(text: str) -> bool:
    """Whether yaml.v3 takes ``text`` as a timestamp."""
    match = _DATE.fullmatch(text)
    if not match:
        return False
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    if not 1 <= month <= 12:
        return False
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _DAYS[month - 1] + leap:
        return False
    clock = [int(part) for part in match.groups()[3:] if part is not None]
    return not clock or (clock[0] < 24 and clock[1] < 60 and clock[2] < 60)


def _number(text: str) -> tuple[str, object] | None:
    """An integer or float whose text starts with a digit or a sign; None if it is neither."""
    plain = text.replace("_", "")
    value: int | None = None
    if _DECIMAL.fullmatch(plain):
        # A number this long is beyond any integer, and int() of it would be slow.
        value = int(plain) if len(plain) <= 40 else None
    elif match := _PREFIXED.fullmatch(plain):
        digits, base = next((match[name], base) for name, base in (("x", 16), ("b", 2), ("o", 8)) if match[name])
        value = int(match[1] + digits, base) if len(digits) <= 70 else None
    if value is not None and (INT_MIN <= value <= INT_MAX or (value <= UINT_MAX and plain[0] not in "+-")):
        return "!!int", value
    if _FLOAT.fullmatch(plain):
        number = float(plain)
        if math.isfinite(number):
            return "!!float", number
    return None


def resolve(tag: str, text: str) -> tuple[str, object]:
    """(type, value) of a plain scalar with the short ``tag`` ("" for none). Raises YamlError if it can't have it."""
    if tag not in _RESOLVABLE:
        return tag, text
    found, value = _guess(tag, text) if tag != "!!str" else ("!!str", text)
    if tag in ("", found, "!!str"):
        return found, value
    if tag == "!!float" and found == "!!int":
        return tag, float(value)  # type: ignore[arg-type]  # an int, as found says
    raise YamlError(f"cannot decode {found} `{text}` as a {tag}")


def _guess(tag: str, text: str) -> tuple[str, object]:
    fixed = _FIXED.get(text)
    if fixed is not None:
        return fixed
    first = text[0]
    if first == ".":
        if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return "!!float", float(text)
    elif first in "+-0123456789":
        if tag in ("", "!!timestamp") and _is_date(text):
            return "!!timestamp", text
        number = _number(text)
        if number is not None:
            return number
    return "!!str", text


def typed(node: Node) -> tuple[str, object]:
    """(type, value) of a scalar node; the value of a null is None. Raises YamlError."""
    tag = short(node.tag)
    if tag == "!!str" or (not tag and not node.plain):
        return "!!str", node.value
    found, value = resolve(tag, node.value)
    if found == "!!binary":
        try:
            value = binascii.a2b_base64(node.value.encode(), strict_mode=True).decode("utf-8", "surrogateescape")
        except (binascii.Error, ValueError) as error:
            raise YamlError("!!binary value contains invalid base64 data") from error
    return found, value


def is_bool_word(text: str) -> bool:
    """Whether YAML 1.1 takes the word for a boolean, and yaml.v3 only where one is wanted."""
    return text in _TRUE or text in _FALSE


def is_null(node: Node) -> bool:
    """Whether the node is a null, which leaves a field unset and vanishes from a list.

    Raises YamlError for a ``!!null`` that is none.
    """
    if node.kind != "scalar":
        return False
    tag = short(node.tag)
    if tag == "!!null":
        resolve(tag, node.value)
        return True
    return not tag and node.plain and _FIXED.get(node.value, ("",))[0] == "!!null"


def as_string(node: Node) -> str:
    """A scalar in a string field keeps its source text, whatever it looks like."""
    if node.tag is None or node.tag == LONG + "str":
        return node.value
    found, value = typed(node)
    return str(value) if found == "!!binary" else node.value


def as_unsigned(node: Node) -> int:
    """Raises NotThat for what is no integer, or less than zero."""
    value = as_int(node)
    if value < 0:
        raise NotThat(typed(node)[0])
    return value


def as_int(node: Node) -> int:
    """Raises NotThat. Floats lose their fraction."""
    found, value = typed(node)
    if isinstance(value, int) and not isinstance(value, bool) and value <= INT_MAX:
        return value
    if isinstance(value, float) and value <= 2.0**63:  # false for NaN
        # Go compares with the nearest float, and what is too large by one becomes the smallest.
        return int(value) if INT_MIN <= value < 2.0**63 else INT_MIN
    raise NotThat(found)


def as_bool(node: Node, *, quoted: bool = True) -> bool:
    """Raises NotThat. YAML 1.1's words count too, ``quoted`` or not."""
    found, value = typed(node)
    if isinstance(value, bool):
        return value
    if (value in _TRUE or value in _FALSE) and (quoted or node.plain):
        return value in _TRUE
    raise NotThat(found)
