"""Temporary labs of ``nodisk lab bench``: under a name of their own, removed afterwards, nobody else's touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nodisk import files, yamltext
from nodisk.assets import build, built
from nodisk.errors import UsageError
from nodisk.kube.patience import unheard
from nodisk.machines.virtual import Virtual
from nodisk.spec.load import load
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Source
from nodisk.state import LabState, State


def settled(lab: Lab, state: State) -> Lab:
    """The lab with the release with which it was built, if lab.yaml leaves that open: both labs must have it."""
    if not lab.has_cluster or lab.kubernetes.source is not Source.AUTO:
        return lab
    release = built.release_facts(state, lab)
    chosen = {"source": Source(release.source), "version": release.version}
    return lab.model_copy(update={"kubernetes": lab.kubernetes.model_copy(update=chosen)})


def name(of: Lab, suffix: str) -> str:
    """The name of a temporary lab."""
    return str(of.name)[: 62 - len(suffix)] + f"-{suffix}"


def like(of: Lab, suffix: str) -> dict[str, Any]:
    """The lab.yaml of a lab like ``of`` under such a name."""
    document = of.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    return {"name": name(of, suffix), **document}


def refuse_foreign(state: LabState) -> None:
    """Raise UsageError if there is a lab of that name that ``lab`` did not create."""
    if state.root.exists() and not state.bench.exists():
        raise UsageError(
            f"{state.root} is the state of a lab {state.name}, which is a name that nodisk lab bench takes and removes",
            hint="give one of both labs another name, or measure with another --state DIR; or remove it",
        )


@contextmanager
def lab(
    document: Mapping[str, Any], state: State, *, masked: Iterable[str] = (), offline: bool = True
) -> Iterator[Virtual]:
    """The lab of such a lab.yaml with its server running and no machine on; removed afterwards.

    ``masked``: units that its machines don't start. ``offline``: all that they boot has been built.
    """
    of = str(document["name"])
    refuse_foreign(state.lab(of))
    file = state.cache / f"{of}.yaml"
    files.write(file, yamltext.dump(dict(document)))
    virtual = Virtual(load(file), file, state.lab(of))
    virtual.check()  # also that nobody runs a lab of that name from another state
    virtual.down(unheard, purge=True)  # left over from one that was killed
    files.write(virtual.state.bench, "".join(f"{unit}\n" for unit in masked))
    try:
        build.build(virtual.lab, state, offline=offline)
        virtual.start(unheard)
        yield virtual
    finally:
        virtual.down(unheard, purge=True)
        file.unlink(missing_ok=True)
