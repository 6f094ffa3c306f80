"""What fails in students' namespaces, in plain words: from pods' statuses and events, as the API has them. Pure.

Kubernetes shows these things to people who know where to look: in a container's status, in a condition, or in an event
of a ReplicaSet that nobody thinks of. Messages are those of kubelet, scheduler, quota and Pod Security, 1.20 … 1.36.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from nodisk.classes.trouble import Kind, Trouble
from nodisk.image_name import ImageName

RECENT = 20 * 60.0
"""Seconds for which an event counts: a controller that can't make a pod tries again within a quarter of an hour."""
LONGEST = 300
"""Characters of what Kubernetes said itself."""
WELL_KNOWN = (
    *("alpine", "busybox", "caddy", "debian", "fedora", "golang", "haproxy", "httpd", "mariadb", "memcached", "mongo"),
    *("mysql", "nginx", "node", "openjdk", "php", "postgres", "python", "rabbitmq", "redis", "registry", "ruby"),
    *("rust", "tomcat", "traefik", "ubuntu", "wordpress"),
)
"""Images of lessons, whose names a misspelt one is compared with."""


def troubles(
    pods: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]], *, now: datetime
) -> tuple[Trouble, ...]:
    """All that fails, by namespace and object.

    ``pods``, ``events``: objects of core/v1, of any namespaces. Events older than RECENT don't count, nor does one of
    an object that has since got another pod.
    """
    pods = sorted(pods, key=lambda pod: _text(_map(pod, "metadata"), "name"))
    known = {*WELL_KNOWN, *_pulled(pods)}
    found: dict[tuple[str, str, Kind, str], Trouble] = {}
    for one in (*_of_pods(pods, known), *_of_events(events, _made(pods), now)):
        key = (one.namespace, one.object, one.kind, one.words)
        before = found.get(key)
        found[key] = one if before is None else _more(before, one.pods)
    return tuple(sorted(found.values(), key=lambda one: (one.namespace, one.object, one.kind, one.words)))


def _more(trouble: Trouble, pods: int) -> Trouble:
    return Trouble(trouble.namespace, trouble.object, trouble.kind, trouble.words, trouble.hint, trouble.pods + pods)


# ---- pods -----------------------------------------------------------------------------------------------------------


def _of_pods(pods: Iterable[Mapping[str, Any]], known: set[str]) -> Iterator[Trouble]:
    for pod in pods:
        meta, status = _map(pod, "metadata"), _map(pod, "status")
        if "deletionTimestamp" in meta or status.get("phase") == "Succeeded":
            continue
        namespace, name = _text(meta, "namespace"), _text(meta, "name")
        found = _unplaced(status) or next(
            filter(None, (_container(one, known, name) for one in _containers(status))), None
        )
        if found is not None:
            yield Trouble(namespace, _maker(meta), *found)


def _unplaced(status: Mapping[str, Any]) -> tuple[Kind, str, str] | None:
    for condition in _list(status, "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            message = _text(condition, "message")
            short = sorted(set(re.findall(r"Insufficient ([\w\-/]+(?:\.[\w\-/]+)*)", message)))
            if short:
                return (
                    Kind.ROOM,
                    f"fits on no machine: not enough {' and '.join(short)} is free",
                    "ask for less (resources.requests), or delete what is not needed any more",
                )
            if "PersistentVolumeClaim" in message or "persistentvolumeclaim" in message:
                return Kind.ROOM, f"waits for its volume: {message[:LONGEST]}", "kubectl describe pvc"
            return (
                Kind.ROOM,
                f"fits on no machine: {message[:LONGEST]}",
                "look at its nodeSelector, affinity, tolerations",
            )
    return None


def _containers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*_list(status, "initContainerStatuses"), *_list(status, "containerStatuses")]


def _container(container: Mapping[str, Any], known: set[str], pod: str) -> tuple[Kind, str, str] | None:
    waiting = _map(_map(container, "state"), "waiting")
    reason, message = _text(waiting, "reason"), _text(waiting, "message")
    ended = _map(_map(container, "lastState"), "terminated") or _map(_map(container, "state"), "terminated")
    if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"):
        return _image(_text(container, "image"), reason, known)
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return Kind.START, f"can't start: {message[:LONGEST] or reason}", "kubectl describe pod " + pod
    if _text(ended, "reason") == "OOMKilled":
        return (
            Kind.MEMORY,
            "was ended because it needs more memory than its limit",
            "raise resources.limits.memory, or let the program need less",
        )
    if reason == "CrashLoopBackOff":
        code = ended.get("exitCode")
        words = {126: "its command can't be executed", 127: "its command isn't in the image"}.get(
            code if isinstance(code, int) else -1, "it ends again and again"
        )
        status = f" (exit status {code})" if isinstance(code, int) else ""
        return Kind.CRASH, f"{words}{status}", f"kubectl logs --previous {pod}"
    return None


def _image(image: str, reason: str, known: set[str]) -> tuple[Kind, str, str]:
    if reason == "InvalidImageName":
        return (
            Kind.IMAGE,
            f"{image!r} is no image's name",
            "small letters, digits and -._/ with a tag behind a colon, such as nginx:1.27",
        )
    words = f"the image {image} can't be pulled"
    with contextlib.suppress(ValueError):
        name = ImageName.parse(image)
        if name.short in known:
            where = f"tag, {name.tag}" if name.tag else "digest"
            return Kind.IMAGE, words, f"{name.short} is a known name: look for a typo in its {where}"
        if near := difflib.get_close_matches(name.short, sorted(known), n=1, cutoff=0.75):
            return Kind.IMAGE, words, f"a typo in {name.short}? {near[0]} is known"
    return Kind.IMAGE, words, f"look for a typo in {image}; whether the server reaches its registry says nodisk check"


def _pulled(pods: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Short names of images that run somewhere among these pods."""
    for pod in pods:
        for container in _containers(_map(pod, "status")):
            if "running" in _map(container, "state"):
                with contextlib.suppress(ValueError):
                    yield ImageName.parse(_text(container, "image")).short


# ---- events ---------------------------------------------------------------------------------------------------------


def _of_events(
    events: Iterable[Mapping[str, Any]], made: Mapping[tuple[str, str], datetime], now: datetime
) -> Iterator[Trouble]:
    """What keeps controllers from making pods: only the last word about each object counts."""
    last: dict[tuple[str, str], tuple[datetime, str]] = {}
    for event in events:
        about, at = _map(event, "involvedObject"), _when(event)
        key = (_text(about, "namespace"), _object(_text(about, "kind"), _text(about, "name")))
        if event.get("reason") != "FailedCreate" or not key[1] or at is None:
            continue
        over = (now - at).total_seconds() > RECENT or (key in made and made[key] > at)
        if not over and (key not in last or last[key][0] < at):
            last[key] = (at, _text(event, "message"))
    for (namespace, name), (_, message) in last.items():
        kind, words, hint = refusal(message)
        yield Trouble(namespace, name, kind, words, hint, pods=0)


def _made(pods: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], datetime]:
    """When each object got its newest pod."""
    found: dict[tuple[str, str], datetime] = {}
    for pod in pods:
        meta = _map(pod, "metadata")
        key, at = (_text(meta, "namespace"), _maker(meta)), _time(_text(meta, "creationTimestamp"))
        if at is not None and (key not in found or found[key] < at):
            found[key] = at
    return found


def refusal(message: str) -> tuple[Kind, str, str]:
    """Why a pod was not let in, from the API server's own message: what sort, in plain words, what to do."""
    if "exceeded quota" in message:
        asked, used, limited = (_amounts(message, word) for word in ("requested", "used", "limited"))
        parts = [
            f"{name}: asks for {amount}, {used.get(name, '?')} of {limited[name]} are in use"
            for name, amount in asked.items()
            if name in limited
        ]
        return (
            Kind.QUOTA,
            "more than the namespace may use: " + ("; ".join(parts) or message)[:LONGEST],
            "delete what is not needed any more, or ask for less",
        )
    if "must specify" in message and "quota" in message:
        what = message.rpartition("must specify ")[2][:LONGEST]
        return (
            Kind.QUOTA,
            f"the namespace has limits, and so each container must say its own: {what}",
            "resources: in the pod",
        )
    if "violates PodSecurity" in message:
        why = message.partition('": ')[2] or message
        return Kind.REFUSED, f"not allowed here: {why[:LONGEST]}", "run it as an ordinary user, without host access"
    if limits := re.findall(r"(m(?:ax|in)imum \w+ usage per \w+ is [^,\]]+, but [^,\]]+)", message):
        return Kind.QUOTA, "; ".join(limits)[:LONGEST], "change resources: in the pod"
    return Kind.REFUSED, f"its pods can't be made: {message[:LONGEST]}", ""


def _amounts(message: str, word: str) -> dict[str, str]:
    """``requested: cpu=1,pods=1`` → its amounts."""
    found = re.search(rf"\b{word}: ([^ ]+?)(?:, (?:used|limited): |\s|$)", message)
    return dict(re.findall(r"([\w.\-/]+)=([\w.\-]+)", found[1])) if found else {}


# ---- reading -------------------------------------------------------------------------------------------------------


def _maker(meta: Mapping[str, Any]) -> str:
    """What a student made that a pod belongs to: of a Deployment's ReplicaSet, the Deployment."""
    for owner in _list(meta, "ownerReferences"):
        if owner.get("controller"):
            return _object(_text(owner, "kind"), _text(owner, "name")) or f"pod/{_text(meta, 'name')}"
    return f"pod/{_text(meta, 'name')}"


def _object(kind: str, name: str) -> str:
    if not kind or not name:
        return ""
    # A Deployment's ReplicaSet has its name and a hash in this alphabet (rand.SafeEncodeString of apimachinery).
    if kind == "ReplicaSet" and (match := re.fullmatch(r"(.+)-[bcdfghjklmnpqrstvwxz2456789]{6,10}", name)):
        return f"deployment/{match[1]}"
    return f"{kind.lower()}/{name}"


def _when(event: Mapping[str, Any]) -> datetime | None:
    """When it last happened; events say it in three ways, by the age of the reporting component."""
    texts = (
        _text(_map(event, "series"), "lastObservedTime"),
        _text(event, "lastTimestamp"),
        _text(event, "eventTime"),
        _text(_map(event, "metadata"), "creationTimestamp"),
    )
    return _time(next(filter(None, texts), ""))


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _map(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = source.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(source: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found = source.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _text(source: Mapping[str, Any], name: str) -> str:
    found = source.get(name)
    return found if isinstance(found, str) else ""
