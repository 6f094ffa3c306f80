"""Whether one student's pod reaches another's, or resolves its name: tried with real pods, where nodes can run them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from nodisk.assets.container_images import ECHO, ECHO_PORT
from nodisk.classes.capacity import Enforcer
from nodisk.classes.selftest import NAMES, REACH, Finding, Tester, untried
from nodisk.errors import NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError
from nodisk.waiting import Deadline

WITHIN, EMULATED = 90.0, 660.0
"""Seconds for all of an attempt, on PCs and on emulated machines, where a container starts slowly."""
_ECHO, _PROBE, _CONTROL = "nodisk-selftest-echo", "nodisk-selftest-probe", "nodisk-selftest-control"
REACHED, LOST = 10, 20
# The own pod first: if even that can't be reached, not reaching the other shows nothing. busybox's nc has no -z: once
# it is connected it becomes `true`.
_SCRIPT = """\
n=0
until timeout 2 nc {own} {port} -e true; do n=$((n + 1)); [ $n -lt 20 ] || exit {lost}; sleep 1; done
for try in 1 2 3; do timeout 5 nc {other} {port} -e true && exit {reached}; done
exit 0
"""
# The other's neighbour, whom the policies let through: a way that is broken is no isolation.
_CONTROL_SCRIPT = """\
n=0
until timeout 5 nc {other} {port} -e true; do n=$((n + 1)); [ $n -lt 5 ] || exit {lost}; sleep 1; done
exit {reached}
"""
# The own name first, for the same reason. The server may take a moment to hear of a pod.
_NAMES_SCRIPT = """\
n=0
until nslookup {own} >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 20 ] || exit {lost}; sleep 1; done
for try in 1 2 3; do nslookup {other} >/dev/null 2>&1 && exit {reached}; sleep 1; done
exit 0
"""
# The other's own pod: a name that nobody resolves is not kept from anybody.
_NAMES_CONTROL = """\
n=0
until nslookup {other} >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 20 ] || exit {lost}; sleep 1; done
exit {reached}
"""


def attempt(
    first: Tester, second: Tester, spaces: tuple[str, str], *, enforcer: Enforcer | None, deadline: Deadline
) -> Finding:
    """Run an echo pod in both students' namespaces (``spaces``), and a pod of the first that tries to reach them.

    Where it doesn't reach the other's, a pod of the other's own on the same node must: else the way is broken. With the
    students' own credentials and quotas. All pods are deleted at the end. ``left``: the seconds that are left.
    """
    who = first.account.label
    control: int | None = None
    try:
        with _pods(first, second, spaces, deadline) as ((own, _), (other, there)):
            script = _SCRIPT.format(own=own, other=other, port=ECHO_PORT, reached=REACHED, lost=LOST)
            first.client.create(_pod(_PROBE, spaces[0], ["sh", "-c", script]))
            status, node = _ended(first.client, spaces[0], _PROBE, deadline)
            if status == 0:
                script = _CONTROL_SCRIPT.format(other=other, port=ECHO_PORT, reached=REACHED, lost=LOST)
                second.client.create(_pod(_CONTROL, spaces[1], ["sh", "-c", script], node=node))
                control, _ = _ended(second.client, spaces[1], _CONTROL, deadline)
    except NodiskError as error:
        return untried(who, error.message)
    way = f"from {node} to {there}"
    if status == 0 and control != REACHED:
        return untried(
            who, f"{way} the pods' network is broken: the other student's own pod on {node} does not get there either"
        )
    if status == 0:
        happened = f"refused: three attempts {way} failed, and the other student's own pod on {node} gets there"
        return Finding(who, REACH, "refused", happened, "ok")
    if status == REACHED and enforcer is None:
        return Finding(who, REACH, "refused", f"allowed {way}: nothing in this cluster enforces NetworkPolicy", "gap")
    if status == REACHED:
        return Finding(who, REACH, "refused", f"allowed, although {enforcer} runs ({way})", "hole")
    return untried(
        who, "the pod did not reach its own neighbour either" if status == LOST else f"it ended with {status}"
    )


def attempt_names(
    first: Tester, second: Tester, spaces: tuple[str, str], *, domain: str, deadline: Deadline
) -> Finding:
    """The same for names: a pod of the first asks for the other's echo pod by name, where names are kept apart.

    ``domain``: the cluster's. A pod of the other's own must get an answer to that question.
    """
    who = first.account.label
    control: int | None = None
    try:
        with _pods(first, second, spaces, deadline) as echoes:
            own, other = (
                f"{address.replace('.', '-')}.{space}.pod.{domain}"
                for (address, _), space in zip(echoes, spaces, strict=True)
            )
            script = _NAMES_SCRIPT.format(own=own, other=other, reached=REACHED, lost=LOST)
            first.client.create(_pod(_PROBE, spaces[0], ["sh", "-c", script]))
            status, node = _ended(first.client, spaces[0], _PROBE, deadline)
            if status == 0:
                script = _NAMES_CONTROL.format(other=other, reached=REACHED, lost=LOST)
                second.client.create(_pod(_CONTROL, spaces[1], ["sh", "-c", script], node=node))
                control, _ = _ended(second.client, spaces[1], _CONTROL, deadline)
    except NodiskError as error:
        return untried(who, error.message, NAMES)
    if status == 0 and control == REACHED:
        happened = f"refused: three questions from {node} had no answer, and the other student's own pod has one"
        return Finding(who, NAMES, "refused", happened, "ok")
    if status == 0:
        return untried(who, f"the other student's own pod on {node} has no answer either", NAMES)
    if status == REACHED:
        return Finding(who, NAMES, "refused", f"allowed, from {node}, although lab.yaml keeps names apart", "hole")
    return untried(
        who, "the pod had no answer for its own name" if status == LOST else f"it ended with {status}", NAMES
    )


def settled(found: Finding, by: Enforcer | None) -> Finding:
    """What an attempt is worth, by what is there to enforce policies: two pods kept apart show nothing of the other
    nodes."""
    if found.verdict != "ok":
        return found
    if by is None:
        happened = f"{found.happened}, but nodisk knows nothing here that enforces NetworkPolicy"
        return replace(found, happened=happened, verdict="unsure")
    if by.missing:
        return replace(found, happened=f"{found.happened}, but {by.missing}", verdict="hole")
    return found


@contextlib.contextmanager
def _pods(
    first: Tester, second: Tester, spaces: tuple[str, str], deadline: Deadline
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Both echo pods running; yields the address and the node of each."""
    testers = list(zip((first, second), spaces, strict=True))
    try:
        for tester, space in testers:
            _delete(tester.client, space)
            tester.client.create(_pod(_ECHO, space, None))
        own, other = (_running(tester.client, space, deadline) for tester, space in testers)
        yield own, other
    finally:
        for tester, space in testers:
            with contextlib.suppress(ApiError):
                _delete(tester.client, space)


def _delete(client: Client, space: str) -> None:
    for name in (_ECHO, _PROBE, _CONTROL):
        client.delete("v1", "Pod", name, namespace=space, grace=0)


def _pod(name: str, space: str, command: list[str] | None, *, node: str = "") -> Object:
    """``node``: the scheduler must put it there, as far as the node takes pods."""
    container: Object = {"name": "main", "image": ECHO}
    if command is not None:
        container["command"] = command
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    there = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": fields}]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": {"app": name}},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            **({"affinity": {"nodeAffinity": there}} if node else {}),
        },
    }


def _running(client: Client, space: str, deadline: Deadline) -> tuple[str, str]:
    while True:
        pod = client.get("v1", "Pod", _ECHO, namespace=space)
        status = pod.get("status") or {}
        if status.get("phase") == "Running" and status.get("podIP"):
            return str(status["podIP"]), str(pod["spec"]["nodeName"])
        if status.get("phase") in ("Failed", "Succeeded"):
            raise NodiskError(f"the pod in {space} has ended")
        if not deadline.pause(0.5):
            raise NodiskError(f"the pod in {space} does not run in the time that there is")


def _ended(client: Client, space: str, name: str, deadline: Deadline) -> tuple[int, str]:
    """The exit status of a pod's container, and the node that it ran on."""
    while True:
        pod = client.get("v1", "Pod", name, namespace=space)
        for container in (pod.get("status") or {}).get("containerStatuses") or []:
            if ended := (container.get("state") or {}).get("terminated"):
                return int(ended["exitCode"]), str(pod["spec"]["nodeName"])
        if not deadline.pause(0.5):
            raise NodiskError(f"the pod {name} in {space} has not ended in the time that there is")
