"""Whose pods have which addresses, and which namespaces are no class's: what the names' gate must know."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodisk.kube.watch import Change, WatchEvent
from nodisk.plan import name_views
from nodisk.plan.policies import Pod, pod_of
from nodisk.plan.policy_rules import one_each
from nodisk.server.following import Key, key_of

CLASS = "nodisk.dev/class"
"""The label of a class's namespaces (``classes.manifests``)."""


@dataclass(slots=True)
class Audience:
    """The text of the views, from what a watch tells of pods and namespaces. Not for several threads."""

    _pods: dict[Key, Pod] = field(default_factory=dict)
    _spaces: dict[str, bool] = field(default_factory=dict)
    """Namespace → whether it is common."""
    _told: str | None = None

    def spaces(self) -> set[Key]:
        """The namespaces that are known."""
        return {("", name) for name in self._spaces}

    def common(self) -> frozenset[str]:
        """The namespaces that are no class's."""
        return frozenset(name for name, open_to_all in self._spaces.items() if open_to_all)

    def take_pod(self, event: WatchEvent) -> bool:
        """A change of a pod; what matters is whose it is and its address."""
        key = key_of(event.object)
        before = self._pods.pop(key, None)
        pod = None if event.change is Change.DELETED else pod_of(event.object)
        if pod is not None:
            self._pods[key] = pod
        return _of_interest(before) != _of_interest(pod)

    def take_space(self, event: WatchEvent) -> bool:
        """A change of a namespace; what matters is whether a class has it."""
        meta = event.object["metadata"]
        name = meta["name"]
        before = self._spaces.pop(name, None)
        if event.change is not Change.DELETED:
            self._spaces[name] = CLASS not in (meta.get("labels") or {})
        return self._spaces.get(name) != before

    def text(self) -> str | None:
        """The views, if they are others than at the last call."""
        text = name_views.render(self.common(), {pod.address: pod.namespace for pod in one_each(self._pods.values())})
        if text == self._told:
            return None
        self._told = text
        return text


def _of_interest(pod: Pod | None) -> object:
    return None if pod is None else (pod.address, pod.leaving, pod.born)
