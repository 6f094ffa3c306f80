"""What a machine's page shows of its next boot; ``switch_pages`` has the way to choose another."""

from __future__ import annotations

from typing import Any

from nodisk.console.common import Console
from nodisk.machines import next_boot
from nodisk.spec import menu
from nodisk.spec.model import Machine


def values(console: Console, machine: Machine) -> dict[str, Any]:
    """What was chosen for its next boot, what it starts otherwise, and what can be chosen."""
    wish = console.database.next_boots.all().get(machine.mac)
    return {
        "next_boot": "" if wish is None else next_boot.shown(console.lab, wish),
        "default": menu.choice(console.lab, machine).default,
        "entries": menu.names(console.lab),
    }
