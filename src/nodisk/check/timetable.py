"""Whether the timetable can be kept: who switches the room, what switches its machines, and what the clock shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from nodisk.check.findings import Finding, ok, warning
from nodisk.records.turns import Plan
from nodisk.server import unit
from nodisk.spec.model import Lab

_NAME = "timetable"


def timetable(lab: Lab, file: Path, *, virtual: bool, service: unit.Service | None = None) -> list[Finding]:
    """What stands in the way of the lessons of lab.yaml (``file``); nothing if it has no timetable."""
    if lab.timetable is None:
        return []
    plan = Plan.of(lab.timetable)
    found = [] if virtual else [*_service(file, service or unit.Service()), *_power(lab)]
    found += _clock(plan.where, named=lab.timetable.timezone is not None)
    return found or [ok(_NAME, _next(plan))]


def _service(file: Path, service: unit.Service) -> Iterator[Finding]:
    hint = f"nodisk service install --lab {file}"
    try:
        text = service.path.read_text(encoding="utf-8")
    except OSError:
        yield warning(
            _NAME, "the server is not installed as a service: after a restart, nothing runs the timetable", hint
        )
        return
    if unit.quote(str(file)) not in text:
        yield warning(_NAME, f"the service that is installed serves another lab.yaml than {file}", hint)


def _power(lab: Lab) -> Iterator[Finding]:
    bare = [str(machine.name) for machine in lab.machines if "power" not in machine.model_fields_set]
    if bare:
        text = f"{_some(bare)}: no `power:`, so only Wake-on-LAN can switch them on, and nothing says that it works"
        hint = "try it: nodisk power on NAME; if it works, say `power: {kind: wake-on-lan}` in lab.yaml"
        yield warning(_NAME, text, hint)


def _clock(where: tzinfo, *, named: bool) -> Iterator[Finding]:
    if not named and str(where) in ("UTC", "Etc/UTC", "local time"):
        text = f"the lessons are in the server's own time zone, which is {where}"
        yield warning(_NAME, text, "timetable: {timezone: Europe/Warsaw} in lab.yaml, or timedatectl set-timezone")


def _next(plan: Plan) -> str:
    found = plan.next(datetime.now(UTC), None)
    return "there are no more lessons" if found is None else f"the room is next switched {found.words(plan.where)}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:3])} and {len(names) - 3} more"
