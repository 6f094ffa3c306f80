"""Find a machine by the name that somebody typed."""

from __future__ import annotations

import difflib

from nodisk.errors import UsageError
from nodisk.spec.model import Lab, Machine

_SHOWN = 12
"""Names in a hint."""


def machine_named(lab: Lab, name: str) -> Machine:
    """Return the lab's machine of that name; raises UsageError, whose hint lists similar names, or else all names."""
    if found := lab.machine(name):
        return found
    names = [str(machine.name) for machine in lab.machines]
    if near := difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5):
        hint = f"did you mean {' or '.join(near)}?"
    else:
        rest = len(names) - _SHOWN
        hint = f"it has {', '.join(names[:_SHOWN])}{f' and {rest} more' if rest > 0 else ''}"
    raise UsageError(f"the lab {lab.name} has no machine {name!r}", hint=hint)
