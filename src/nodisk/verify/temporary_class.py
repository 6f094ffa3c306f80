"""A class for some minutes: real students, created by the code for real classes, without a record or handouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from nodisk.classes import accounts, homes, reconcile, record, sizes
from nodisk.classes.manifests import CLASS
from nodisk.classes.reconcile import Applied
from nodisk.classes.record import Account, Class
from nodisk.errors import NodiskError, TimedOut
from nodisk.kube.client import Client, Object
from nodisk.state import LabState
from nodisk.storage import volumes
from nodisk.verify.scene import Scene

PREFIX = "nodisk-temporary-"
"""Prefix of the class' name, and so of all its namespaces, by which the next run finds what a killed one left."""


def planned(run_id: str, students: int, *, room: str | None = None, pods: int = 0) -> Class:
    """A class of this many students of size small, with ``room`` (such as ``16Mi``) of storage each.

    ``pods``: how many each must be able to have, if that is more than the size allows.
    """
    now = datetime.now(UTC)
    name = f"{PREFIX}{run_id}"
    accounts = tuple(
        Account(key=f"s{number}", name=f"Student {number}", label=f"s{number:02d}") for number in range(1, students + 1)
    )
    size_name, size = sizes.find("small")
    if pods > size.pods:
        # As the check's own pods ask for little, each gets what the size gives a container.
        times = -(-pods // size.pods)
        each = ("cpu", "cpu_burst", "memory", "ephemeral")
        more = {key: f"{sizes.amount(getattr(size, key)) * times:f}" for key in each}
        size = size.model_copy(update={**more, "pods": pods})
    return Class(
        name=name,
        prefix=f"{name}-",
        size_name=size_name,
        size=size,
        role="edit",
        created=now,
        expires=now + timedelta(hours=2),
        students=accounts,
        storage=room,
    )


@contextmanager
def temporary_class(
    scene: Scene, students: int, *, room: str | None = None, mark: str = "", pods: int = 0
) -> Iterator[Applied]:
    """Create it, and remove it whatever happens; raises NodiskError if a student could not be created.

    ``mark`` distinguishes it from others that the same run has at the same time.
    """
    wanted, state = planned(f"{scene.run_id}{mark}", students, room=room, pods=pods), scene.context.state
    try:
        served = homes.provide(state, wanted, wanted.students)
        applied = reconcile.apply(scene.client, wanted, scene.context.lab, volumes=served)
        if applied.failed:
            label, error = next(iter(applied.failed.items()))
            raise NodiskError(f"the student {label} could not be made: {error}")
        yield applied
    finally:
        try:
            accounts.delete(scene.client, wanted, record.staying(state, wanted.name), limit=90 * scene.pace)
        finally:
            release_leftovers(state)


def leftovers(client: Client) -> list[Object]:
    """Namespaces and PersistentVolumes of temporary classes that still exist."""
    found = client.list("v1", "Namespace", labels=CLASS) + client.list("v1", "PersistentVolume", labels=CLASS)
    return [one for one in found if one["metadata"]["labels"][CLASS].startswith(PREFIX)]


def remove_leftovers(client: Client, state: LabState, *, limit: float) -> list[str]:
    """Delete temporary classes like real ones, with a limit of ``limit`` seconds per class; report one line each."""
    lines = []
    for name in sorted({one["metadata"]["labels"][CLASS] for one in leftovers(client)}):
        lines.append(f"removing the temporary class {name} that an earlier run left")
        # With storage, so that what only a class with storage has goes too.
        gone = planned(name.removeprefix(PREFIX), 1, room="16Mi")
        try:
            accounts.delete(client, gone, record.staying(state, name), limit=limit)
        except TimedOut as error:
            lines += error.message.splitlines()
    release_leftovers(state)
    return lines


def release_leftovers(state: LabState) -> None:
    """Make the server delete the volumes of temporary classes."""
    volumes.release(state, [one for one in volumes.load_all(state) if one.class_name.startswith(PREFIX)], keep=False)
