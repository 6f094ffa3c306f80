"""Add-ons' mirrored images in the lab's registry: put there byte by byte, so that their digests stay, and taken out.

Objects name them by digest, and every machine's containerd asks the lab's registry first. An image of lab.yaml's
``images`` that no pod names has its tag there too: whatever starts it knows only that.

The registry's unix socket is used, which only the server itself reaches.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import httpx2

from nodisk.assets import mirrored
from nodisk.assets.container_images import MANIFESTS
from nodisk.assets.image_folder import MANIFEST
from nodisk.assets.mirrored import Copy, Record
from nodisk.assets.store import Store
from nodisk.errors import IntegrityError, NodiskError, describe
from nodisk.image_name import ImageName
from nodisk.server import seed
from nodisk.spec.model import Lab
from nodisk.state import LabState

_ACCEPT = {"Accept": ", ".join(MANIFESTS)}
_MANIFESTS = frozenset({*MANIFESTS})
_SECONDS = 60.0


class Away(NodiskError):
    """The lab's registry doesn't run."""


async def fill(lab: Lab, state: LabState, say: Callable[[str], None]) -> None:
    """Run ``push`` until nothing is missing."""

    async def once() -> tuple[str, list[str]]:
        try:
            count, problems = await asyncio.to_thread(push, lab, state)
        except NodiskError as error:
            return "", [error.message]
        return f"{count} images of add-ons added" if count else "", problems

    await seed.until_complete(once, say)


def push(lab: Lab, state: LabState) -> tuple[int, list[str]]:
    """Put every mirrored image that is missing into the registry; return how many, and one sentence per problem.

    Raises Away if the registry doesn't run, IntegrityError for a damaged record.
    """
    return put(state, mirrored.read(state).images, _by_tag(lab))


def put(state: LabState, images: Mapping[str, Copy], by_tag: Collection[str]) -> tuple[int, list[str]]:
    """Put these images into the registry, those of ``by_tag`` also under their tags, unless a release has the tag.

    Returns how many were missing, and one sentence per problem. Raises Away if the registry doesn't run.
    """
    count, problems = 0, list[str]()
    if not images:
        return count, problems
    store, taken = Store(state.state), seed.pushed_before(state)
    with _registry(state) as http:
        for image, copy in images.items():
            name = ImageName.parse(image)
            tagged = image in by_tag and name.tag and f"{name.path}:{name.tag}" not in taken
            places = [copy.digest, *([name.tag] if tagged else [])]
            try:
                new = [_put(http, store, name.path, place, copy) for place in places]
                count += any(new)
            except (NodiskError, httpx2.HTTPError, OSError) as error:
                problems.append(f"{image} could not be put there: {describe(error)}")
    return count, problems


def _by_tag(lab: Lab) -> set[str]:
    """Images that are also asked for by their tags."""
    return {str(name) for addon in lab.addons for name in addon.images}


def forget(state: LabState, addons: Collection[str]) -> list[str]:
    """Take what only these add-ons use out of the record and, if it runs, out of the registry; return the images.

    The registry's disk is freed at the server's next start, the store's by ``nodisk assets prune``.
    """
    if not mirrored.read(state).users & set(addons):
        return []
    before, after = mirrored.update(state, lambda record: functools.reduce(Record.without, addons, record))
    gone = {image: copy for image, copy in before.images.items() if image not in after.images}
    used = {(ImageName.parse(image).path, copy.digest) for image, copy in after.images.items()}
    with contextlib.suppress(Away, httpx2.HTTPError), _registry(state) as http:
        for path, digest in {(ImageName.parse(image).path, copy.digest) for image, copy in gone.items()} - used:
            http.delete(f"/v2/{path}/manifests/{digest}")
    return sorted(gone)


@contextlib.contextmanager
def _registry(state: LabState) -> Iterator[httpx2.Client]:
    address = str(state.run / "registry.sock")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address)
        except OSError as error:
            raise Away("the lab's registry doesn't run", hint="nodisk serve starts it, and fills it") from error
    transport = httpx2.HTTPTransport(uds=address)
    with httpx2.Client(base_url="http://registry", transport=transport, timeout=_SECONDS, trust_env=False) as http:
        yield http


def _put(http: httpx2.Client, store: Store, path: str, place: str, copy: Copy) -> bool:
    """Put an image to a tag or its digest in a repository; return whether it was missing. Raises NodiskError."""
    there = http.head(f"/v2/{path}/manifests/{place}", headers=_ACCEPT)
    if there.status_code == 200 and there.headers.get("Docker-Content-Digest") == copy.digest:
        return False
    made = mirrored.stored(store, copy)
    if made is None:
        raise IntegrityError("the store has lost it: nodisk addons mirror")
    body = store.path(made.file(MANIFEST)).read_bytes()
    manifest = json.loads(body)
    kind = manifest.get("mediaType") or MANIFESTS[0]
    if kind not in _MANIFESTS:
        raise IntegrityError(f"its manifest is of an unknown kind: {kind}")
    for blob in (manifest["config"], *manifest["layers"]):
        _blob(http, path, blob["digest"], store.path(made.file(blob["digest"].removeprefix("sha256:"))))
    _ok(http.put(f"/v2/{path}/manifests/{place}", content=body, headers={"Content-Type": kind}))
    return True


def _blob(http: httpx2.Client, path: str, digest: str, file: Path) -> None:
    if http.head(f"/v2/{path}/blobs/{digest}").status_code == 200:
        return
    where = _ok(http.post(f"/v2/{path}/blobs/uploads/")).headers["Location"]
    whole = http.base_url.join(where).copy_merge_params({"digest": digest})
    with file.open("rb") as content:
        _ok(http.put(whole, content=content, headers={"Content-Type": "application/octet-stream"}))


def _ok(answer: httpx2.Response) -> httpx2.Response:
    if not answer.is_success:
        text = f"the registry answers {answer.status_code}: {answer.text.strip()[:200]}"
        raise NodiskError(text, hint="is its disk full?")
    return answer
