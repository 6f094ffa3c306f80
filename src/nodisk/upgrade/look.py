"""What an upgrade starts from: the build that is current, and what the records say that each machine booted last."""

from __future__ import annotations

from nodisk.assets import built
from nodisk.check import age
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.upgrade.plan import One, Runs


def machines(state: State, lab: Lab) -> tuple[One, ...]:
    """Every machine of lab.yaml; raises EnvironmentProblem where nothing is built for it."""
    rootfs = built.facts(state, lab)[0].rootfs.sha256
    scripts = age.booted(state, lab)
    return tuple(One(str(one.name), one.role, _runs(scripts[str(one.name)], rootfs)) for one in lab.machines)


def _runs(script: str, rootfs: str) -> Runs:
    if not script:
        return Runs.NOTHING
    return Runs.NEW if rootfs in script else Runs.OLD
