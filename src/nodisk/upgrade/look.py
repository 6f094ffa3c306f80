"""What an upgrade starts from: the build that is current, and what the records say that each machine booted last."""

from __future__ import annotations

from collections.abc import Iterator

from nodisk.assets import built, holds, previous
from nodisk.assets.holds import Build
from nodisk.check import age
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.upgrade.plan import One, Runs


def machines(state: State, lab: Lab) -> tuple[One, ...]:
    """Every machine of lab.yaml; raises EnvironmentProblem where nothing is built for it."""
    rootfs = built.facts(state, lab)[0].rootfs.sha256
    scripts = age.booted(state, lab)
    return tuple(One(str(one.name), one.role, _runs(scripts[str(one.name)], rootfs)) for one in lab.machines)


def going(state: State, lab: Lab) -> bool:
    """Whether any machine runs another build than the current one."""
    return any(one.runs is Runs.OLD for one in machines(state, lab))


def _runs(script: str, rootfs: str) -> Runs:
    if not script:
        return Runs.NOTHING
    return Runs.NEW if rootfs in script else Runs.OLD


def had(state: State, lab: Lab) -> dict[str, Build | None]:
    """By machine: the build that it last booted; one that never booted would boot the current one.

    None: a build that nodisk no longer knows. Raises EnvironmentProblem before the first build.
    """
    known = list(_builds(state, lab))
    scripts = age.booted(state, lab)

    def of(script: str) -> Build | None:
        return next((one for one in known if one.rootfs in script), None) if script else known[0]

    return {name: of(script) for name, script in scripts.items()}


def _builds(state: State, lab: Lab) -> Iterator[Build]:
    """The current build first, whatever lab.yaml asks for; then those that machines could go back to."""
    record = built.read_record(state, lab)
    yield Build.of(previous.manifests(record))
    if previous.BEFORE in record:
        yield Build.of(previous.manifests(record[previous.BEFORE]))
    yield from holds.read(state.lab(str(lab.name))).builds.values()
