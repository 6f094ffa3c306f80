"""Whether the cluster can go from the release that it runs to the one that lab.yaml asks for.

Without an answer of the API only the releases are compared. Nothing is changed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from nodisk.assets import built, release_path
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, NodiskError, describe
from nodisk.kube import removals, spare
from nodisk.kube.client import Client, Object, connect
from nodisk.kube.errors import ApiError
from nodisk.pki.authority import Authority
from nodisk.records import backups
from nodisk.spec import skew, versions
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Source
from nodisk.state import LabState, State
from nodisk.values import KubeVersion

PATIENCE = 3.0
"""Seconds for an API that doesn't answer."""
FRESH = 24 * 3600.0
"""Seconds: how old the backup may be that an upgrade can go back to."""
SOON = timedelta(days=30)
"""Before this, the authorities should last."""
_NAME = "upgrade"
_MOST = 5
"""Names in one finding."""


def upgrade(context: LabContext, wanted: KubeVersion | None = None) -> list[Finding]:
    """Compare the release that runs with ``wanted``, or with lab.yaml's; if they differ, look at what may stop it."""
    state = context.state.state
    try:
        wanted = wanted or _wanted(state, context.lab)
        with connect(context, patience=PATIENCE) as client:
            try:
                running = client.version()
            except ApiError:
                return [_offline(state, context.lab, wanted)]
            return list(_online(context, client, running, wanted))
    except EnvironmentProblem:  # no credentials yet, or nothing is built
        return [_offline(state, context.lab, wanted)]
    except (NodiskError, ValueError) as problem:
        return [warning(_NAME, f"could not be looked at to the end: {describe(problem)}")]


def _online(context: LabContext, client: Client, running: KubeVersion, wanted: KubeVersion) -> Iterator[Finding]:
    if (refused := skew.problem(running, wanted)) is not None:
        yield _refused(refused, running, wanted)
        return
    pending = bool(skew.path(running, wanted))
    found = list(_kubelets(client, wanted if pending else running))
    if not pending:
        yield from found or [ok(_NAME, f"Kubernetes {running} runs, and no other release is asked for")]
        return
    found += [*_live(client, running, wanted), *_kept(context.lab, context.state)]
    yield from found or [ok(_NAME, f"nothing speaks against going from Kubernetes {running} to {wanted}")]


def _offline(state: State, lab: Lab, wanted: KubeVersion | None) -> Finding:
    """What the last build tells, where no API server answers."""
    before = built.release_before(state, lab)
    if before is None or wanted is None:
        return ok(_NAME, "no cluster yet")
    if (refused := skew.problem(before.version, wanted)) is not None:
        return _refused(refused, before.version, wanted)
    if not skew.path(before.version, wanted):
        return ok(_NAME, f"Kubernetes {before.version} is built, and no other release is asked for")
    return warning(
        _NAME,
        f"from Kubernetes {before.version} to {wanted}: the API doesn't answer, so the cluster was not looked at",
        "run it again while the cluster is up",
    )


def _wanted(state: State, lab: Lab) -> KubeVersion:
    """The release that lab.yaml asks for, without asking the network; raises EnvironmentProblem if it can't be told."""
    kube = lab.kubernetes
    if kube.source is Source.PATH and kube.path is not None:
        return release_path.read(kube.path, kube.version).version
    before = built.release_before(state, lab)
    if before is not None and before.asked:
        return before.version
    if kube.version is not None:
        return kube.version
    if kube.source is Source.DEBIAN:
        return versions.DEBIAN
    raise EnvironmentProblem("nothing is built yet, and lab.yaml names no release")


def _refused(reason: str, running: KubeVersion, wanted: KubeVersion) -> Finding:
    steps = skew.path(running, wanted)
    if steps:
        return error(_NAME, reason, f"go by {' → '.join(str(step) for step in steps)}, each until all nodes run it")
    return error(_NAME, reason, "restore the backup from before instead: docs/how-to/upgrade.md")


def _kubelets(client: Client, api: KubeVersion) -> Iterator[Finding]:
    """Nodes that can't work with an API server of that release."""
    wrong: dict[str, list[str]] = {}
    for node in client.list("v1", "Node"):
        said = ((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion", "")
        if said and (reason := skew.kubelet_problem(KubeVersion.printed(said), api)):
            wrong.setdefault(reason, []).append(node["metadata"]["name"])
    for reason, names in sorted(wrong.items()):
        yield error(_NAME, f"{_some(names)}: {reason}", "reboot those machines first: nodisk power cycle NAME --drain")


def _live(client: Client, running: KubeVersion, wanted: KubeVersion) -> Iterator[Finding]:
    """What the cluster says of itself."""
    yield from _removed(client, running, wanted)
    for version in filter(None, [client.first_supported("PodDisruptionBudget", ("policy/v1", "policy/v1beta1"))]):
        closed = [_full_name(one) for one in client.list(version, "PodDisruptionBudget") if _forbids_all(one)]
        if closed:
            text = f"PodDisruptionBudgets that let no pod go now: {_some(closed)}"
            yield warning(_NAME, text, "their nodes are emptied only as far as the limit of time; add a replica")
    nodes, pods = client.list("v1", "Node"), client.list("v1", "Pod")
    short = spare.without_one(nodes, pods)
    for node, lacks in itertools.groupby(short, key=lambda one: one.node):
        names = " and ".join(one.resource for one in lacks)
        yield warning(_NAME, f"while {node} is away, the other nodes have too little {names} for all pods")


def _removed(client: Client, running: KubeVersion, wanted: KubeVersion) -> Iterator[Finding]:
    asked = [one for one in removals.ask(client) if running.line < one.removed <= wanted.line]
    if asked:
        names = [f"{one.resource} ({one.api_version})" for one in asked]
        text = f"asked for since the API server's start, and not served by {wanted}: {_some(names)}"
        yield warning(
            _NAME, text, "update the programs that do so; kubernetes.io has the Deprecated API Migration Guide"
        )
    by = sorted(removals.stored(client, removals.between(running, wanted)), key=lambda one: one.removal.api_version)
    for removal, group in itertools.groupby(by, key=lambda one: one.removal):
        names = [f"{one.kind} {one.name}" for one in group]
        if removal.instead is None:
            yield warning(_NAME, f"{wanted} has no such kind any more: {_some(names)}", "remove or replace them first")
        else:
            text = f"last written as {removal.api_version}, which {wanted} doesn't serve: {_some(names)}"
            yield warning(_NAME, text, f"write {removal.instead} in their manifests; the objects themselves stay")


def _kept(lab: Lab, state: LabState, *, now: float | None = None) -> Iterator[Finding]:
    """What must be there to go back: keys that last, and a backup that was restored once."""
    now = time.time() if now is None else now
    limit = datetime.fromtimestamp(now, UTC) + SOON
    old = [one.name for one in Authority(state, lab).items() if one.expires is not None and one.expires < limit]
    if old:
        yield warning(
            _NAME, f"expire within {SOON.days} days: {_some(old)}", "nodisk serve renews certificates; nodisk pki"
        )
    proved = backups.read(state).proved
    if proved is None or now - proved > FRESH:
        text = "no backup of the last 24 hours was proved, and only a backup leads back to the older release"
        yield warning(_NAME, text, "run: nodisk backup create && nodisk backup verify")


def _forbids_all(budget: Object) -> bool:
    status = budget.get("status") or {}
    return bool(status.get("expectedPods", 0) and not status.get("disruptionsAllowed", 0))


def _full_name(one: Object) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
