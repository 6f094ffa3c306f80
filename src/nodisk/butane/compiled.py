"""The description of the fields, compiled for one version of Butane's or Ignition's spec."""

from __future__ import annotations

import functools

from nodisk.butane.fields import CONFIG, IGNITION_CONFIG_FILE
from nodisk.butane.schema import CStruct, compile_


@functools.cache
def butane(spec: int, fcos: int | None) -> CStruct:
    """Butane documents that translate to Ignition 3.``spec``; ``fcos``: minor version of that variant, else None."""
    return compile_(CONFIG, spec, fcos)


@functools.cache
def ignition_schema(spec: int) -> CStruct:
    """Ignition configs of spec 3.``spec``."""
    return compile_(IGNITION_CONFIG_FILE, spec, None)
