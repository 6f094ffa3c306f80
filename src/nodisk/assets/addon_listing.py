"""A lab's add-ons as people see them: ``nodisk addons list`` and the console's page of the cluster."""

from __future__ import annotations

from dataclasses import dataclass

from nodisk.assets import addon_mirror, addon_source, mirrored
from nodisk.assets.addon_mirror import Result, Verb
from nodisk.assets.store import Store
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.kube import addon_sets
from nodisk.kube.client import Client, connect
from nodisk.spec.model_addons import Addon

WITHIN = 4.0
"""Seconds for the API, where somebody waits for a page."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An add-on's images, for people."""

    images: list[Result]
    """What the lab has of them."""
    hidden: list[str]
    """What looks like more of them."""
    hooks: tuple[str, ...]
    """What of a chart is left out."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An add-on of lab.yaml, or one that only the cluster has."""

    row: addon_sets.Row
    images: str
    """``2 of 3 mirrored``; empty for an add-on without images, or one that can't be read."""

    def to_json(self) -> dict[str, str]:
        """The stable form of ``nodisk addons list --output json``."""
        row = self.row
        said = {"name": row.name, "state": str(row.state), "source": row.source, "problem": row.problem}
        return said | {"images": self.images}


def of(context: LabContext, addon: Addon) -> Shown:
    """Raises SpecError as reading does."""
    made = addon_source.Sources.of(context.lab, context.state).rendered(addon)
    objects = made.objects
    record = mirrored.read(context.state)
    found = addon_mirror.states(Store(context.state.state), record, addon_source.images(addon, objects))
    return Shown(list(found), addon_source.hidden(addon, objects), made.hooks)


def listed(context: LabContext, client: Client) -> tuple[Listed, ...]:
    """Those of lab.yaml in its order, and then those that only the cluster has; raises NodiskError."""
    read = addon_source.Sources.of(context.lab, context.state).read
    rows = addon_sets.rows(client, context.lab.addons, read)
    images = {str(addon.name): _summary(context, addon) for addon in context.lab.addons}
    return tuple(Listed(row, images.get(row.name, "")) for row in rows)


def ask(context: LabContext) -> tuple[Listed, ...]:
    """The same of a lab's cluster now, within seconds. Raises NodiskError."""
    with connect(context, patience=0.0, within=WITHIN) as client:
        return listed(context, client)


def _summary(context: LabContext, addon: Addon) -> str:
    try:
        found = of(context, addon).images
    except NodiskError:
        return ""
    return f"{sum(one.verb is Verb.THERE for one in found)} of {len(found)} mirrored" if found else ""
