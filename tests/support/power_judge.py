"""Judges a disk whose power was cut: what was acknowledged is what is read, at least; all is whole or absent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.power_said import Said
from tests.support.power_writers import ADDRESS, OCI, registry, state_of

from nodisk.backup.restic import Repository
from nodisk.classes import record
from nodisk.errors import NodiskError
from nodisk.records.database import KEEP_EVENTS, Database
from nodisk.records.nonces import Claim
from nodisk.spec import target
from nodisk.values import Mac, Role


def judge(disk: Path, said: dict[str, Said]) -> list[str]:
    """What is wrong, a sentence each, by writer (``records``, ``classes``, ``images``, ``backups``)."""
    return [
        *_records(disk, said["records"]),
        *_classes(disk, said["classes"]),
        *_images(disk, said["images"]),
        *_backups(disk, said["backups"]),
    ]


def _records(disk: Path, said: Said) -> Iterator[str]:
    """Events are there up to the last thing that had to last, and without a hole; a nonce counts once.

    The oldest may be gone: the records keep so many of a kind.
    """
    last, nonces = 0, [one for one in said if one[0] == "nonce"]
    for at, one in enumerate(said):
        if one[0] == "nonce":
            last = max(int(before[1]) for before in said[:at] if before[0] == "event")
    with Database(state_of(disk).database) as database:
        numbers = [event.id for event in database.events()]
        newest = max(numbers, default=0)
        if numbers != list(range(newest - len(numbers) + 1, newest + 1)) or len(numbers) < min(newest, KEEP_EVENTS):
            yield f"events have a hole: there are {len(numbers)} up to {newest}"
        if newest < last:
            yield f"event {last} was followed by a nonce's use, and the last one is {newest}"
        if not database.armed():
            yield "the lab isn't armed any more"
        for _, mac, nonce in nonces:
            claim = Claim(Mac(int(mac)), Role.WORKER, ADDRESS, "second")
            if database.use(nonce, claim).refusal is None:
                yield f"a nonce of {claim.mac} counts twice"


def _classes(disk: Path, said: Said) -> Iterator[str]:
    try:
        found = {one.name: one.role for one in record.load_all(state_of(disk))}
    except NodiskError as error:
        yield f"a class record is neither whole nor absent: {error}"
        return
    latest = {name: role for _, name, role in said}
    for name, role in latest.items():
        # The change that was under way may have been made, though nobody was told.
        if name not in found or (role == "view" and found[name] != "view"):
            yield f"class {name} was saved as {role}, and is {found.get(name, 'absent')}"


def _images(disk: Path, said: Said) -> Iterator[str]:
    with registry(disk) as client:
        for kind, name, *rest in said:
            path = f"blobs/{name}" if kind == "blob" else f"manifests/{name}"
            answer = client.get(f"/v2/room/{path}", headers={"Accept": OCI})
            wanted = name.removeprefix("sha256:") if kind == "blob" else rest[0]
            if answer.status_code != 200 or hashlib.sha256(answer.content).hexdigest() != wanted:
                yield f"the registry answers {answer.status_code} for {kind} {name}, which it had acknowledged"


def _backups(disk: Path, said: Said) -> Iterator[str]:
    if not said:
        return  # the first one was under way
    place = target.parse(str(disk / "backups"))
    repository = Repository(place, state_of(disk).backup / "password", disk / "state/cache/restic")
    try:
        there = {one.short for one in repository.snapshots("room")}
        repository.check()
    except NodiskError as error:
        yield f"the backups can't be read: {error}"
        return
    yield from (f"backup {id_} was made, and isn't there" for _, id_ in said if id_[:8] not in there)
