"""What the commands of ``nodisk class`` do, without their words: record, cluster and handouts kept in step.

The record is written before the cluster is changed and after, so whatever breaks in between, running the same
command again completes it and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodisk.assets import built
from nodisk.classes import accounts, capacity, features, handouts, homes, reach, reconcile, record, selftest
from nodisk.classes.capacity import Capacity, Enforcer
from nodisk.classes.plan import Planned
from nodisk.classes.reconcile import Applied
from nodisk.classes.record import Account, Class
from nodisk.classes.selftest import Finding, Tester
from nodisk.classes.teardown import OnGone
from nodisk.context import LabContext
from nodisk.errors import NodiskError, describe
from nodisk.kube.client import Client
from nodisk.plan import network
from nodisk.records import isolation, running, virtual_lab
from nodisk.records.database import Database
from nodisk.waiting import Deadline


@dataclass(slots=True)
class Made:
    """What came of create, add, rotate or extend."""

    record: Class
    zip: Path | None = None
    failed: dict[str, Exception] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    made: int = 0
    """Credentials that were made now."""


def weigh(client: Client, planned: Planned, *, overcommit: bool) -> Capacity:
    """The arithmetic of the class; raises UsageError if it doesn't fit and ``overcommit`` isn't set."""
    found = capacity.measure(client, planned.record)
    if not overcommit:
        found.refuse()
    return found


def warnings(client: Client, context: LabContext) -> list[str]:
    """List what this cluster can't do for a class, one sentence each."""
    found = features.missing(features.features(client))
    enforcer = capacity.enforcer(client, context.lab)
    if enforcer is None:
        found.append(
            f"the cluster's network ({context.lab.kubernetes.network}) doesn't enforce NetworkPolicy: "
            "students' pods can reach each other, the server and the room"
        )
    elif enforcer.missing:
        found.append(enforcer.missing)
    return found


def refuse(context: LabContext, planned: Class, folder: Path, students: Sequence[Account] | None = None) -> None:
    """Raise UsageError if these students (None: all) can't be made so, for what this host knows without the cluster."""
    homes.refuse_smaller(context.state, planned, planned.students if students is None else students)
    handouts.refuse_taken(folder, (other for other in record.load_all(context.state) if other.name != planned.name))


def create(
    context: LabContext,
    client: Client,
    planned: Class,
    *,
    folder: Path,
    only: Sequence[Account] | None = None,
    on_done: Callable[[], None] = lambda: None,
    test: bool = True,
) -> Made:
    """Make the class (or ``only`` these students of it) so in the cluster; write the handouts; try the isolation.

    Students that failed are in ``failed``; the others are complete.
    """
    held = handouts.held(planned)
    students = planned.students if only is None else only
    refuse(context, planned, folder, students)
    reconcile.refuse_foreign(client, planned)
    wanted = _moved(context, planned, folder)
    volumes = homes.provide(context.state, wanted, students)
    applied = reconcile.apply(client, wanted, context.lab, keep=held, on_done=on_done, only=only, volumes=volumes)
    made = finish(context, client, applied, held, folder=folder)
    made.warnings += warnings(client, context)
    if volumes and running.pid(context.state) is None:
        made.warnings.append("the lab's server is not running; students' storage will be available once it is")
    # With nobody to try it with, their failures are what there is to say.
    if test and any(student.label not in made.failed for student in students):
        made.findings = try_isolation(context, client, made.record)
    return made


def _moved(context: LabContext, found: Class, folder: Path) -> Class:
    """Record the class, with its handouts in ``folder``; raises UsageError if another class has its own there."""
    moved = found.model_copy(update={"out": str(folder)})
    with record.staying(context.state, found.name) as others:
        handouts.refuse_taken(folder, others)
        record.save(context.state, moved)
    return moved


def finish(context: LabContext, client: Client, applied: Applied, held: dict[str, str], *, folder: Path) -> Made:
    """Keep what was made: the record first, then the handouts, of new credentials and of those held before."""
    found = applied.record.model_copy(update={"out": str(folder)})
    record.save(context.state, found)
    tokens = handouts.good(found, held) | {key: one.token for key, one in applied.credentials.items()}
    kubectl = handouts.where_kubectl(context, client.version())
    made = Made(found, failed=applied.failed, made=len(applied.credentials))
    made.zip = handouts.write(context, found, tokens, kubectl, folder=folder)
    for credential in applied.credentials.values():
        ends = credential.account.expires
        if ends is not None and (applied.record.expires - ends).total_seconds() > 60:
            made.warnings.append(
                f"the API server issues tokens only until {handouts.local(ends)}, so the credentials expire before "
                "the class ends; renew them with nodisk class rotate"
            )
            break
    return made


def try_isolation(context: LabContext, client: Client, found: Class, *, pods: bool = False) -> list[Finding]:
    """Try the isolation with two students' own credentials, from the handouts.

    ``pods``: run pods also where it is known that nothing keeps them apart.
    """
    tokens = handouts.held(found)
    testers = [
        Tester(student, client.with_token(tokens[student.key], patience=5))
        for student in found.students
        if student.key in tokens and not student.suspended
    ]
    if not testers:
        raise NodiskError(
            f"no credential of class {found.name} is available for the test",
            hint=f"the handouts are not in {found.out}; create new ones with nodisk class rotate {found.name}",
        )
    first, second = testers[0], testers[-1] if len(testers) > 1 else None
    enforcer = capacity.enforcer(client, context.lab)
    with_pods = pods or enforcer is not None
    findings = list(selftest.run(found, first, second, features.features(client)))
    if context.lab.isolates_names:
        findings.append(_names(client, found, first, second, within=_within(context)))
    if not with_pods:
        return [*findings, selftest.unenforced(first.account.label)]
    if enforcer is not None and enforcer.missing and not pods:  # pods would show nothing that isn't known
        return [*findings, selftest.untried(first.account.label, enforcer.missing)]
    happened = _reach(client, found, first, second, enforcer=enforcer, within=_within(context))
    tried = reach.settled(happened, enforcer)
    of = built.cluster(context.state.state, context.lab)
    isolation.save(context.state, isolation.Tried(tried.verdict, tried.happened), of=of)
    return [*findings, tried]


def _within(context: LabContext) -> float:
    """Seconds for all of an attempt with pods."""
    return reach.EMULATED if virtual_lab.emulated(context.state) else reach.WITHIN


def _reach(
    client: Client, found: Class, first: Tester, second: Tester | None, *, enforcer: Enforcer | None, within: float
) -> Finding:
    """Whether one student's pod reaches another's, tried with pods if there is where to run them."""
    why = _no_pods(client, found, second)
    if second is None or why:
        return selftest.untried(first.account.label, why)
    spaces = (found.namespace(first.account), found.namespace(second.account))
    return reach.attempt(first, second, spaces, enforcer=enforcer, deadline=Deadline(within))


def _names(client: Client, found: Class, first: Tester, second: Tester | None, *, within: float) -> Finding:
    """Whether one student's pod resolves another's name, in the same way."""
    why = _no_pods(client, found, second)
    if second is None or why:
        return selftest.untried(first.account.label, why, selftest.NAMES)
    spaces = (found.namespace(first.account), found.namespace(second.account))
    return reach.attempt_names(first, second, spaces, domain=network.CLUSTER_DOMAIN, deadline=Deadline(within))


def _no_pods(client: Client, found: Class, second: Tester | None) -> str:
    """Why nothing can be tried with pods of two students now; empty: it can."""
    if second is None:
        return "two students are needed"
    if found.role == "view":
        return "these students may not run pods"
    return "" if capacity.ready_nodes(client) else "no node is ready to run pods"


def remint(context: LabContext, client: Client, found: Class, *, folder: Path) -> Made:
    """Longer credentials after the end of the class was moved; the old ones end when they were to."""
    held = handouts.held(found)
    found = _moved(context, found, folder)
    applied = reconcile.apply(client, found, context.lab, keep=held, volumes=homes.held(context.state, found))
    return finish(context, client, applied, held, folder=folder)


def rotate(context: LabContext, client: Client, found: Class, chosen: Sequence[Account], *, folder: Path) -> Made:
    """New credentials in place of the old, which are good for nothing from then on."""
    held = handouts.held(found)
    applied = accounts.rotate(client, _moved(context, found, folder), context.lab, record.each_once(chosen))
    return finish(context, client, applied, held, folder=folder)


def remove(
    context: LabContext,
    client: Client,
    found: Class,
    chosen: Sequence[Account],
    *,
    keep_storage: bool = True,
    on_gone: OnGone = lambda: None,
) -> dict[str, int]:
    """Remove students and all they have in the cluster, and teachers; returns what the students had."""
    left = found.without(chosen)
    counted = accounts.remove(client, found, context.lab, chosen, on_gone=on_gone)
    if found.storage is not None:
        homes.detach(client, found, chosen, limit=accounts.TIME_LIMIT)
    homes.release(context.state, found, chosen, keep=keep_storage)
    handouts.remove(left, chosen)
    with Database(context.state.database) as database:
        database.door.forget(found.name, [account.key for account in chosen])
    record.save(context.state, left)
    return dict(counted)


def delete(
    context: LabContext,
    client: Client,
    found: Class,
    *,
    limit: float,
    keep_storage: bool = True,
    wait: bool = True,
    on_gone: OnGone = lambda: None,
) -> dict[str, int]:
    """Delete the class; returns what the students had in the cluster. ``wait``: for the server to end the exports."""
    staying = record.staying(context.state, found.name)
    counted = accounts.delete(client, found, staying, limit=limit, on_gone=on_gone)
    homes.release(context.state, found, None, keep=keep_storage, wait=wait)
    handouts.remove(found, (*found.students, *found.teachers), all_of_it=True)
    with Database(context.state.database) as database:
        database.door.forget_class(found.name)
    record.forget(context.state, found.name)
    return dict(counted)


def reset(
    context: LabContext,
    client: Client,
    found: Class,
    chosen: Sequence[Account],
    *,
    on_gone: OnGone = lambda: None,
) -> dict[str, int]:
    """An empty namespace again; the credential stays the same, and so does the storage."""
    volumes = homes.provide(context.state, found, chosen)  # what can be refused comes before what can't be undone
    counted = accounts.empty(client, found, chosen, on_gone=on_gone)
    applied = reconcile.apply(client, found, context.lab, keep=handouts.held(found), only=chosen, volumes=volumes)
    record.save(context.state, applied.record)
    if applied.credentials and found.out is not None:
        finish(context, client, applied, handouts.held(found), folder=Path(found.out))
    raise_first(applied.failed)
    return dict(counted)


def raise_first(failed: dict[str, Exception]) -> None:
    """Raise one NodiskError for all that failed, if any did."""
    if failed:
        lines: Iterable[str] = (f"  {label}: {describe(error)}" for label, error in list(failed.items())[:10])
        raise NodiskError(
            f"{len(failed)} students are incomplete:\n" + "\n".join(lines),
            hint="run the same command again; it creates only what is missing",
        )
