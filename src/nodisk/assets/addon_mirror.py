"""Loading the container images of a lab's add-ons into the store, each by its digest, once."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from nodisk.assets import image_folder, mirrored, pull
from nodisk.assets.hashes import key_of
from nodisk.assets.mirrored import Copy, Record
from nodisk.assets.store import Manifest, Store
from nodisk.assets.work import Work
from nodisk.errors import NodiskError
from nodisk.image_name import ImageName
from nodisk.state import LabState
from nodisk.values import ImageRef

KIND = "addon-image"


class Verb(StrEnum):
    """What became of one image, or what it is."""

    THERE = "mirrored"
    LOADED = "loaded"
    MOVED = "moved"
    """Its name leads to another digest than before, which was loaded."""
    MISSING = "not mirrored"
    LOST = "lost"
    """The record has it, and the store hasn't."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """One image."""

    image: str
    verb: Verb
    digest: str = ""
    size: int = 0
    text: str = ""
    """What was before, or why it failed and what to do."""


def states(store: Store, record: Record, names: Sequence[str]) -> Iterator[Result]:
    """What the lab has of these images."""
    for text in names:
        try:
            image = str(ImageName.parse(text))
        except ValueError as error:
            yield Result(text, Verb.FAILED, text=str(error))
            continue
        copy = record.images.get(image)
        if copy is None:
            yield Result(image, Verb.MISSING)
        else:
            verb = Verb.THERE if mirrored.stored(store, copy) else Verb.LOST
            yield Result(image, verb, copy.digest, copy.size)


async def mirror(work: Work, state: LabState, wanted: Mapping[str, Sequence[str]], registry: str) -> list[Result]:
    """Load what is missing; with ``work.refresh``, ask for every tag again. An image that fails stops no other one.

    ``wanted``: add-on → its images' names. The record is written after each image, so that what is loaded stays when
    the command is interrupted.
    """
    users: dict[str, set[str]] = {}
    results: list[Result] = []
    for addon, names in wanted.items():
        for text in names:
            try:
                users.setdefault(str(ImageName.parse(text)), set()).add(addon)
            except ValueError as error:
                results.append(Result(text, Verb.FAILED, text=f"add-on {addon}: {error}"))
    for image, its in sorted(users.items()):
        old = mirrored.read(state).images.get(image)
        copy: Copy | None
        try:
            result, copy = await load(work, ImageName.parse(image), old, registry)
        except NodiskError as error:
            hint = f"; {error.hint}" if error.hint else ""
            result, copy = Result(image, Verb.FAILED, old.digest if old else "", text=error.message + hint), old
        results.append(result)
        if copy is not None:
            mirrored.update(state, functools.partial(_with, image=image, copy=copy, addons=its))
    mirrored.update(state, functools.partial(_tidied, users=users, wanted=wanted))
    return results


def _with(record: Record, *, image: str, copy: Copy, addons: set[str]) -> Record:
    old = record.images.get(image)
    everybody = tuple(sorted(addons | set(old.addons if old else ())))
    return replace(record, images={**record.images, image: replace(copy, addons=everybody)})


def _tidied(record: Record, *, users: Mapping[str, set[str]], wanted: Mapping[str, Sequence[str]]) -> Record:
    """The record without images that these add-ons' files no longer name."""
    kept = {}
    for image, copy in record.images.items():
        its = tuple(one for one in copy.addons if one not in wanted or one in users.get(image, ()))
        if its:
            kept[image] = replace(copy, addons=its)
    return replace(record, images=kept)


async def load(work: Work, name: ImageName, old: Copy | None, registry: str) -> tuple[Result, Copy]:
    """An image's copy: the one that is there, or a new one, which nobody uses yet.

    ``old``: the copy that is recorded; its digest is what is loaded, unless ``work.refresh``. Raises NodiskError if it
    can't be loaded.
    """
    image = str(name)
    there = old is not None and mirrored.stored(work.store, old) is not None
    if old is not None and there and (name.digest or not work.refresh):
        return Result(image, Verb.THERE, old.digest, old.size), old
    ref = ImageRef(name.host, name.path, name.tag)
    repository, _ = pull.source_of(ref, registry)
    published = name.digest or (old.published if old is not None and not work.refresh else "")
    if not published:
        work.need_network(f"the image {image}")
        with pull.told(image, repository, registry):
            published = await pull.published(work, ref, ref.program, registry)
    made = await _stored(work, name, published, registry)
    facts = made.facts
    copy = Copy(facts["digest"], published, made.id, facts["size"], datetime.now(UTC).isoformat(timespec="seconds"), ())
    if old is None or old.published == published:
        verb = Verb.THERE if there else Verb.LOADED
        return Result(image, verb, copy.digest, copy.size), copy
    return Result(image, Verb.MOVED, copy.digest, copy.size, f"it was {old.published}, and is {published}"), copy


async def _stored(work: Work, name: ImageName, published: str, registry: str) -> Manifest:
    """The image's files in the store, loaded if they aren't there."""
    inputs = {"recipe": 1, "kind": KIND, "repository": name.repository, "published": published, "platform": "amd64"}
    found = work.store.find(KIND, key_of(inputs))
    if found is not None:
        return found
    ref = ImageRef(name.host, name.path, name.tag)
    work.need_network(f"the image {name}")
    with work.board.step(f"loading {name}"), work.store.workspace() as folder:
        target = folder / "image"
        with pull.told(str(name), pull.source_of(ref, registry)[0], registry):
            await pull.exact(work, ref, published, target, registry)
        image = await asyncio.to_thread(image_folder.check, target, str(name))
        facts: dict[str, Any] = {"digest": image.digest, "size": image.size, "path": name.path}
        content: Mapping[str, Path] = image.files
        return await asyncio.to_thread(
            work.store.add,
            KIND,
            name=f"image {name}",
            version=image.digest,
            inputs=inputs,
            content=content,
            facts=facts,
        )
