"""The suite of an official release: its conformance image and test images, by digest, through the lab's registry.

What was loaded is recorded in ``labs/NAME/conformance/images.json``, so that a run that is resumed uses the same
images, and so that nothing is asked of the internet once all of them are there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nodisk.assets import addon_mirror, built, conformance_image, mirrored, progress
from nodisk.assets.mirrored import Copy, Record
from nodisk.assets.official import Upstream, variable
from nodisk.assets.store import Store
from nodisk.assets.work import Work
from nodisk.conformance.program import GINKGO_2, Folder
from nodisk.context import LabContext
from nodisk.errors import CommandFailed, EnvironmentProblem, IntegrityError, NodiskError
from nodisk.image_name import ImageName
from nodisk.server import addon_images
from nodisk.spec.model import Lab

RECORD = "images.json"
LOAD = "nodisk conformance --load"
HOST = "registry.k8s.io"
TEST_IMAGES = frozenset(
    {
        "agnhost",
        "busybox",
        "etcd",
        "glibc-dns-testing",
        "httpd",
        "jessie-dnsutils",
        "kitten",
        "nautilus",
        "nginx",
        "nonewprivs",
        "nonroot",
        "pause",
        "sample-apiserver",
    }
)
"""Of the images that a suite lists, those that conformance specs use: the ones of 1.20's specs, which were read, and
what newer lists have in their place. The others are of gigabytes, for Windows, for graphics cards, or meant not to be
had."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Official:
    """An official suite that is in the store."""

    folder: Folder
    """With the image's program."""
    image: str
    """As pods name it: by its digest."""
    copies: Mapping[str, Copy]
    """The images that are in the store: the suite's own, and test images."""
    missing: Mapping[str, str]
    """Test images that are not, and why; an empty reason: nobody tried."""


def applies(context: LabContext) -> bool:
    """Whether the lab's release is one whose suite is the official image; raises what ``built.release_facts`` does."""
    facts = built.release_facts(context.state.state, context.lab)
    return facts.source != "debian" and facts.version.line >= GINKGO_2


def find(context: LabContext, *, load: bool) -> Official:
    """The suite of the lab's release. ``load``: get what is missing of it from its registry, or from the mirror.

    Raises EnvironmentProblem if the conformance image isn't there and can't, or may not, be loaded.
    """
    store, version = Store(context.state.state), built.release_facts(context.state.state, context.lab).version
    name, record = conformance_image.name_of(version), _read(context)
    copy = record.images.get(str(name))
    made = conformance_image.find(store, copy.digest) if copy is not None and mirrored.stored(store, copy) else None
    if copy is None or made is None:
        if not load:
            raise EnvironmentProblem(f"the official image {name} is not loaded yet", hint=LOAD)
        with store.builder(), progress.board() as board:
            work = Work(context.state.state, store, board)
            copy = _loaded(context, work, name, copy)
            if (image := mirrored.stored(store, copy)) is None:
                raise IntegrityError(f"the store has lost {name}", hint="is somebody pruning it? nodisk assets list")
            made = conformance_image.unpack(store, image, copy.digest, version)
    folder = Folder(store.tree(made, [conformance_image.PROGRAM]))
    copies, missing = _test_images(context, store, folder, load=load)
    return Official(folder, name.at(copy.digest), {str(name): copy, **copies}, missing)


def wanted(listed: Iterable[str]) -> list[ImageName]:
    """Of the images that a suite lists, those that conformance needs and that can be had; sorted."""
    found = []
    for text in sorted(set(listed)):
        try:
            name = ImageName.parse(text)
        except ValueError:
            continue  # no image's name, so that no machine could load it either
        if name.host == HOST and name.tag and name.program in TEST_IMAGES:
            found.append(name)
    return found


def push(context: LabContext, suite: Official, say: Say) -> None:
    """Bring its images into the lab's registry, as far as they aren't there; raises EnvironmentProblem."""
    try:
        count, problems = addon_images.put(context.state, suite.copies, suite.copies)
    except addon_images.Away as error:
        raise EnvironmentProblem(error.message, hint="start the server: nodisk serve, or nodisk lab up") from error
    if count:
        say(f"into the lab's registry: {count} images of the conformance suite")
    if problems:
        raise EnvironmentProblem(problems[0], hint=f"{len(problems)} images in all; load them again: {LOAD}")


def ready(lab: Lab, suite: Official) -> list[str]:
    """What the room must be told before a run: where test images come from, a sentence each.

    Raises EnvironmentProblem for a room without a gateway if one that conformance needs is nowhere.
    """
    size = suite.copies[suite.image.partition("@")[0]].size
    found = [
        f"the suite is {suite.image}, {size / 1e6:.0f} MB to load, and more in the memory of a machine that runs it",
        f"{len(suite.copies) - 1} test images are loaded by the server",
    ]
    if lab.network.gateway is None and suite.missing:
        raise EnvironmentProblem(
            f"the room has no gateway, and {len(suite.missing)} of the suite's test images are not here: "
            + "; ".join(_named(suite.missing)),
            hint=f"load them on the server ({LOAD}; a mirror: ${variable('registry')}), or set network.gateway",
        )
    if lab.network.gateway is None:
        found.append("the room has no gateway: a spec that asks for any other image will fail, and its result say so")
    else:
        found += [f"each machine loads it by {lab.network.gateway}: {one}" for one in _named(suite.missing)]
    return found


def _named(missing: Mapping[str, str]) -> list[str]:
    return [f"{image} ({why})" if why else image for image, why in sorted(missing.items())]


def _test_images(
    context: LabContext, store: Store, folder: Folder, *, load: bool
) -> tuple[dict[str, Copy], dict[str, str]]:
    """Those that are in the store, and those that aren't, with the reasons."""
    try:
        listed = folder.images()
    except CommandFailed as error:
        return {}, {"every test image": f"the suite does not list them: {error.message}"}
    kept = _read(context).images
    copies, missing = dict[str, Copy](), dict[str, ImageName]()
    for name in wanted(listed):
        if (copy := kept.get(str(name))) is not None and mirrored.stored(store, copy) is not None:
            copies[str(name)] = copy
        else:
            missing[str(name)] = name
    if not load or not missing:
        return copies, dict.fromkeys(missing, "")
    why = dict[str, str]()
    with store.builder(), progress.board() as board:
        work = Work(context.state.state, store, board)
        for image, name in missing.items():
            try:
                copies[image] = _loaded(context, work, name, kept.get(image))
            except NodiskError as error:  # without one of them all specs but its own can run
                why[image] = error.message
    return copies, why


def _loaded(context: LabContext, work: Work, name: ImageName, old: Copy | None) -> Copy:
    """Load an image, and record it at once: what is loaded stays when the command is interrupted."""
    _, copy = asyncio.run(addon_mirror.load(work, name, old, Upstream.from_environment().registry))
    kept = replace(copy, addons=("conformance",))
    record = _read(context)
    context.state.conformance.mkdir(parents=True, exist_ok=True)
    mirrored.write_file(_record(context), replace(record, images={**record.images, str(name): kept}))
    return kept


def _record(context: LabContext) -> Path:
    return context.state.conformance / RECORD


def _read(context: LabContext) -> Record:
    return mirrored.read_file(_record(context), remedy=LOAD)
