"""Butane and Container Linux Config → Ignition: a library of its own, which needs no other part of nodisk.

``translate(text, files_dir=…, strict=…) -> Result`` with ``ignition`` and ``report``;
``validate(config) -> Report`` judges an Ignition config; ``merge(base, overlay)`` merges two.
``nodisk.butane.clc.translate`` is for Container Linux Config.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodisk.butane.report import Entry, Report
from nodisk.butane.translation import Result, translate

if TYPE_CHECKING:
    from nodisk.butane.merging import merge
    from nodisk.butane.validation import validate

__all__ = ["Entry", "Report", "Result", "merge", "translate", "validate"]


def __getattr__(name: str) -> Any:
    """Import the rest only where it is used."""
    if name == "merge":
        from nodisk.butane.merging import merge  # noqa: PLC0415

        return merge
    if name == "validate":
        from nodisk.butane.validation import validate  # noqa: PLC0415

        return validate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
