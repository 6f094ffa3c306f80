"""Butane snippets of lab.yaml as a check: they translate to Ignition and don't conflict with nodisk's own."""

from __future__ import annotations

from pathlib import Path

from nodisk.assets import built
from nodisk.check.findings import Finding, error, ok
from nodisk.errors import NodiskError, SpecError
from nodisk.plan import ignition, snippets
from nodisk.plan.budget import ASSUMED_ROOTFS_MIB, MIB, expected_version
from nodisk.plan.facts import AssetRef, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.model import Lab
from nodisk.state import State

_NAME = "butane"


def butane(state: State, lab: Lab, file: Path) -> list[Finding]:
    """Render every machine's Ignition as the server will; report each problem once, with its line of lab.yaml."""
    count = len({snippet.path for machine in lab.machines for snippet in snippets.of(lab, machine)})
    if not count:
        return [ok(_NAME, "no snippets")]
    facts, where, problems = _facts(state, lab), snippets.in_file(file), dict[str, str]()
    for machine in lab.machines:
        try:
            ignition.render(lab, facts, machine, where=where)
        except SpecError as problem:
            for line in problem.message.splitlines():
                problems.setdefault(
                    line, problem.hint or "correct the snippet; see docs/reference/butane.md for all keys"
                )
    if problems:
        return [error(_NAME, line, hint) for line, hint in problems.items()]
    return [ok(_NAME, f"{count} snippet{'s' if count > 1 else ''} can be merged into the machines' Ignition")]


def _facts(state: State, lab: Lab) -> Facts:
    """The built facts, or else stand-ins: a machine's files hardly depend on them."""
    try:
        return Facts("", *built.facts(state, lab))
    except NodiskError:
        file = AssetRef("file", "0" * 64, ASSUMED_ROOTFS_MIB * MIB)
        image = ImageFacts(file, file, file, "", 3 * file.size, "1.7.24")
        return Facts("", image, ReleaseFacts(expected_version(lab), "", (), file) if lab.has_cluster else None)
