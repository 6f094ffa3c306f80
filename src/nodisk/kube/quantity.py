"""Kubernetes' quantities: ``250m`` of a CPU, ``1536Mi`` of memory.

Source: k8s.io/apimachinery/pkg/api/resource: a decimal number with a suffix of powers of ten (n, u, m, k, M …), of
powers of two (Ki, Mi …), or an exponent (12e6).
"""

from __future__ import annotations

import re
from fractions import Fraction

_FORM = re.compile(
    r"([+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40}))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?"
)
_POWERS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = "KMGTPE"


def parse(text: str | int | float) -> Fraction:
    """The exact value, in whatever unit the resource has (CPUs, bytes, pods); raises ValueError."""
    match = _FORM.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{str(text)[:80]!r} is not a quantity of Kubernetes, such as 250m or 1536Mi")
    number, suffix, exponent = match.groups()
    if exponent is not None:
        return Fraction(number) * _ten_to(int(exponent))
    if suffix and suffix.endswith("i"):
        return Fraction(number) * (1 << 10 * (_BINARY.index(suffix[0]) + 1))
    return Fraction(number) * _ten_to(_POWERS[suffix or ""])


def _ten_to(power: int) -> Fraction:
    value = Fraction(10) ** power
    return Fraction(value)
