"""What fails in students' namespaces, in plain words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.classes.trouble import Kind, Trouble
from nodisk.classes.troubles import LONGEST, RECENT, refusal, troubles

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
RS = [{"kind": "ReplicaSet", "name": "web-7d4b9c6f5d", "controller": True}]
QUOTA = (
    'pods "web-x" is forbidden: exceeded quota: nodisk, requested: limits.memory=2Gi,pods=1, '
    "used: limits.memory=3Gi,pods=2, limited: limits.memory=4Gi"
)


def pod(name: str = "web-7d4b9c6f5d-abcde", *, owners: list[Any] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "k8s-jan",
            "name": name,
            "ownerReferences": RS if owners is None else owners,
            "creationTimestamp": "2026-11-30T09:50:00Z",
        },
        "status": status,
    }


def container(image: str = "nginx", *, last: dict[str, Any] | None = None, **state: Any) -> dict[str, Any]:
    return {"name": "c", "image": image, "state": state, "lastState": last or {}}


def event(message: str = QUOTA, *, ago: float = 60.0, name: str = "web-7d4b9c6f5d") -> dict[str, Any]:
    return {
        "reason": "FailedCreate",
        "type": "Warning",
        "message": message,
        "involvedObject": {"kind": "ReplicaSet", "namespace": "k8s-jan", "name": name},
        "lastTimestamp": (NOW - timedelta(seconds=ago)).isoformat(),
    }


def only(*pods: dict[str, Any]) -> Trouble:
    (found,) = troubles(pods, [], now=NOW)
    return found


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return container(waiting={"reason": reason, "message": message}, **more)


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        ("ngnix:1.27", "a typo in ngnix? nginx is known"),
        ("docker.io/library/pyton:3", "a typo in pyton? python is known"),
        ("registry.example:5000/team/app", "look for a typo in registry.example:5000/team/app; "),
        ("nginx:1.2.7.9", "nginx is a known name: look for a typo in its tag, 1.2.7.9"),
        ("nginx", "nginx is a known name: look for a typo in its tag, latest"),
        (f"nginx@sha256:{'0' * 64}", "nginx is a known name: look for a typo in its digest"),
        ("nodisk/ecoh:1", "a typo in nodisk/ecoh? nodisk/echo is known"),
        ("Nginx", "look for a typo in Nginx; "),
    ],
)
def test_an_image_that_cant_be_pulled(image: str, hint: str) -> None:
    runs = pod("echo", owners=[], containerStatuses=[container("nodisk/echo:1", running={})])
    found = only(runs, pod(containerStatuses=[waiting("ImagePullBackOff", image=image)]))
    assert (found.namespace, found.object, found.kind) == ("k8s-jan", "deployment/web", Kind.IMAGE)
    assert found.words == f"the image {image} can't be pulled"
    assert found.hint.startswith(hint)


def test_what_pods_say() -> None:
    pods = [
        pod("a", owners=[], containerStatuses=[waiting("InvalidImageName", image="Nginx Latest")]),
        pod(
            "b",
            owners=[],
            containerStatuses=[waiting("CrashLoopBackOff", last={"terminated": {"exitCode": 127, "reason": "Error"}})],
        ),
        pod(
            "c",
            owners=[],
            containerStatuses=[
                waiting("CrashLoopBackOff", last={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
            ],
        ),
        pod("d", owners=[], initContainerStatuses=[waiting("CreateContainerConfigError", 'secret "x" not found')]),
        pod(
            "e",
            owners=[],
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/3 nodes are available: 1 node(s) had taint {x}, 2 Insufficient memory.",
                }
            ],
        ),
        pod("fine", owners=[], containerStatuses=[container(running={})]),
        pod("over", owners=[], phase="Succeeded", containerStatuses=[waiting("CrashLoopBackOff")]),
    ]
    found = {one.object: (one.kind, one.words) for one in troubles(pods, [], now=NOW)}
    assert found == {
        "pod/a": (Kind.IMAGE, "'Nginx Latest' is no image's name"),
        "pod/b": (Kind.CRASH, "its command isn't in the image (exit status 127)"),
        "pod/c": (Kind.MEMORY, "was ended because it needs more memory than its limit"),
        "pod/d": (Kind.START, 'can\'t start: secret "x" not found'),
        "pod/e": (Kind.ROOM, "fits on no machine: not enough memory is free"),
    }


def test_pods_of_one_object_are_one_trouble() -> None:
    found = only(*(pod(f"web-{number}", containerStatuses=[waiting("ErrImagePull")]) for number in range(3)))
    assert (found.object, found.pods) == ("deployment/web", 3)


def test_a_quota_that_is_full() -> None:
    (found,) = troubles([], [event(), event("an earlier word", ago=600)], now=NOW)
    assert found == Trouble(
        "k8s-jan",
        "deployment/web",
        Kind.QUOTA,
        "more than the namespace may use: limits.memory: asks for 2Gi, 3Gi of 4Gi are in use",
        "delete what is not needed any more, or ask for less",
        pods=0,
    )
    assert troubles([], [event(ago=RECENT + 1)], now=NOW) == ()
    # It got a pod since: whatever kept it from that is over.
    assert troubles([pod()], [event(ago=15 * 60)], now=NOW) == ()


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        (
            "pods is forbidden: failed quota: nodisk: must specify limits.cpu,limits.memory",
            Kind.QUOTA,
            "the namespace has limits, and so each container must say its own: limits.cpu,limits.memory",
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": hostNetwork=true',
            Kind.REFUSED,
            "not allowed here: hostNetwork=true",
        ),
        (
            'pods "x" is forbidden: [maximum memory usage per Container is 1Gi, but limit is 2Gi]',
            Kind.QUOTA,
            "maximum memory usage per Container is 1Gi, but limit is 2Gi",
        ),
        ("admission webhook says no", Kind.REFUSED, "its pods can't be made: admission webhook says no"),
    ],
)
def test_why_a_pod_was_not_let_in(message: str, kind: Kind, words: str) -> None:
    assert refusal(message)[:2] == (kind, words)


KEYS = st.sampled_from(
    [
        *("metadata", "status", "namespace", "name", "ownerReferences", "controller", "kind", "conditions", "type"),
        *("reason", "message", "containerStatuses", "initContainerStatuses", "state", "lastState", "waiting", "image"),
        *("terminated", "exitCode", "involvedObject", "lastTimestamp", "series", "creationTimestamp"),
    ]
)
SAID = st.sampled_from(
    [
        *("FailedCreate", "Unschedulable", "PodScheduled", "ImagePullBackOff", "CrashLoopBackOff", "OOMKilled", QUOTA),
        *("2026-11-30T09:59:00Z", "2026-11-30T09:59:00", "exceeded quota", "ReplicaSet", "RunContainerError"),
    ]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | SAID | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)
OBJECTS = st.lists(st.dictionaries(KEYS, ANY, max_size=6), max_size=4)


@given(OBJECTS, OBJECTS)
def test_whatever_the_api_holds(pods: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
    found = troubles(pods, events, now=NOW)
    assert len({(one.namespace, one.object, one.kind, one.words) for one in found}) == len(found)
    assert len(found) <= len(pods) + len(events)
    assert troubles(pods[::-1], events, now=NOW) == found


@given(st.text(max_size=2000), SAID)
def test_whatever_a_message_says(text: str, said: str) -> None:
    for message in (text, said + text, text + said):
        kind, words, _ = refusal(message)
        assert kind in Kind
        assert len(words) <= 2 * LONGEST
        found = troubles([], [event(message)], now=NOW)
        assert [one.words for one in found] == [words]
