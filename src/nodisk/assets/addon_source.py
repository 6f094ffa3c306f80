"""An add-on's objects as they are applied: from its files, with its images pinned by the digests that are mirrored."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodisk.assets import addon_files, built, helm, helm_once, mirrored
from nodisk.assets.helm import Rendered
from nodisk.assets.store import Store
from nodisk.errors import NodiskError, SpecError
from nodisk.image_name import ImageName
from nodisk.kube import addon_sets, addons, pod_images
from nodisk.kube.client import Object
from nodisk.spec.model import Lab
from nodisk.spec.model_addons import Addon
from nodisk.state import LabState


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a lab's add-ons come from."""

    state: LabState
    kubernetes: str | None = None
    """The version of the lab's release, which a chart may ask for; None: not known."""

    @classmethod
    def of(cls, lab: Lab, state: LabState) -> Sources:
        """Those of a lab, with the version of the release that was built for it."""
        with contextlib.suppress(NodiskError):
            if (before := built.release_before(state.state, lab)) is not None:
                return cls(state, f"v{before.version}")
        return cls(state)

    def read(self, addon: Addon) -> list[Object]:
        """An add-on's objects as they are applied; raises SpecError if they can't be had."""
        return self.pinned(addon, self.plain(addon))

    def pinned(self, addon: Addon, found: list[Object]) -> list[Object]:
        """An add-on's objects with their images by the digests that are mirrored; raises SpecError."""
        try:
            pins = mirrored.read(self.state).pins(pod_images.named(found))
            return pod_images.replaced(found, pins) if pins else found
        except NodiskError as error:
            raise SpecError(f"add-on {addon.name}: {error.message}", hint=error.hint) from error
        except RecursionError as error:
            raise _endless(addon) from error

    def plain(self, addon: Addon) -> list[Object]:
        """The same as its publisher wrote them."""
        return list(self.rendered(addon).objects)

    def rendered(self, addon: Addon) -> Rendered:
        """What its publisher wrote, and which hooks of a chart were left out; raises SpecError if it can't be had."""
        if not addon.is_by_name and addon.helm is None:
            return Rendered(tuple(addon_sets.read(addon)), ())
        try:
            file = self._file(addon)
            if addon.helm is None:
                objects = addons.objects(file.read_bytes(), Path(f"{addon.name}.yaml"))
                return Rendered(tuple(addon_sets.checked(addon, list(objects))), ())
            helm.check_archive(file, addon.helm)
            log = self.state.state.cache / "log" / f"helm-{addon.name}.log"
            made = helm_once.render(str(addon.name), file, addon.helm, version=self.kubernetes, log=log)
            addon_sets.checked(addon, list(made.objects))
        except (NodiskError, OSError) as error:
            text = error.message if isinstance(error, NodiskError) else str(error)
            hint = error.hint if isinstance(error, NodiskError) else None
            text = text.removeprefix(f"add-on {addon.name}: ")
            raise SpecError(f"add-on {addon.name}: {text}", hint=hint) from error
        except RecursionError as error:
            raise _endless(addon) from error
        return made

    def _file(self, addon: Addon) -> Path:
        wanted = addon_files.wanted(addon)
        if wanted is None:
            return Path(addon.helm.chart if addon.helm is not None else "")
        file = wanted.find(Store(self.state.state))
        if file is None:
            text = f"{addon_sets.source(addon)} is not loaded yet"
            raise SpecError(text, hint=f"run: nodisk addons mirror {addon.name}")
        return file


def images(addon: Addon, objects: Sequence[Object]) -> list[str]:
    """The images that an add-on's machines will need: those that its objects name, and those that lab.yaml adds."""
    try:
        return sorted({*pod_images.named(objects), *map(str, addon.images)})
    except RecursionError as error:
        raise _endless(addon) from error


def hidden(addon: Addon, objects: Sequence[Object]) -> list[str]:
    """What looks like an image where nodisk doesn't replace it, and isn't in lab.yaml's ``images`` either."""
    return [text for text in pod_images.hidden(objects) if ImageName.parse(text) not in addon.images]


def _endless(addon: Addon) -> SpecError:
    return SpecError(f"add-on {addon.name}: an object contains itself", hint="correct the anchors of its YAML")
