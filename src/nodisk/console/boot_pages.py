"""What a machine's page shows of its next boot; ``switch_pages`` has the way to choose another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nodisk.console.common import Console
from nodisk.machines import next_boot
from nodisk.spec import menu
from nodisk.spec.model import Machine


def chosen(console: Console, machines: Sequence[Machine]) -> list[str]:
    """What was chosen for the next boot of each, in words; '' for nothing."""
    wishes = console.database.next_boots.all()
    found = (wishes.get(one.mac) for one in machines)
    return ["" if wish is None else next_boot.shown(console.lab, wish) for wish in found]


def values(console: Console, machine: Machine) -> dict[str, Any]:
    """What was chosen for its next boot, what it starts otherwise, and what can be chosen."""
    return {
        "next_boot": chosen(console, [machine])[0],
        "default": menu.choice(console.lab, machine).default,
        "entries": menu.names(console.lab),
    }
