"""A machine's page: what its node is like, which pods are on it, and where its RAM is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nodisk.check import ram as budgets
from nodisk.classes import record
from nodisk.console import rights
from nodisk.console.common import Console
from nodisk.console.rights import Right
from nodisk.errors import NodiskError
from nodisk.machines.status import Row
from nodisk.records.console_access import Entry


async def values(console: Console, session: Entry, row: Row) -> dict[str, Any]:
    """What the page shows of it. Whose pods are there is for administrators: a pod's name is its student's own."""
    name = str(row.machine.name)
    expected = await asyncio.to_thread(_expected, console, name) if row.ram else {}
    found: dict[str, Any] = {"ram": ram(row.ram or {}, expected), "loaded": row.loaded, "on_node": None}
    if row.node is None or not rights.may(session.role, Right.CARE):
        return found
    try:
        classes = record.load_all(console.context.state)
        async with console.asking:
            found["on_node"] = await asyncio.to_thread(console.on_node, console.context, name, classes)
    except NodiskError:
        pass  # the page says elsewhere that the API is away
    return found


def ram(mib: Mapping[str, int], expected: Mapping[str, int]) -> list[tuple[str, int, int | None]]:
    """Kinds of use: MiB as measured, and as the budget expects them (None: it has no such kind). Pure.

    The total and what is available come first, then the largest.
    """
    heads = [kind for kind in ("total", "available") if kind in mib]
    rest = sorted(mib.keys() - heads, key=lambda kind: (-mib[kind], kind))
    return [(kind, mib[kind], expected.get(kind)) for kind in (*heads, *rest)]


def _expected(console: Console, name: str) -> dict[str, int]:
    """What the budget of ``nodisk check`` expects of a machine, by kind."""
    try:
        found = next(one for one in budgets.budgets(console.context.state.state, console.lab) if one.name == name)
    except (NodiskError, StopIteration):
        return {}
    return {row.kind: row.used for row in found.rows} | {"total": found.total, "available": found.free}
