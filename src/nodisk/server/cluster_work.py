"""What the server does for a lab with a cluster beside running its daemons, for one version of lab.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from nodisk.plan import policy_rules
from nodisk.plan.daemons import Host
from nodisk.server import (
    addon_images,
    assets,
    class_registry_disk,
    metrics,
    names,
    nodes,
    pod_routes,
    policies,
    seed,
)
from nodisk.server.class_registry_garbage import Changes
from nodisk.server.rulesets import Rulesets
from nodisk.spec.model import Lab
from nodisk.state import LabState

Work = Callable[[], Coroutine[Any, Any, None]]
FOLLOW = ("watching nodes", "the cluster's names", "network policies")
"""Those that have threads, and end by themselves soon after ``stop``."""


class ClusterWork:
    """Fills the registry, watches nodes, keeps names, metrics and network policies."""

    def __init__(
        self,
        lab: Lab,
        place: Host,
        state: LabState,
        say: Callable[[str], None],
        *,
        rulesets: Rulesets,
        changes: Changes,
    ) -> None:
        """``changes``: to the class registry."""
        self._lab = lab
        self._state = state
        self._say = say
        self._place = place
        self._watcher = nodes.Watcher(lab, state)
        self._namer = names.Keeper(lab, state, place, say)
        self._rulesets = rulesets
        self._changes = changes
        self._policies = policies.Keeper(lab, state, rulesets, say)

    def tasks(self, found: assets.Built, *, own_names: bool) -> dict[str, Work]:
        """By description; none for a lab without a cluster. Each runs until it is cancelled."""
        if not self._lab.has_cluster:
            return {}
        return {
            "filling the registry": lambda: seed.fill(self._lab, self._state, found.container_images, self._say),
            "filling the registry for add-ons": lambda: addon_images.fill(self._lab, self._state, self._say),
            "watching nodes": self._watcher.run,
            "the cluster's metrics": lambda: metrics.keep(self._lab, self._state, self._say),
            **({"the class registry": self._class_registry} if self._lab.class_registry is not None else {}),
            **({"the cluster's names": self._namer.run} if own_names else {}),
            **({"routes to pods": self._routes} if own_names and self._lab.isolates_names else {}),
            **(
                {"network policies": self._policies.run}
                if self._lab.server_enforces
                else {"no network policies": self._no_policies}
            ),
        }

    async def _no_policies(self) -> None:
        """Machines that booted while the server enforced them still ask, and would keep what they have."""
        self._rulesets.publish({str(machine.name): policy_rules.absent() for machine in self._lab.machines})
        await asyncio.Event().wait()

    async def _routes(self) -> None:
        await pod_routes.keep(self._lab, self._place.interface, self._say)

    async def _class_registry(self) -> None:
        def namespaces() -> set[str]:
            with nodes.api(self._state) as client:
                return {one["metadata"]["name"] for one in client.list("v1", "Namespace", metadata_only=True)}

        await class_registry_disk.keep(self._state.class_registry, namespaces, self._say, self._changes.note)

    def stop(self) -> None:
        """End the watches, which block; the tasks are cancelled after it."""
        self._watcher.stop()
        self._namer.stop()
        self._policies.stop()
