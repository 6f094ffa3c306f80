"""Running the official image's suite in pods of the cluster: a pod for a piece, its files fetched when it has ended."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from nodisk.assets.container_images import ECHO
from nodisk.conformance import cleanup, ginkgo2, official_pod, results
from nodisk.conformance.official_pod import ACCOUNT, BINDING, NAMESPACE, RBAC, State
from nodisk.conformance.specs import Spec
from nodisk.conformance.suite import Ended, ended
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, TimedOut
from nodisk.kube import exec as execs
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError, BadRequest, NotFound
from nodisk.waiting import Deadline, until

MAX_LOG = 64 * 1024**2
MAX_PRINTED = max(MAX_LOG, results.MAX_JUNIT + 1)
"""Bytes of a piece's log that are kept: its last ones. Eight specs print some megabytes."""
START = 20 * 60.0
"""Seconds in which a pod must begin: its image has hundreds of megabytes."""
LOST = 10 * 60.0
"""Seconds for which a pod's machine may be silent, as it is while it boots."""
LATE = 5 * 60.0
"""Seconds after Ginkgo's own time-out that the suite has to end by itself."""
_LOOK = 2.0
_FETCHES, _PAUSE = 3, 5.0
_TOKEN = 3600


@dataclass(frozen=True, slots=True)
class Pods:
    """What runs pieces in pods of a cluster."""

    context: LabContext
    client: Client
    image: str
    """The official one, by its digest."""
    keeper: str = ECHO
    """Of the container that keeps the results; it has ``sleep``, ``head`` and ``tail``."""
    procs: int = 1
    """Specs at once, of those that allow it."""
    stretch: float = 1.0
    """Time-outs are so many times as long as usual."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self, piece: Sequence[Spec]) -> Ended:
        """Run these specs to their end. Raises EnvironmentProblem if their pod doesn't begin."""
        procs = 1 if piece[0].apart else min(self.procs, len(piece))
        seconds = official_pod.limit(piece, procs=procs, stretch=self.stretch)
        name = f"suite-{next(self.numbers)}"
        for one in official_pod.surroundings():
            self.client.apply(one)
        told = official_pod.environment(piece, procs=procs, stretch=self.stretch)
        self.client.create(
            official_pod.pod(name, image=self.image, keeper=self.keeper, environment=told, seconds=seconds)
        )
        how = self._wait(name, seconds + LATE * self.stretch)
        junit, log = self._files(name)
        # Ctrl-C comes here no more than an error does: ``remove`` then deletes the pod, with all that is around it.
        self.client.delete("v1", "Pod", name, namespace=NAMESPACE, grace=0)
        return ended(piece, junit, log.decode(errors="replace"), how, read=ginkgo2.parse)

    def _wait(self, name: str, limit: float) -> str:
        """Wait until a pod's suite has ended; returns how, in words."""
        deadline, silence = Deadline(START * self.stretch), Deadline(None)
        begun = False
        while (pod := self._pod(name)) is not None:
            seen = official_pod.look(pod)
            if seen.state is State.ENDED:
                return seen.words
            if seen.state is not State.WAITING and not begun:
                begun = True
                deadline.start(limit)
            if seen.state is not State.LOST:
                silence.start(None)
            elif silence.passed:
                return "its machine does not answer"
            elif silence.left > LOST:
                silence.start(LOST)
            if not deadline.pause(_LOOK):
                if begun:
                    return f"it still ran after {limit:.0f} s"
                raise EnvironmentProblem(
                    f"the suite's pod does not begin: {seen.words}",
                    hint=f"nodisk kubectl describe pods -n {NAMESPACE} tells more while the command waits",
                )
        return "its pod was deleted"

    def _pod(self, name: str) -> Object | None:
        try:
            return self.client.get("v1", "Pod", name, namespace=NAMESPACE)
        except NotFound:
            return None

    def _files(self, name: str) -> tuple[bytes | None, bytes]:
        """The JUnit and the log of a pod's suite, as far as they can be had."""
        try:
            token, _ = self.client.token(NAMESPACE, ACCOUNT, seconds=_TOKEN)
        except NotFound:
            return None, b""
        # One byte more than is read, so that a file that is too long is not taken for a whole one.
        junit = self._fetch(token, name, ["head", "-c", str(results.MAX_JUNIT + 1), official_pod.JUNIT])
        log = self._fetch(token, name, ["tail", "-c", str(MAX_LOG), official_pod.LOG])
        return junit, log or b""

    def _fetch(self, token: str, pod: str, words: Sequence[str]) -> bytes | None:
        """What a command on one of the files prints; None if there is no such file, or none can be had."""
        command = [*words[:-1], f"{official_pod.FOLDER}/{words[-1]}"]
        pause = Deadline()
        for left in reversed(range(_FETCHES)):
            try:
                status, data = asyncio.run(_printed(self.context, token, pod, command))
            except (BadRequest, NotFound):
                return None  # the pod, or the container that keeps the files, is gone
            except ApiError:
                status, data = None, b""
            if status is not None:
                return data if status == 0 else None
            if left:
                pause.pause(_PAUSE)
        return None


async def _printed(context: LabContext, token: str, pod: str, command: Sequence[str]) -> tuple[int | None, bytes]:
    """A command's exit status (None: the connection broke) and what it has printed."""
    printed = bytearray()
    async with execs.opened(
        context, token, NAMESPACE, pod, command, tty=False, container=official_pod.KEEPER
    ) as process:
        while isinstance(found := await process.read(), bytes):
            printed += found
            if len(printed) > MAX_PRINTED:
                return 1, b""  # not what was asked for
    return found.status, bytes(printed)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps a cluster as it was before a run: first the suite's own pods end, which would go on making objects."""

    client: Client
    others: cleanup.Keeper
    """For what specs left."""

    def begin(self) -> None:
        """Remove what a killed run left, and remember what is there now. Raises TimedOut, IntegrityError."""
        stop(self.client)
        self.others.tidy()  # an APIService of the suite's that nobody answers keeps namespaces from going
        remove(self.client, say=self.others.say)
        self.others.begin()

    def end(self) -> None:
        """Remove what this run left. Raises TimedOut; then, too, the next run goes on with it."""
        stop(self.client)
        self.others.end()
        remove(self.client, say=self.others.say)


def stop(client: Client) -> None:
    """End the suite's pods: first their rights, so that one whose end takes seconds makes nothing new."""
    client.delete(RBAC, "ClusterRoleBinding", BINDING)
    for pod in client.list("v1", "Pod", namespace=NAMESPACE, metadata_only=True):
        # At once: a machine that is off would never confirm it.
        client.delete("v1", "Pod", pod["metadata"]["name"], namespace=NAMESPACE, grace=0)


def remove(client: Client, *, limit: float = cleanup.REMOVAL, say: Callable[[str], None] = lambda _: None) -> None:
    """Remove the namespace of the suite's pods, which have been stopped; wait until it is gone. Raises TimedOut."""
    if client.delete("v1", "Namespace", NAMESPACE):
        say(f"removing the namespace {NAMESPACE}")
    if not until(lambda: _is_gone(client), Deadline(limit), every=0.5):
        raise TimedOut(
            f"the namespace {NAMESPACE} is still there after {limit:g} s",
            hint=f"nodisk kubectl get namespace {NAMESPACE} -o yaml says what holds it",
        )


def _is_gone(client: Client) -> bool:
    try:
        client.get("v1", "Namespace", NAMESPACE)
    except NotFound:
        return True
    return False
