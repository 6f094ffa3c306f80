"""Going back to the build before: machines boot at their next boot what they had.

The store gets that build's manifests again, then one write makes it the lab's. A process that is killed between the two
leaves a lab that still has the newer build recorded; calling it again does the rest. What was current is then the build
before, so that going back twice changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from nodisk import files
from nodisk.assets import built, previous
from nodisk.assets.store import Manifest, Store
from nodisk.errors import EnvironmentProblem, UsageError
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.values import KubeVersion


@dataclass(frozen=True, slots=True)
class Change:
    """What going back changes."""

    now: tuple[Manifest, ...]
    then: tuple[Manifest, ...]
    """The build before, which becomes the current one."""

    @property
    def differing(self) -> list[tuple[Manifest | None, Manifest]]:
        """(what is current, what takes its place) for each kind whose files differ."""
        mine = {one.kind: one for one in self.now}
        pairs = [(mine.get(one.kind), one) for one in self.then]
        return [(old, new) for old, new in pairs if old is None or old.files != new.files]

    @property
    def releases(self) -> tuple[KubeVersion | None, KubeVersion | None]:
        """The releases of Kubernetes of both; None where there is none."""
        return _release(self.now), _release(self.then)


def look(state: State, lab: Lab) -> Change:
    """What ``go_back`` would change. Raises UsageError where there is nothing to go back to, or lab.yaml asks for else.

    Raises EnvironmentProblem if the store has lost a file of the build before.
    """
    record = built.read_record(state, lab)
    try:
        then = previous.swapped(record)
    except LookupError as error:
        raise UsageError(
            f"lab {lab.name} has no build before the current one",
            hint="nodisk keeps the last two builds; another release: change lab.yaml and run nodisk build",
        ) from error
    change = Change(tuple(previous.manifests(record)), tuple(previous.manifests(then)))
    if then["wishes"] != built.wishes(lab):
        was = change.releases[1]
        raise UsageError(
            f"the build before was made for another lab.yaml{f' (Kubernetes {was})' if was else ''}",
            hint="put kubernetes: and os: in lab.yaml back to what they were, then run nodisk rollback again",
        )
    store = Store(state)
    if lost := sorted({ref.name for one in change.then for ref in one.files if not store.has(ref)}):
        raise EnvironmentProblem(
            f"the store no longer has all files of the build before: {', '.join(lost)}", hint="run: nodisk build"
        )
    return change


def go_back(state: State, lab: Lab) -> Change:
    """Make the build before the lab's current one. Raises as ``look``, and Busy while something is built."""
    store = Store(state)
    with store.builder():
        change = look(state, lab)
        for manifest in change.then:
            store.restore(manifest)
        value = previous.swapped(built.read_record(state, lab))
        files.write(state.lab(str(lab.name)).built, json.dumps(value, indent=1, sort_keys=True) + "\n")
    return change


def _release(made: Sequence[Manifest]) -> KubeVersion | None:
    return next((KubeVersion.parse(one.version) for one in made if one.kind == "release"), None)
