"""Compare the machines' clocks with the server's, without a pod: kubelet renews its Lease with its own clock's time."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime

from nodisk.kube.watch import wait_for
from nodisk.verify.core import Failed
from nodisk.verify.scene import Scene

ALLOWED = 2.0
"""Seconds. Tokens and certificates of a machine whose clock is behind are refused; logs mislead long before."""

SURE = 0.5
"""Seconds. A renewal that seems off by no more than this needs no second one."""

ENOUGH = 6
"""Renewals after which a clock that still seems wrong is wrong: not all of them can have been late."""


def watch(scene: Scene) -> None:
    """Start listening while other checks run: kubelet renews its Lease every ten seconds."""
    names = {str(machine.name) for machine in scene.context.lab.machines}
    scene.begin("clock", lambda: _listen(scene, names, _longest(scene)))


def _longest(scene: Scene) -> float:
    return 30.0 * scene.pace


def _listen(scene: Scene, names: set[str], seconds: float) -> dict[str, float]:
    """Node → seconds that its clock is ahead of this host's; nodes that don't renew within ``seconds`` are absent.

    A renewal arrives after it was written, so a clock seems to be behind by the API's latency at that moment: of
    several renewals the one that seems least behind is nearest to the truth.
    """
    ahead: dict[str, float] = {}
    first: dict[str, str] = {}
    heard: Counter[str] = Counter()
    for event in wait_for(
        scene.client, "coordination.k8s.io/v1", "Lease", namespace="kube-node-lease", seconds=seconds
    ):
        name, now = event.object["metadata"]["name"], time.time()
        renewed = (event.object.get("spec") or {}).get("renewTime")
        if name not in names or renewed is None:
            continue
        # The first is as it was when the watch began: nobody knows how old.
        if first.setdefault(name, renewed) != renewed:
            seen = datetime.fromisoformat(renewed).timestamp() - now
            ahead[name] = max(seen, ahead.get(name, seen))
            heard[name] += 1
            if all(heard[name] >= ENOUGH or (heard[name] and abs(ahead[name]) <= SURE) for name in names):
                break
    return ahead


def clocks(scene: Scene) -> list[str]:
    """Renewals of each node's Lease: the time in them against the time of their arrival."""
    allowed = ALLOWED + 0.25 * (scene.pace - 1)
    machines = {str(machine.name) for machine in scene.context.lab.machines}
    ahead: dict[str, float] = scene.pending["clock"].result(_longest(scene) + 60)
    wrong = {name: value for name, value in ahead.items() if abs(value) > allowed}
    if wrong:
        worst = max(sorted(wrong), key=lambda name: abs(wrong[name]))
        raise Failed(
            *(f"{name}: its clock is {_say(value)}" for name, value in sorted(wrong.items())),
            cause=f"{worst}'s clock is wrong: it doesn't follow the server's time",
            look=f"nodisk ssh {worst} timedatectl timesync-status",
        )
    if missing := sorted(machines - ahead.keys()):
        raise Failed(
            f"no sign of life from {', '.join(missing)}: the Lease was not renewed",
            cause=f"kubelet on {missing[0]} is stopped, or the machine is off",
            look=f"nodisk ssh {missing[0]} systemctl status kubelet",
        )
    return [f"{name}: {_say(value)} (at most {allowed:.1f} s are allowed)" for name, value in sorted(ahead.items())]


def _say(ahead: float) -> str:
    return f"{abs(ahead):.2f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
