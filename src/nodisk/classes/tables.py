"""How ``nodisk class`` shows what it found and did: tables for people, JSON for programs. Never a token."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nodisk import ui
from nodisk.classes import actions, expiry, handouts, record
from nodisk.classes.actions import Made
from nodisk.classes.plan import Planned
from nodisk.classes.record import Account, Class
from nodisk.classes.selftest import Finding
from nodisk.classes.trouble import Trouble
from nodisk.errors import NodiskError


def report_absent(planned: Planned) -> None:
    """Say who is in the class and not in the roster."""
    if planned.absent:
        ui.say(
            f"not in the roster, but in the class: {', '.join(s.label for s in planned.absent)} "
            "(not changed; remove them with --prune)"
        )


def counted(found: dict[str, int]) -> str:
    """What was deleted, in words."""
    return ", ".join(f"{number} {kind}" for kind, number in sorted(found.items())) or "no objects"


def show_plan(planned: Planned, output: str) -> None:
    """What a run without ``--dry-run`` would make: who gets which namespace."""
    report_absent(planned)
    students(planned.record, planned.record.students, output, new=planned.new)


def troubles(found: Sequence[Trouble], output: str) -> None:
    """What fails in students' namespaces."""
    if output == "json":
        ui.print_json([one.to_json() for one in found])
    elif found:
        rows = [[one.namespace, one.object, str(one.pods or "-"), one.words, one.hint] for one in found]
        ui.print_table(["NAMESPACE", "OBJECT", "PODS", "WHAT FAILS", "WHAT TO DO"], rows)
    else:
        ui.say("nothing fails")


def students(
    found: Class,
    chosen: tuple[Account, ...],
    output: str,
    new: tuple[Account, ...] | None = None,
    volumes: Mapping[str, str] | None = None,
) -> None:
    """One row per student; ``new``: of a plan, those who are not there yet; ``volumes``: key → storage, in words."""

    def state(student: Account) -> str:
        if new is not None:
            return "new" if student in new else "known"
        return "suspended" if student.suspended else "active"

    if output == "json":
        rows = [
            {
                "name": s.name,
                "id": s.id,
                "label": s.label,
                "namespace": found.namespace(s),
                "state": state(s),
                "expires": s.expires.isoformat() if s.expires else None,
                "storage": (volumes or {}).get(s.key),
            }
            for s in chosen
        ]
        teachers = [
            {"name": t.name, "label": t.label, "state": "suspended" if t.suspended else "active"}
            for t in found.teachers
        ]
        end = found.expires.isoformat()
        ui.print_json({"class": found.name, "expires": end, "students": rows, "teachers": teachers})
        return
    storage = "" if found.storage is None else f", storage {found.storage}"
    for teacher in found.teachers:
        ui.say(f"teacher {teacher.name}: {teacher.label}, {'suspended' if teacher.suspended else 'active'}")
    ui.say(f"{found.name}: {expiry.due(found, record.now())}; size {found.size_name}, role {found.role}{storage}")
    header = ["STUDENT", "ID", "NAMESPACE", "STATE", "CREDENTIAL UNTIL"]
    lines = [
        [s.name, s.id, found.namespace(s), state(s), handouts.local(s.expires) if s.expires else "-"] for s in chosen
    ]
    if volumes is not None:
        header = [*header, "STORAGE"]
        lines = [[*line, volumes.get(s.key, "-")] for line, s in zip(lines, chosen, strict=True)]
    ui.print_table(header, lines)


def findings(found: Sequence[Finding], output: str) -> None:
    """What the isolation self-test tried; raises NodiskError for a hole."""
    if output == "json":
        ui.print_json([finding.to_json() for finding in found])
    else:
        words = {"ok": "ok", "unsure": "UNSURE", "gap": "GAP", "hole": "HOLE", "untried": "NOT TRIED"}
        ui.print_table(
            ["AS", "TRIED", "EXPECTED", "HAPPENED", ""],
            [[f.who, f.tried, f.expected, f.happened, words[f.verdict]] for f in found],
        )
    for finding in found:
        if finding.verdict in ("unsure", "gap", "untried"):
            ui.say(f"warning: {finding.tried}: {finding.happened}")
    judge(found)


def judge(findings: Sequence[Finding]) -> None:
    """Raise NodiskError if students can do what no student may."""
    if holes := [finding for finding in findings if finding.verdict == "hole"]:
        raise NodiskError(
            f"students are not isolated: {len(holes)} of {len(findings)} attempts succeeded that should fail",
            hint="don't hand out the credentials; revoke access with nodisk class suspend",
        )


def report(made: Made, output: str) -> None:
    """What came of it; raises NodiskError for students that are not complete, and for a hole in the isolation."""
    for warning in made.warnings:
        ui.say(f"warning: {warning}")
    if output == "json":
        failed = {label: str(error) for label, error in made.failed.items()}
        ui.print_json(
            {
                "class": made.record.name,
                "students": [{"name": s.name, "namespace": made.record.namespace(s)} for s in made.record.students],
                "credentials_made": made.made,
                "handouts": str(made.zip),
                "failed": failed,
                "isolation": [finding.to_json() for finding in made.findings],
            }
        )
    else:
        students(made.record, made.record.students, output)
    ui.say(f"created {made.made} credentials; handouts: {made.zip}")
    actions.raise_first(made.failed)
    if output == "json":
        judge(made.findings)
    elif made.findings:
        findings(made.findings, output)


@contextlib.contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr; yields what to call after each of ``total``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ui.console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
