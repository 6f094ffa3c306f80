"""Adopting machines that lab.yaml doesn't have: which these are, and the change of the file on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from nodisk.context import LabContext
from nodisk.machines import adopt as adopt_
from nodisk.machines import passwords
from nodisk.machines.adopt import Wish
from nodisk.records.database import Database
from nodisk.records.sightings import Sighting
from nodisk.spec.change import Change, Edit, change
from nodisk.spec.model import Lab
from nodisk.values import Mac

RECENT = 3600.0
"""Seconds for which an address that an unknown machine asked from counts as its own: a pool gave it out."""


def seen_in(database: Database) -> dict[Mac, Sighting]:
    """Every machine that asked for a boot script, in the order in which they were first seen."""
    return {sighting.mac: sighting for sighting in database.sightings.all()}


def unknown(lab: Lab, seen: Mapping[Mac, Sighting]) -> list[Sighting]:
    """The machines that were seen and that lab.yaml does not have."""
    return [sighting for mac, sighting in seen.items() if lab.by_mac(mac) is None]


def adopt(
    context: LabContext,
    choose: Callable[[Lab], Sequence[Mac]],
    wish: Wish,
    seen: Mapping[Mac, Sighting],
    *,
    dry_run: bool = False,
) -> Change:
    """Add machines to lab.yaml; ``choose`` says which, from the lab as it is in the file now. The server is not told.

    Raises what ``choose`` raises, UsageError as ``adopt.adopt``, and what ``change`` raises.
    """

    def edit(text: str, lab: Lab) -> Edit:
        macs = choose(lab)
        others = (one for one in seen.values() if one.mac not in macs and one.last > time.time() - RECENT)
        wanted = adopt_.adopt(text, lab, macs, wish, taken={one.address for one in others if one.address})
        if not dry_run:
            # A new machine has none: what lies there is an earlier machine's of that name, whose removal broke off.
            passwords.clear(context.state, wanted.machines[len(lab.machines) :])
        return wanted

    return change(context.file, edit, dry_run=dry_run)
