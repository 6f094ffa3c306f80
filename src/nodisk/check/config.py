"""Which machines booted with another configuration than they would get now, and what that means where it breaks things.

A machine gets its configuration by its boot alone, and the server records what it gave to whom.
"""

from __future__ import annotations

from nodisk.assets import built
from nodisk.check import age
from nodisk.check.findings import Finding, ok, warning
from nodisk.errors import EnvironmentProblem, SpecError
from nodisk.pki.authority import Authority
from nodisk.plan import config_changes, ignition
from nodisk.records import running
from nodisk.records.database import Database
from nodisk.server import assets
from nodisk.spec.model import Lab
from nodisk.state import LabState

_NAME = "config"
MOST = 4
"""Differences that are named; ``nodisk render NAME --diff`` shows them all."""
_HINT = "nodisk arm, then nodisk power cycle NAME --drain"


def config(state: LabState, lab: Lab) -> list[Finding]:
    """Machines whose last config differs from the one that they would get now.

    One that booted another image is among those only that ``age.image`` names, for its config depends on its image.
    """
    with Database(state.database, reading=True) as database:
        got = {machine.mac: database.served(machine.mac).get("ignition", "") for machine in lab.machines}
    booted = [machine for machine in lab.machines if got[machine.mac]]
    if not booted:
        return [ok(_NAME, "no machine has got its configuration yet")]
    apart = {one.mac for one in booted if config_changes.shows_pods(got[one.mac]) is not lab.isolates_names}
    found = _names_apart(lab, [str(one.name) for one in booted if one.mac in apart])
    try:
        ca = Authority(state, lab).ca_pem
        facts = {machine.mac: assets.facts_now(lab, state, machine, ca) for machine in booted}
        scripts = age.booted(state.state, lab)
        same = [one for one in booted if facts[one.mac].image.rootfs.sha256 in scripts[str(one.name)]]
        changes = {}
        for one in same:
            what = config_changes.changed(got[one.mac], ignition.render(lab, facts[one.mac], one))
            changes[str(one.name)] = [name for name in what if name != config_changes.FIREWALL or one.mac not in apart]
    except EnvironmentProblem:
        return [*found, ok(_NAME, "not built yet, or not for this lab.yaml")]
    except SpecError:
        return [*found, ok(_NAME, "not compared: see butane")]
    except PermissionError:
        return [*found, warning(_NAME, "not compared: reading the certificate of the server's CA needs root")]
    if differ := {name: what for name, what in changes.items() if what}:
        every = sorted(set().union(*differ.values()))
        shown = ", ".join(every[:MOST]) + (f" and {len(every) - MOST} more" if len(every) > MOST else "")
        text = f"booted with a configuration that differs from the current one: {', '.join(differ)} ({shown})"
        stale = running.is_stale(state, built.fingerprint(state, lab))
        first = "reload the server first, which has an older lab.yaml; then " if stale else ""
        found.append(warning(_NAME, text, f"{first}{_HINT}; nodisk render NAME --diff shows what it changes"))
    return found or [ok(_NAME, "machines booted with the configuration that they would get now")]


def _names_apart(lab: Lab, others: list[str]) -> list[Finding]:
    """``kubernetes.isolation``: server and machines have to agree. ``others``: machines that booted the other way."""
    if not others:
        return []
    now = "lab.yaml no longer has kubernetes.isolation: names, but these machines booted with it"
    what = "their pods get no answer when they ask for a name"
    if lab.isolates_names:
        now = "lab.yaml has kubernetes.isolation: names, but these machines booted without it"
        what = "their pods get no names of any class's namespace"
    text = f"{now}: {', '.join(others)}; once the server has read that, {what}"
    return [warning(_NAME, text, f"reload the server, then {_HINT}")]
