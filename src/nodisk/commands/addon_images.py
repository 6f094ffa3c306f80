"""``nodisk addons mirror``: the add-ons' images, loaded once, for machines without internet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from nodisk import ui
from nodisk.assets import addon_files, addon_mirror, addon_source, mirrored, progress
from nodisk.assets.addon_mirror import Result, Verb
from nodisk.assets.official import Upstream
from nodisk.assets.store import Store
from nodisk.assets.work import Work
from nodisk.commands.assets import ui_size
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.server import addon_images
from nodisk.spec.model_addons import Addon


def mirror(context: LabContext, chosen: Sequence[Addon], *, whole: bool, refresh: bool) -> list[Result]:
    """Load what these add-ons need and fill the registry with it. ``whole``: they are all of lab.yaml's, and what
    others have left is forgotten.
    """
    sources, state = addon_source.Sources.of(context.lab, context.state), context.state
    store, upstream = Store(state.state), Upstream.from_environment()
    wanted, results = dict[str, list[str]](), list[Result]()
    with store.builder(), progress.board() as board:
        work = Work(state.state, store, board, refresh=refresh)
        for addon in chosen:
            try:
                asyncio.run(addon_files.load(work, state, addon, upstream))
                wanted[str(addon.name)] = addon_source.images(addon, sources.plain(addon))
            except NodiskError as error:
                hint = f"; {error.hint}" if error.hint else ""
                results.append(Result("", Verb.FAILED, text=error.message + hint))
        results += asyncio.run(addon_mirror.mirror(work, state, wanted, upstream.registry))
    if whole:
        names = {str(addon.name) for addon in context.lab.addons}
        for image in addon_images.forget(state, sorted(mirrored.read(state).users - names)):
            ui.say(f"no add-on uses {image} any more: forgotten")
    try:
        count, problems = addon_images.push(context.lab, state)
    except addon_images.Away as error:
        ui.say(f"{error.message}: {error.hint}")
    else:
        ui.say(f"{count} images added to the lab's registry")
        results += [Result("", Verb.FAILED, text=problem) for problem in problems]
    return results


def json(results: Iterable[Result]) -> list[dict[str, object]]:
    """For ``--output json``."""
    return [asdict(one) | {"verb": one.verb.value} for one in results]


def table(results: Iterable[Result]) -> None:
    """For people."""
    rows = [(one.image, one.verb.value, ui_size(one.size) if one.size else "", _said(one)) for one in results]
    if rows:
        ui.print_table(["IMAGE", "STATE", "SIZE", "DIGEST"], rows)


def _said(one: Result) -> str:
    return one.text or one.digest.removeprefix("sha256:")[:12]
