"""How old the packages of the node image are, and which machines run another image than the built one.

Machines get security updates only by a new image, and a new image only by a boot.
"""

from __future__ import annotations

import time
from datetime import datetime

from nodisk.assets import built, holds
from nodisk.check.findings import Finding, ok, warning
from nodisk.errors import NodiskError
from nodisk.records.database import Database
from nodisk.spec.model import Lab
from nodisk.state import State

OLD = 30 * 86400.0
"""Seconds. Debian's security team publishes some fix nearly every day."""
_NAME = "image"
_SCRIPTS = ("script", "grub")
"""What iPXE and GRUB get, as the server records it."""


def image(state: State, lab: Lab, *, now: float | None = None) -> list[Finding]:
    """The age of the built image, whose packages are those that the mirror had then; machines that booted another."""
    try:
        made = built.manifests(state, lab)["image"]
        held = holds.read(state.lab(str(lab.name)))
        kept = [str(machine.name) for machine in lab.machines if machine.mac in held.machines]
        others = [name for name in behind(state, lab, built.facts(state, lab)[0].rootfs.sha256) if name not in kept]
        age = (time.time() if now is None else now) - datetime.fromisoformat(made.made).timestamp()
    except NodiskError:
        return [ok(_NAME, "not built yet, or not for this lab.yaml")]
    except ValueError:
        return [warning(_NAME, "the store doesn't say when the image was made", "run: nodisk build --refresh")]
    days = max(0, int(age // 86400))
    text = f"its {len(made.facts.get('packages', ()))} packages are as the mirror had them {_ago(days)}"
    found = [ok(_NAME, text)]
    if age > OLD:
        found = [warning(_NAME, text, "nodisk build --refresh gets security updates; then docs/how-to/upgrade.md")]
    if others:
        hint = "from their next boot on they have it: nodisk arm, then nodisk power cycle NAME --drain"
        found.append(warning(_NAME, f"last booted another image than the built one: {', '.join(others)}", hint))
    if kept:
        hint = "nodisk hold says which; nodisk hold NAME --lift lets one go"
        found.append(warning(_NAME, f"held at an earlier build, whatever is built: {', '.join(kept)}", hint))
    return found


def booted(state: State, lab: Lab) -> dict[str, str]:
    """By machine: the boot script of the lab that it last got, in which the rootfs is named by its hash.

    Of a machine that never asked for one it is empty.
    """
    with Database(state.lab(str(lab.name)).database, reading=True) as database:
        got = {str(machine.name): database.served(machine.mac) for machine in lab.machines}
    return {name: "".join(texts.get(part, "") for part in _SCRIPTS) for name, texts in got.items()}


def behind(state: State, lab: Lab, rootfs: str) -> list[str]:
    """Names of machines whose last boot script of the lab named another rootfs than the one with this hash.

    A machine that never asked for one is not among them.
    """
    return [name for name, text in booted(state, lab).items() if text and rootfs not in text]


def _ago(days: int) -> str:
    return "today" if days == 0 else "a day ago" if days == 1 else f"{days} days ago"
