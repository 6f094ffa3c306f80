"""From which release of Kubernetes to which other a cluster may go. Pure.

Source: Kubernetes' version skew policy (kubernetes.io/releases/version-skew-policy): API servers are upgraded one minor
release at a time; a kubelet is never newer than its API server, and at most three minor releases older (two before
1.28). A minor release back is no upgrade: the older API server may not be able to read what the newer one wrote.
"""

from __future__ import annotations

from nodisk.values import KubeVersion

_KUBELET_1_28 = 3
_KUBELET_BEFORE = 2


def problem(running: KubeVersion, wanted: KubeVersion) -> str | None:
    """Why a cluster that runs one release can't go to another in one step; None if it can."""
    if wanted.line < running.line:
        return f"Kubernetes can't go back from {running} to {wanted}: the older API server may not read what is in etcd"
    steps = path(running, wanted)
    if len(steps) > 1:
        return f"from Kubernetes {running} to {wanted} skips {_listed(steps[:-1])}: API servers go one minor at a time"
    return None


def path(running: KubeVersion, wanted: KubeVersion) -> tuple[KubeVersion, ...]:
    """The releases on the way, one minor release a step; the last one is ``wanted``. Empty where nothing is to do.

    Another patch release of the same line is one step, also backwards. Across a major release only one step is known.
    """
    if wanted == running or wanted.line < running.line or wanted == KubeVersion(*running.line):
        return ()
    between = range(running.minor + 1, wanted.minor) if wanted.major == running.major else range(0)
    return (*(KubeVersion(running.major, minor) for minor in between), wanted)


def kubelet_problem(kubelet: KubeVersion, api: KubeVersion) -> str | None:
    """Why a kubelet can't work with an API server of another release; None if it can."""
    if kubelet.line > api.line:
        return f"kubelet {kubelet} is newer than the API server {api}"
    may = _KUBELET_1_28 if api.line >= (1, 28) else _KUBELET_BEFORE
    if kubelet.major != api.major or api.minor - kubelet.minor > may:
        return f"kubelet {kubelet} is more than {may} minor releases older than {api}"
    return None


def _listed(steps: tuple[KubeVersion, ...]) -> str:
    return ", ".join(str(step) for step in steps)
