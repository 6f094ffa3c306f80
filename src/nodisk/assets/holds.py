"""What machines boot instead of the current build: the build that they had when they were held.

::

    {"machines": {"52:54:00:00:00:01": KEY}, "builds": {KEY: {KIND: manifest}}}

The record has whole manifests, so it outlives every later build; files that it names are kept by ``prune``. The server
reads it at every boot: to hold a machine, or to let it go, needs no reload where the server knows the build already.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodisk import files
from nodisk.assets import image_debian, release
from nodisk.assets.store import Manifest, Store
from nodisk.errors import EnvironmentProblem, IntegrityError
from nodisk.plan.facts import ContainerImage, ImageFacts, ReleaseFacts
from nodisk.state import LabState, State
from nodisk.values import Mac

_KINDS = ("image", "release")
"""What a machine boots; a build without a cluster has no release."""


@dataclass(frozen=True, slots=True)
class Build:
    """A build as machines boot it."""

    manifests: Mapping[str, Manifest]
    """By kind: image, and release where there is one."""

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> Build:
        """The part of a build that machines boot; raises LookupError for one without an image."""
        found = {one.kind: one for one in manifests if one.kind in _KINDS}
        if "image" not in found:
            raise LookupError("no image")
        return cls(found)

    @property
    def key(self) -> str:
        """Which build it is: a hash of its files'."""
        refs = sorted((kind, ref.name, ref.sha256) for kind, one in self.manifests.items() for ref in one.files)
        return hashlib.sha256(json.dumps(refs).encode()).hexdigest()[:16]

    @property
    def rootfs(self) -> str:
        """The hash by which a boot script names it."""
        return self.manifests["image"].file("root.squashfs").sha256

    @property
    def facts(self) -> tuple[ImageFacts, ReleaseFacts | None]:
        """The public facts about its image and release."""
        made = self.manifests
        return image_debian.facts_of(made["image"]), release.facts_of(made["release"]) if "release" in made else None

    @property
    def words(self) -> str:
        """For people: the release, and when the image was made."""
        image = self.manifests["image"].made.replace("+00:00", "Z")
        kube = f"Kubernetes {self.manifests['release'].version}, " if "release" in self.manifests else ""
        return f"{kube}image of {image}"

    def archives(self, store: Store) -> list[tuple[ContainerImage, Path]]:
        """Its container images with their archives."""
        made = self.manifests.get("release")
        return [(one.image, store.path(made.file(one.file))) for one in release.images_of(made)] if made else []

    def lost(self, store: Store) -> list[str]:
        """Names of files that the store no longer has."""
        return sorted({ref.name for one in self.manifests.values() for ref in one.files if not store.has(ref)})


@dataclass(frozen=True, slots=True)
class Holds:
    """A lab's record."""

    machines: Mapping[Mac, str] = field(default_factory=dict)
    builds: Mapping[str, Build] = field(default_factory=dict)

    def of(self, mac: Mac) -> Build | None:
        """What a machine is held at; None: it boots the current build."""
        return self.builds[self.machines[mac]] if mac in self.machines else None

    def hold(self, wishes: Mapping[Mac, Build]) -> Holds:
        """The record with these machines held, too."""
        found = {mac: build.key for mac, build in wishes.items()}
        return Holds({**self.machines, **found}, {**self.builds, **{one.key: one for one in wishes.values()}})

    def lift(self, macs: Collection[Mac], *, forget: bool = True) -> Holds:
        """The record without these machines; ``forget`` also drops builds at which nobody is held."""
        left = {mac: key for mac, key in self.machines.items() if mac not in macs}
        kept = set(left.values())
        return Holds(left, {key: one for key, one in self.builds.items() if not forget or key in kept})

    def to_text(self) -> str:
        """As it is kept."""
        builds = {
            key: {kind: one.to_json() for kind, one in build.manifests.items()} for key, build in self.builds.items()
        }
        machines = {str(mac): key for mac, key in self.machines.items()}
        return json.dumps({"machines": machines, "builds": builds}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Holds:
        """The reverse; raises ValueError, KeyError, TypeError, AttributeError or LookupError for what is none."""
        value: dict[str, Any] = json.loads(text)
        builds = {str(key): Build.of(map(Manifest.from_json, kinds.values())) for key, kinds in value["builds"].items()}
        machines = {Mac.parse(mac): str(key) for mac, key in value["machines"].items()}
        if lost := set(machines.values()) - set(builds):
            raise KeyError(f"a machine is held at an unknown build: {', '.join(sorted(lost))}")
        return cls(machines, builds)


def read(state: LabState) -> Holds:
    """The lab's record, empty if there is none; raises IntegrityError if it is damaged: nobody must boot by a guess."""
    try:
        return Holds.from_text(state.holds.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Holds()
    except (ValueError, KeyError, TypeError, AttributeError, LookupError) as error:
        raise IntegrityError(
            f"{state.holds} is not a valid record of held machines: {type(error).__name__}: {error}",
            hint=f"to let every machine boot the current build, remove it: rm {state.holds}",
        ) from error


def change(state: LabState, wishes: Mapping[Mac, Build], lifted: Collection[Mac] = (), *, forget: bool = True) -> Holds:
    """Hold machines and let others go, by one write; returns the record.

    Raises EnvironmentProblem where the store has lost files of a build, and Busy while another nodisk changes it.
    """
    store = Store(state.state)
    for build in {one.key: one for one in wishes.values()}.values():
        if lost := build.lost(store):
            text = f"the store no longer has all files of the build ({build.words}): {', '.join(lost)}"
            raise EnvironmentProblem(text, hint="these machines can only boot the current build: nodisk power cycle")
    state.root.mkdir(parents=True, exist_ok=True)
    with files.lock_folder(state.root, "the record of held machines", wait=10.0):
        record = read(state).lift(lifted, forget=forget).hold(wishes)
        if record.builds:
            files.write(state.holds, record.to_text(), mode=0o600)
        else:
            files.remove(state.holds)
    return record


def objects(state: State) -> set[str]:
    """Names of the store's folders that held machines of any lab of this host need."""
    builds = (build for lab in state.each_lab() for build in read(lab).builds.values())
    return {ref.sha256 for build in builds for one in build.manifests.values() for ref in one.files}


class Live:
    """The record as a server reads it at every boot: again only where the file has changed.

    One that was damaged since is as it was before: the server says so when it starts or reloads.
    """

    def __init__(self, state: LabState) -> None:
        self._state = state
        self._seen: tuple[int, int, int] | None = None
        self._record = Holds()

    def of(self, mac: Mac) -> str | None:
        """The key of the build at which a machine is held; None: the current one."""
        try:
            found = self._state.holds.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        except FileNotFoundError:
            return None
        if seen != self._seen:
            self._seen = seen
            with contextlib.suppress(IntegrityError):
                self._record = read(self._state)
        return self._record.machines.get(mac)
