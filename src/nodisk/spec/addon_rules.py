"""Rules for lab.yaml's add-ons."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from nodisk.image_name import ImageName
from nodisk.spec.addon_catalogue import CATALOGUE
from nodisk.spec.finding import Finding
from nodisk.spec.model import Lab
from nodisk.spec.model_addons import HelmChart
from nodisk.yamltree import Path

_SOURCES = ("manifest", "path", "helm")
MAX_NAME = 50
"""Characters: the cluster's record is named after the add-on."""


def addons(lab: Lab) -> Iterator[Finding]:
    """Each has a name of its own and exactly one source, pinned by a hash if it is a manifest."""
    seen: dict[str, int] = {}
    for index, addon in enumerate(lab.addons):
        place: Path = ("addons", index)
        named = (*place, "name")
        first = seen.setdefault(str(addon.name), index)
        if first != index:
            other: Path = ("addons", first, "name")
            text = f"the name {addon.name} is also on {{other}}"
            yield Finding(named, text, "every add-on has its own name", other=other, about=(other,))
        if len(str(addon.name)) > MAX_NAME:
            yield Finding(named, f"{addon.name} is too long for an add-on", f"at most {MAX_NAME} characters")
        given = [key for key in _SOURCES if getattr(addon, key) is not None]
        if not given and str(addon.name) not in CATALOGUE:
            hint = "add `manifest: {path: FILE, sha256: …}`, `path: FOLDER` or `helm: …`; "
            hint += f"nodisk knows by name: {', '.join(CATALOGUE)}"
            about = tuple((*place, key) for key in _SOURCES)
            yield Finding(place, f"the add-on {addon.name} has no content", hint, about=about)
        for key in given[1:]:
            text = f"the add-on {addon.name} has both {given[0]} and {key}"
            yield Finding((*place, key), text, "remove one of them", about=((*place, given[0]),), key=True)
        for key, pinned in (("manifest", addon.manifest), ("helm", addon.helm)):
            if pinned is not None and not re.fullmatch(r"[0-9a-f]{64}", pinned.sha256):
                text = f"{pinned.sha256!r} is not a SHA-256 hash"
                hint = "64 digits 0-9 and a-f, as `sha256sum FILE` prints them"
                yield Finding((*place, key, "sha256"), text, hint)
        if addon.helm is not None:
            yield from _chart((*place, "helm"), addon.helm)


def _chart(place: Path, helm: HelmChart) -> Iterator[Finding]:
    """A chart is a file or at an address that can be loaded, and its values are a mapping."""
    scheme, _, rest = helm.chart.partition("://")
    if helm.is_remote and (scheme not in ("https", "oci") or not rest or any(not c.isprintable() for c in helm.chart)):
        text = f"{helm.chart!r} is not a chart's address"
        yield Finding((*place, "chart"), text, "a file, or an address that begins with https:// or oci://")
    elif scheme == "oci":
        try:
            name = ImageName.parse(rest)
            tagged = ":" in rest.rpartition("/")[2] or bool(name.digest)
        except ValueError:
            tagged = True
        if tagged or "/" not in rest:
            text = f"{helm.chart!r} is not a chart's address"
            yield Finding((*place, "chart"), text, "oci://REGISTRY/PATH/CHART without a tag: that is `version`")
    if not re.fullmatch(r"v?[0-9]+(\.[0-9]+){0,2}([-+][0-9A-Za-z.+-]+)?", helm.version):
        yield Finding((*place, "version"), f"{helm.version!r} is not a chart's version", "as in its Chart.yaml: 1.2.3")
    try:
        documents = yaml.safe_load(helm.values)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        yield Finding((*place, "values"), f"the values are not YAML: {reason}", "as in a values.yaml of Helm")
    else:
        if documents is not None and not isinstance(documents, dict):
            hint = "write them as in a values.yaml: `values: |`, and below it `key: value`"
            yield Finding((*place, "values"), "the values are not a mapping", hint)
