"""Rules for lab.yaml's add-ons."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nodisk.spec.finding import Finding
from nodisk.spec.model import Lab
from nodisk.yamltree import Path

MAX_NAME = 50
"""Characters: the cluster's record is named after the add-on."""


def addons(lab: Lab) -> Iterator[Finding]:
    """Each has a name of its own and exactly one source, pinned by a hash if it is a manifest."""
    seen: dict[str, int] = {}
    for index, addon in enumerate(lab.addons):
        place: Path = ("addons", index)
        manifest, folder, named = (*place, "manifest"), (*place, "path"), (*place, "name")
        first = seen.setdefault(str(addon.name), index)
        if first != index:
            other: Path = ("addons", first, "name")
            text = f"the name {addon.name} is also on {{other}}"
            yield Finding(named, text, "every add-on has its own name", other=other, about=(other,))
        if len(str(addon.name)) > MAX_NAME:
            yield Finding(named, f"{addon.name} is too long for an add-on", f"at most {MAX_NAME} characters")
        if addon.manifest is None and addon.path is None:
            hint = "add `manifest: {path: FILE, sha256: …}`, or `path: FOLDER`"
            yield Finding(place, f"the add-on {addon.name} has no content", hint, about=(manifest, folder))
        elif addon.manifest is not None and addon.path is not None:
            text = f"the add-on {addon.name} has both a manifest and a path"
            yield Finding(folder, text, "remove one of them", about=(manifest,), key=True)
        if addon.manifest is not None and not re.fullmatch(r"[0-9a-f]{64}", addon.manifest.sha256):
            text = f"{addon.manifest.sha256!r} is not a SHA-256 hash"
            hint = "64 digits 0-9 and a-f, as `sha256sum FILE` prints them"
            yield Finding((*manifest, "sha256"), text, hint)
