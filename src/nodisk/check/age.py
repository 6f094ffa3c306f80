"""How old the packages of the node image are: machines get security updates only by a new image."""

from __future__ import annotations

import time
from datetime import datetime

from nodisk.assets import built
from nodisk.check.findings import Finding, ok, warning
from nodisk.errors import NodiskError
from nodisk.spec.model import Lab
from nodisk.state import State

OLD = 30 * 86400.0
"""Seconds. Debian's security team publishes some fix nearly every day."""
_NAME = "image"


def image(state: State, lab: Lab, *, now: float | None = None) -> list[Finding]:
    """The age of the built image; its packages are those that the mirror had then."""
    try:
        made = built.manifests(state, lab)["image"]
        age = (time.time() if now is None else now) - datetime.fromisoformat(made.made).timestamp()
    except NodiskError:
        return [ok(_NAME, "not built yet, or not for this lab.yaml")]
    except ValueError:
        return [warning(_NAME, "the store doesn't say when the image was made", "run: nodisk build --refresh")]
    days = max(0, int(age // 86400))
    text = f"its {len(made.facts.get('packages', ()))} packages are as the mirror had them {_ago(days)}"
    if age > OLD:
        return [warning(_NAME, text, "nodisk build --refresh gets security updates; then docs/how-to/upgrade.md")]
    return [ok(_NAME, text)]


def _ago(days: int) -> str:
    return "today" if days == 0 else "a day ago" if days == 1 else f"{days} days ago"
