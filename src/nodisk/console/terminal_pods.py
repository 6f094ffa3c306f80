"""Students' terminals in the cluster: their pods, and shells in them, under the students' own rights.

The administrator's rights make one thing here, a student's short-lived token; all else is asked for with that token, so
that quota, LimitRange, Pod Security and RBAC hold for a terminal as for everything that the student makes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from nodisk.assets import built, terminal_image
from nodisk.classes import handouts, own, record, terminal
from nodisk.classes.record import Account, Class
from nodisk.classes.troubles import troubles
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.kube import exec as execs
from nodisk.kube import kubeconfig
from nodisk.kube.channels import Outcome
from nodisk.kube.client import Client, Object, connect
from nodisk.kube.errors import AlreadyExists, ApiError, Forbidden, NotFound, Unreachable
from nodisk.waiting import Deadline

PATIENCE = 300.0
"""Seconds for a pod to run; its image comes from the server, in seconds, and to an emulated machine in minutes."""
LOOK = 1.0
"""Seconds between two looks at a pod that is not ready."""
FRUITLESS = 60.0
"""Seconds after which what fails is not waited for any more. Kubelets try again, and first failures pass."""

Say = Callable[[str, str], Awaitable[None]]
"""Tells the student how it goes: a sentence in English, and what Kubernetes says."""

NO_ROOM = "Your quota has no room for a terminal. Delete something that you don't need."
REFUSED = "The cluster refuses a terminal."
AWAY = "The cluster does not answer."
FOREIGN = "You have a pod called terminal that is not the door's. Delete it or give it another name."
PENDING = "The terminal's pod does not start."
NO_MACHINE = "No machine has room for the terminal now. It starts as soon as one has."
LATE = "The terminal's pod took too long to start."
STARTING = "The terminal starts …"
KEY = "The terminal could not get its key."
NOT_BUILT = "This lab has no image for terminals. Its administrator can build one: nodisk build."


class NoTerminal(NodiskError):
    """There is no terminal now. ``message``: one of the sentences above; ``detail``: what Kubernetes says of it."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.detail = detail


class Shell(Protocol):
    """A shell that runs: bytes in, bytes out."""

    async def read(self) -> bytes | Outcome:
        """What it says next, or how it ended."""

    async def write(self, data: bytes) -> None:
        """Type that."""

    async def resize(self, columns: int, rows: int) -> None:
        """Its window has another size."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A terminal's pod that runs."""

    container: str
    """Which container: the shells of another are gone."""
    token: str
    """The student's, for the shell."""
    life: float = own.SHELL_KEY
    """Seconds for which that is good."""


class Pods(Protocol):
    """Where terminals run."""

    async def prepare(self, found: Class, student: Account, say: Say) -> Ready:
        """Make the student's pod if there is none, wait until it runs, and give it a new key. Raises NoTerminal."""

    def shell(self, found: Class, student: Account, ready: Ready) -> contextlib.AbstractAsyncContextManager[Shell]:
        """The shell in it, a new one or the one that was there; entering raises NoTerminal."""

    async def renew(self, found: Class, student: Account) -> float:
        """Give the pod that runs a new key; returns for how many seconds that is good. Raises NoTerminal."""

    async def remove(self, found: Class, student: Account) -> None:
        """Delete the student's pod, if there is one. Raises NodiskError."""


@dataclass(frozen=True, slots=True)
class InCluster:
    """The real ones."""

    context: LabContext
    gate: asyncio.Semaphore
    """Held while the API is asked for one."""

    async def prepare(self, found: Class, student: Account, say: Say) -> Ready:
        """As Pods says."""
        if not await asyncio.to_thread(_built, self.context):
            raise NoTerminal(NOT_BUILT)
        with _said():
            async with self.gate:
                token, life = await asyncio.to_thread(self._token, found, student)
            with connect(self.context, patience=0.0, within=PATIENCE + 60) as admin:
                container = await self._running(admin.with_token(token), found, student, say)
            await self._give_key(found, student, token)
        return Ready(container, token, life)

    @contextlib.asynccontextmanager
    async def shell(self, found: Class, student: Account, ready: Ready) -> AsyncIterator[Shell]:
        """As Pods says."""
        space = found.namespace(student)
        async with contextlib.AsyncExitStack() as stack:
            with _said():
                shell = await stack.enter_async_context(
                    execs.opened(self.context, ready.token, space, terminal.NAME, terminal.SHELL, tty=True)
                )
            yield shell

    async def renew(self, found: Class, student: Account) -> float:
        """As Pods says; shells that run go on, since the API server has let them in by the key before."""
        with _said():
            async with self.gate:
                token, life = await asyncio.to_thread(self._token, found, student)
            await self._give_key(found, student, token)
        return life

    def _token(self, found: Class, student: Account) -> tuple[str, int]:
        now = record.load(self.context.state, found.name) or found  # its end may have been moved
        return own.token(self.context, now, student, own.SHELL_KEY), own.life(now, own.SHELL_KEY)

    async def remove(self, found: Class, student: Account) -> None:
        """As Pods says; by the administrator, for the student's rights may have ended."""
        await asyncio.to_thread(self._remove, found.namespace(student))

    def _remove(self, space: str) -> None:
        with connect(self.context, patience=0.0, within=own.WITHIN) as admin:
            _delete(admin, space)

    async def _running(self, client: Client, found: Class, student: Account, say: Say) -> str:
        said, space = ("", ""), found.namespace(student)
        deadline, fruitless = Deadline(PATIENCE), Deadline(FRUITLESS)
        while True:
            async with self.gate:
                pod = await asyncio.to_thread(_make, client, terminal.pod(found, student))
            if pod is not None and (container := terminal.running(pod)):
                return container
            now = (STARTING, "")
            if pod is not None and (why := await asyncio.to_thread(_why, client, space, pod)):
                now = (PENDING, why)
                if fruitless.passed:
                    raise NoTerminal(NO_MACHINE if terminal.is_unplaced(pod) else PENDING, why)
            if now != said:
                said = now
                await say(*now)
            if pod is not None and fruitless.passed and (pod.get("status") or {}).get("phase") == "Running":
                # It ran, and is not Ready any more: its machine is gone, and the cluster waits minutes for it.
                await asyncio.to_thread(_delete, client, space, uid=pod["metadata"]["uid"])
            if not await deadline.pause_async(LOOK):
                raise NoTerminal(LATE, said[1])

    async def _give_key(self, found: Class, student: Account, token: str) -> None:
        """Write the student's kubeconfig into the pod's memory, by the standard input of a command."""
        admin = kubeconfig.load(kubeconfig.of_admin(self.context.state))
        text = handouts.config(self.context, admin, found, student, token=token).encode()
        command = terminal.key_command(len(text))
        async with asyncio.timeout(execs.WITHIN * 2):
            async with execs.opened(
                self.context, token, found.namespace(student), terminal.NAME, command, tty=False
            ) as running:
                await running.write(text)
                outcome, said = await running.finish()
        if outcome.status != 0:
            raise NoTerminal(KEY, said.decode(errors="replace")[:200] or outcome.message)


def _built(context: LabContext) -> bool:
    """Whether the lab's build has the image; one from before nodisk had terminals hasn't."""
    try:
        return terminal_image.KIND in built.manifests(context.state.state, context.lab)
    except NodiskError:
        return True  # what is wrong with the build says who needs it


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """What goes wrong with the cluster, as NoTerminal."""
    try:
        yield
    except NoTerminal:
        raise
    except (Unreachable, TimeoutError) as error:
        raise NoTerminal(AWAY, str(error)) from error
    except Forbidden as error:
        raise NoTerminal(REFUSED, error.message) from error
    except ApiError as error:
        raise NoTerminal(AWAY if error.status >= 500 else REFUSED, error.message) from error
    except NodiskError as error:
        raise NoTerminal(AWAY, error.message) from error


def _make(client: Client, wanted: Object) -> Object | None:
    """The pod as it is, made now if there was none; None: another one is on its way out."""
    space = wanted["metadata"]["namespace"]
    try:
        there = client.get("v1", "Pod", terminal.NAME, namespace=space)
    except NotFound:
        try:
            return client.create(wanted)
        except AlreadyExists:  # by another browser of the same student
            return None
        except Forbidden as error:
            if "exceeded quota" not in error.message:
                raise
            names = sorted(pod["metadata"]["name"] for pod in client.list("v1", "Pod", namespace=space))
            raise NoTerminal(NO_ROOM, f"{error.message}; pods: {', '.join(names[:20]) or 'none'}") from error
    if not terminal.is_ours(there):
        raise NoTerminal(FOREIGN)
    if terminal.is_over(there):
        _delete(client, space, uid=there["metadata"]["uid"])
        return None
    return there


def _delete(client: Client, space: str, *, uid: str | None = None) -> None:
    client.delete("v1", "Pod", terminal.NAME, namespace=space, grace=0, uid=uid)


def _why(client: Client, space: str, pod: Object) -> str:
    """What keeps the pod from running, in words; '' while nothing is known to."""
    events = client.list("v1", "Event", namespace=space, fields=f"involvedObject.name={terminal.NAME},type=Warning")
    found = troubles([pod], events, now=datetime.now(UTC))
    return "; ".join(f"{one.words} ({one.hint})" if one.hint else one.words for one in found)[:600]
