"""The suite that nodisk builds itself: its folder, and its images in the lab's registry."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from nodisk import files, ports, run
from nodisk.assets import build, built, release, suite
from nodisk.assets.store import Manifest, Store
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, NodiskError, UsageError
from nodisk.plan.facts import ContainerImage
from nodisk.server.seed import push_words

PUSHED = "suite.json"
"""In the registry's folder: tag → the archive from which it was pushed."""
_LOOK = 30
_PUSH = 600


def find(context: LabContext, *, make: bool) -> Manifest:
    """The suite of the lab's release; ``make``: build it if it isn't there, which takes minutes and root's rights.

    Raises UsageError for a release that isn't Debian's, EnvironmentProblem if it isn't there and may not be built.
    """
    state, lab = context.state.state, context.lab
    facts = built.release_facts(state, lab)
    if facts.source != "debian":
        raise UsageError(
            f"nodisk has no conformance suite for Kubernetes {facts.version} ({facts.source})",
            hint="give the folder with the release's own e2e.test: --suite FOLDER (docs/how-to/conformance.md)",
        )
    if (found := suite.recipe(lab.os.mirror).find(Store(state))) is not None:
        return found
    if not make:
        raise EnvironmentProblem("the conformance suite is not built yet", hint=f"nodisk build --only {suite.KIND}")
    return build.build(lab, state, only=[suite.KIND]).assets[suite.KIND]


def folder(context: LabContext, made: Manifest) -> Path:
    """The folder with its program."""
    return suite.folder_of(Store(context.state.state), made)


def push(context: LabContext, made: Manifest, say: Callable[[str], None]) -> None:
    """Bring its images into the lab's registry, as far as they aren't there; raises EnvironmentProblem."""
    store = Store(context.state.state)
    images = [(item.image, store.path(made.file(item.file))) for item in release.images_of(made)]
    record = context.state.registry / PUSHED
    known = _known(record)
    with tempfile.TemporaryDirectory(prefix="nodisk-suite-") as trust:
        shutil.copyfile(context.state.pki / "server-ca.crt", Path(trust, "ca.crt"))
        for image, archive in _missing(context, images, known, Path(trust)):
            say(f"into the lab's registry: {image.name}")
            words = push_words(archive, _place(context, image), Path(trust))
            try:
                run.run(words, netns=context.netns, timeout=_PUSH)
            except NodiskError as error:
                raise EnvironmentProblem(
                    f"the image {image.name} can't be brought into the lab's registry: {error.message}",
                    hint="is the server running? nodisk status",
                ) from error
            known[image.name] = archive.parent.name
            files.write(record, json.dumps(known, indent=1, sort_keys=True) + "\n")


def _missing(
    context: LabContext, images: Iterable[tuple[ContainerImage, Path]], known: dict[str, str], trust: Path
) -> list[tuple[ContainerImage, Path]]:
    found = []
    for image, archive in images:
        look: list[str | Path] = [
            "skopeo",
            "inspect",
            "--raw",
            "--cert-dir",
            trust,
            f"docker://{_place(context, image)}",
        ]
        same = known.get(image.name) == archive.parent.name  # the store's folder is named by the content's hash
        if not same or run.run(look, netns=context.netns, timeout=_LOOK, check=False).returncode != 0:
            found.append((image, archive))
    return found


def _place(context: LabContext, image: ContainerImage) -> str:
    return f"{context.lab.network.server}:{ports.REGISTRY}/{image.repository}:{image.tag}"


def _known(path: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
