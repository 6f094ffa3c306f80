"""A lab's add-ons as people see them: ``nodisk addons list`` and the console's page of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodisk.assets import addon_mirror, addon_source, mirrored
from nodisk.assets.addon_mirror import Result, Verb
from nodisk.assets.addon_source import Sources
from nodisk.assets.helm import Rendered
from nodisk.assets.store import Store
from nodisk.context import LabContext
from nodisk.errors import NodiskError, SpecError
from nodisk.kube import addon_sets
from nodisk.kube.client import Client, Object, connect
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


@dataclass(frozen=True, slots=True)
class Known:
    """What the lab itself has of its add-ons, by name: no API was asked for it."""

    objects: Mapping[str, list[Object] | SpecError]
    """As they are applied, or why they can't be had."""
    images: Mapping[str, str]
    """For people; see ``Listed``."""

    def read(self, addon: Addon) -> list[Object]:
        """An add-on's objects; raises SpecError if they can't be had."""
        found = self.objects[str(addon.name)]
        if isinstance(found, SpecError):
            raise found
        return found


def of(context: LabContext, addon: Addon) -> Shown:
    """Raises SpecError as reading does."""
    return _shown(context, addon, Sources.of(context.lab, context.state).rendered(addon))


def _shown(context: LabContext, addon: Addon, made: Rendered) -> Shown:
    record = mirrored.read(context.state)
    found = addon_mirror.states(Store(context.state.state), record, addon_source.images(addon, made.objects))
    return Shown(list(found), addon_source.hidden(addon, made.objects), made.hooks)


def known(context: LabContext) -> Known:
    """Read lab.yaml's add-ons, each once. Seconds where charts have to be rendered: not for where others wait."""
    sources = Sources.of(context.lab, context.state)
    objects, images = dict[str, list[Object] | SpecError](), dict[str, str]()
    for addon in context.lab.addons:
        name = str(addon.name)
        try:
            made = sources.rendered(addon)
            images[name] = _summary(context, addon, made)
            objects[name] = sources.pinned(addon, list(made.objects))
        except SpecError as error:
            objects[name] = error
    return Known(objects, images)


def listed(context: LabContext, client: Client, known: Known) -> tuple[Listed, ...]:
    """Those of lab.yaml in its order, and then those that only the cluster has; raises NodiskError."""
    rows = addon_sets.rows(client, context.lab.addons, known.read)
    return tuple(Listed(row, known.images.get(row.name, "")) for row in rows)


def ask(context: LabContext, known: Known) -> tuple[Listed, ...]:
    """The same of a lab's cluster now, within seconds. Raises NodiskError."""
    with connect(context, patience=0.0, within=WITHIN) as client:
        return listed(context, client, known)


def _summary(context: LabContext, addon: Addon, made: Rendered) -> str:
    try:
        found = _shown(context, addon, made).images
    except NodiskError:
        return ""
    return f"{sum(one.verb is Verb.THERE for one in found)} of {len(found)} mirrored" if found else ""
