"""Running pieces of the suite so that pods which are not its own stay where they are.

Two kinds of conformance specs can take running pods away from others:

- ``NoExecuteTaintManager`` puts the taint ``kubernetes.io/e2e-evict-taint-key`` on a node, for half a minute or less;
  every pod there that doesn't tolerate it is deleted. So all pods but the suite's get a toleration of just that taint
  while such a spec runs: those that are there before it begins, those that come as soon as they are seen. The API
  allows to add tolerations to a running pod, not to take them away: they stay on it, and mean nothing to anybody else.
- ``SchedulerPreemption`` has pods of priority 1 to 1,000 and a critical one; a student's has 0. They ask for a
  resource that only they use, and the scheduler takes no pod away that doesn't help: it puts back each one beside which
  the new pod still fits. That leaves places: on a node that has as many pods as it may, one of them would have to go.
  So such a spec doesn't begin while any node is nearly full.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nodisk.conformance import neighbours
from nodisk.conformance.cleanup import leftovers
from nodisk.conformance.results import Outcome, Result
from nodisk.conformance.runner import Runs
from nodisk.conformance.specs import Spec
from nodisk.conformance.suite import Ended
from nodisk.errors import NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Invalid, NotFound

EVICTS, PREEMPTS = "NoExecuteTaintManager", "SchedulerPreemption"
"""Words in the names of those specs."""
TAINT = "kubernetes.io/e2e-evict-taint-key"
TOLERATION = {"key": TAINT, "operator": "Exists", "effect": "NoExecute"}
EVERY = 0.5
"""Seconds between two looks for new pods."""
_TRIES = 5


class Sparing:
    """Runs pieces as another does, and lets nobody else's pods be taken away meanwhile."""

    def __init__(self, suite: Runs, client: Client) -> None:
        self._suite, self._client = suite, client

    def run(self, piece: Sequence[Spec]) -> Ended:
        """Run them to their end; those that would push others' pods aside stay undecided, and say so."""
        with contextlib.ExitStack() as stack:
            if any(EVICTS in spec.name for spec in piece):
                stack.enter_context(_tolerating(self._client))
            if any(PREEMPTS in spec.name for spec in piece) and (
                full := neighbours.full(self._client.list("v1", "Pod"), self._client.list("v1", "Node"))
            ):
                return self._without(piece, full)
            return self._suite.run(piece)

    def _without(self, piece: Sequence[Spec], full: Sequence[str]) -> Ended:
        """Run those of a piece that push nobody aside."""
        why = (
            f"not run: {', '.join(full)} has fewer than {neighbours.PLACES} places left for pods, and this spec's have "
            "a priority by which others would lose theirs; --resume runs it once there is room"
        )
        rest = [spec for spec in piece if PREEMPTS not in spec.name]
        done = self._suite.run(rest) if rest else Ended((), None, "")
        held = tuple(Result(spec.name, Outcome.UNDECIDED, text=why) for spec in piece if spec not in rest)
        return Ended((*done.results, *held), done.junit, done.log)


@contextlib.contextmanager
def _tolerating(client: Client) -> Iterator[None]:
    """While it lasts, all pods but the suite's tolerate the taint of its specs. Raises ApiError."""
    over = threading.Event()

    def again() -> None:
        while not over.wait(EVERY):
            with contextlib.suppress(NodiskError):  # the API may be away for a moment; the spec will say so
                tolerate(client)

    for _ in range(_TRIES):
        if not tolerate(client):
            break
    follower = threading.Thread(target=again)
    follower.start()
    try:
        yield
    finally:
        over.set()
        follower.join()


def tolerate(client: Client) -> int:
    """Give the toleration to each pod that lacks it and isn't the suite's; returns how many lacked it."""
    pods = client.list("v1", "Pod")  # first: a namespace that the suite makes meanwhile is known to be its own
    own = {one["metadata"]["name"] for one in leftovers(client)}
    lacking = [pod for pod in pods if pod["metadata"]["namespace"] not in own and lacks(pod)]
    for pod in lacking:
        meta = pod["metadata"]
        # In front: of a pod's tolerations of a taint the first counts, and one may end after some seconds.
        change = {"spec": {"tolerations": [TOLERATION, *_tolerations(pod)]}}
        # Invalid: somebody else added one at the same moment, and none may be taken away. It is tried again.
        with contextlib.suppress(NotFound, Invalid):
            client.patch("v1", "Pod", meta["name"], change, namespace=meta["namespace"])
    return len(lacking)


def lacks(pod: Object) -> bool:
    """Whether the taint would end a pod. Pure."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    first = next(filter(_tolerates, _tolerations(pod)), None)
    return not ended and (first is None or first.get("tolerationSeconds") is not None)


def _tolerates(one: Mapping[str, Any]) -> bool:
    key = one.get("key", "")
    named = (not key or key == TAINT) and one.get("operator") == "Exists"
    return named and one.get("effect", "NoExecute") in ("", "NoExecute")


def _tolerations(pod: Object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (pod.get("spec") or {}).get("tolerations") or []
    return found
