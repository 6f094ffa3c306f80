"""Butane and Container Linux Config → Ignition: a library of its own, which needs no other part of nodisk.

``translate(text, files_dir=…, strict=…) -> Result`` with ``ignition`` and ``report``;
``validate(config) -> Report`` judges an Ignition config; ``merge(base, overlay)`` merges two.
``nodisk.butane.clc.translate`` is for Container Linux Config.
"""

from nodisk.butane.merge import merge
from nodisk.butane.report import Entry, Report
from nodisk.butane.translate import Result, translate
from nodisk.butane.validate import validate

__all__ = ["Entry", "Report", "Result", "merge", "translate", "validate"]
