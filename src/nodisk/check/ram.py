"""The RAM budget as a check: findings and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodisk.assets import built
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.errors import NodiskError
from nodisk.plan.budget import MIB, PODS, Budget, Verdict, budget
from nodisk.plan.facts import Facts
from nodisk.records.database import Database
from nodisk.spec.model import Lab, Machine
from nodisk.state import State
from nodisk.values import Mac, Size

_NAME = "ram"
TOLERANCE = 15 / 16
"""Of what lab.yaml says: firmware and a graphics chip take some, and Linux counts in blocks of 128 MiB."""


def measured(state: State, lab: Lab) -> dict[Mac, int]:
    """Machine → MiB of RAM that it had in its last inventory boot."""
    with Database(state.lab(str(lab.name)).database, reading=True) as database:
        return {mac: one.hardware.memory_mib for mac, one in database.inventories.all().items()}


def short(lab: Lab, found: Mapping[Mac, int]) -> list[Finding]:
    """Machines that have less RAM than lab.yaml says, one by one."""
    return [
        error(
            _NAME,
            f"{machine.name}: lab.yaml says {machine.memory.mib} MiB, measured were {mib}",
            f"correct `memory:`, look at its RAM, or measure again: nodisk machines inventory {machine.name}",
        )
        for machine in lab.machines
        if machine.memory is not None and (mib := found.get(machine.mac)) and mib < machine.memory.mib * TOLERANCE
    ]


def budgets(state: State, lab: Lab) -> list[Budget]:
    """One budget per machine, in the file's order; from the built assets, or else from estimates.

    Of a machine that was measured, what it has counts where lab.yaml says more, or nothing.
    """
    has = measured(state, lab)
    try:
        image, release = built.facts(state, lab)
        facts = Facts("", image, release)
    except NodiskError:
        facts = None
    return [budget(lab, _sized(machine, has.get(machine.mac)), facts) for machine in lab.machines]


def _sized(machine: Machine, mib: int | None) -> Machine:
    if mib is None or (machine.memory is not None and machine.memory.mib * TOLERANCE <= mib):
        return machine
    return machine.model_copy(update={"memory": Size(mib * MIB)})


def ram(lab: Lab, found: Sequence[Budget]) -> list[Finding]:
    """Whether each machine is large enough; machines with the same answer share a line."""
    findings = []
    for group in groups(found):
        one, who = group[0], _names(group)
        if one.verdict is Verdict.TOO_LITTLE:
            before = "before the first pod" if one.use == PODS else "by itself"
            text = f"{who}: {one.total} MiB is not enough for a {one.role}, which uses {one.used} MiB {before}"
            findings.append(error(_NAME, text, f"at least {one.needed} MiB are needed"))
        elif one.verdict is Verdict.TIGHT:
            text = f"{who}: {one.total} MiB leave {one.left} for {one.use}"
            findings.append(warning(_NAME, text, f"this works; {one.needed} MiB or more is recommended"))
        else:
            findings.append(ok(_NAME, f"{who}: {one.total} MiB, {one.left} for {one.use}"))
        if not one.declared:
            text = f"{who}: lab.yaml gives no memory size; assuming {one.total} MiB"
            findings.append(warning(_NAME, text, "add `memory:`"))
    if found and found[0].estimated:
        findings.append(ok(_NAME, "nothing is built yet, so image and release sizes are estimates"))
    return findings


def groups(found: Sequence[Budget]) -> list[list[Budget]]:
    """Group machines of equal role and memory: a room is mostly the same PC many times."""
    alike: dict[tuple[str, int, bool], list[Budget]] = {}
    for one in found:
        alike.setdefault((one.role, one.total, one.declared), []).append(one)
    return list(alike.values())


def _names(group: Sequence[Budget]) -> str:
    names = [one.name for one in group]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]} ({len(names)})"


def table(found: Sequence[Budget]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: one row per kind of use, one column per group of machines; use and, after a slash, the cap."""
    columns = groups(found)
    headings = ["MiB", *(f"{_names(group)}: {group[0].role}" for group in columns)]
    kinds = list(dict.fromkeys(row.kind for group in columns for row in group[0].rows))
    body = []
    for kind in kinds:
        cells = []
        for group in columns:
            row = next((row for row in group[0].rows if row.kind == kind), None)
            cells.append("—" if row is None else f"{row.used}" + (f" (cap {row.cap})" if row.cap is not None else ""))
        body.append([kind, *cells])
    rest = f"left for {found[0].use}" if found else "left"
    for title, field in ((rest, "left"), ("of", "total"), ("verdict", "verdict")):
        body.append([title, *(str(getattr(group[0], field)) for group in columns)])
    return headings, body


def as_json(one: Budget) -> dict[str, Any]:
    """A budget in the stable form; everything in MiB."""
    return {
        "machine": one.name,
        "role": str(one.role),
        "total": one.total,
        "declared": one.declared,
        "estimated": one.estimated,
        "rows": [{"kind": row.kind, "used": row.used, "cap": row.cap} for row in one.rows],
        "used": one.used,
        "left": one.left,
        "needed": one.needed,
        "verdict": str(one.verdict),
    }
