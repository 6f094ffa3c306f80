"""Whether one student's pod reaches another's: tried with real pods, where there are nodes to run them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace

from nodisk.assets.container_images import ECHO, ECHO_PORT
from nodisk.classes.capacity import Enforcer
from nodisk.classes.selftest import REACH, Finding, Tester, untried
from nodisk.errors import NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError

START_WITHIN = 240.0
"""Seconds for a pod to run: without KVM a container's start alone takes some."""
TRY_WITHIN = 180.0
_ECHO, _PROBE = "nodisk-selftest-echo", "nodisk-selftest-probe"
REACHED, LOST = 10, 20
# The own pod first: who can't reach even that shows nothing by not reaching the other. busybox's nc has no -z: once
# it is connected it becomes `true`.
_SCRIPT = """\
n=0
until timeout 2 nc {own} {port} -e true; do n=$((n + 1)); [ $n -lt 20 ] || exit {lost}; sleep 1; done
for try in 1 2 3; do timeout 5 nc {other} {port} -e true && exit {reached}; done
exit 0
"""


def attempt(first: Tester, second: Tester, spaces: tuple[str, str], *, enforcer: Enforcer | None) -> Finding:
    """Run an echo pod in both students' namespaces (``spaces``), and a pod of the first that tries to reach them.

    With the students' own credentials and quotas. All three pods are deleted at the end.
    """
    who = first.account.label
    try:
        with _pods(first, second, spaces) as (own, other):
            script = _SCRIPT.format(own=own, other=other, port=ECHO_PORT, reached=REACHED, lost=LOST)
            first.client.create(_pod(_PROBE, spaces[0], ["sh", "-c", script]))
            status = _exit_status(first.client, spaces[0])
    except NodiskError as error:
        return untried(who, error.message)
    if status == 0:
        return Finding(who, REACH, "refused", "refused: three attempts of a pod timed out", "ok")
    if status == REACHED and enforcer is None:
        return Finding(who, REACH, "refused", "allowed: nothing in this cluster enforces NetworkPolicy", "gap")
    if status == REACHED:
        return Finding(who, REACH, "refused", f"allowed, although {enforcer} runs", "hole")
    return untried(
        who, "the pod did not reach its own neighbour either" if status == LOST else f"it ended with {status}"
    )


def settled(found: Finding, by: Enforcer | None) -> Finding:
    """What an attempt is worth, by who is there to enforce: two pods kept apart show nothing of the other nodes."""
    if found.verdict != "ok":
        return found
    if by is None:
        happened = f"{found.happened}, but nodisk knows nothing here that enforces NetworkPolicy"
        return replace(found, happened=happened, verdict="unsure")
    if by.missing:
        return replace(found, happened=f"{found.happened}, but {by.missing}", verdict="hole")
    return found


@contextlib.contextmanager
def _pods(first: Tester, second: Tester, spaces: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Both echo pods running; yields their addresses."""
    testers = list(zip((first, second), spaces, strict=True))
    try:
        for tester, space in testers:
            _delete(tester.client, space)
            tester.client.create(_pod(_ECHO, space, None))
        own, other = (_address(tester.client, space) for tester, space in testers)
        yield own, other
    finally:
        for tester, space in testers:
            with contextlib.suppress(ApiError):
                _delete(tester.client, space)


def _delete(client: Client, space: str) -> None:
    for name in (_ECHO, _PROBE):
        client.delete("v1", "Pod", name, namespace=space, grace=0)


def _pod(name: str, space: str, command: list[str] | None) -> Object:
    container: Object = {"name": "main", "image": ECHO}
    if command is not None:
        container["command"] = command
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": {"app": name}},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
        },
    }


def _address(client: Client, space: str) -> str:
    deadline = time.monotonic() + START_WITHIN
    while True:
        status = client.get("v1", "Pod", _ECHO, namespace=space).get("status") or {}
        if status.get("phase") == "Running" and status.get("podIP"):
            return str(status["podIP"])
        if status.get("phase") in ("Failed", "Succeeded"):
            raise NodiskError(f"the pod in {space} has ended")
        if time.monotonic() > deadline:
            raise NodiskError(f"the pod in {space} does not run after {START_WITHIN:g} s")
        time.sleep(0.5)


def _exit_status(client: Client, space: str) -> int:
    deadline = time.monotonic() + START_WITHIN + TRY_WITHIN
    while True:
        status = client.get("v1", "Pod", _PROBE, namespace=space).get("status") or {}
        for container in status.get("containerStatuses") or []:
            if ended := (container.get("state") or {}).get("terminated"):
                return int(ended["exitCode"])
        if time.monotonic() > deadline:
            raise NodiskError(f"the pod that tries has not ended after {START_WITHIN + TRY_WITHIN:g} s")
        time.sleep(0.5)
