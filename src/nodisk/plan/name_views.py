"""Whose names a pod may ask for, where lab.yaml keeps classes' names apart (``kubernetes.isolation: names``). Pure.

The server writes the views as a text whenever they change; the names' gate (``server.names_gate``), a process of its
own, reads it and judges by it each question, and each answer: an alias or an address may lead to a name that the
question doesn't show. Only a namespace that is known to be no class's is common, so whatever isn't known is closed.

Nothing here needs lab.yaml's model: the gate is a small process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Network

Labels = tuple[bytes, ...]
"""A name, from its first label to the last, in lower case; the root is the empty one."""

_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_KINDS = (b"svc", b"pod")
"""What is between a namespace and the cluster's domain."""


def labels_of(name: str) -> Labels:
    """``cluster.local`` as labels."""
    return tuple(label.encode() for label in name.lower().removesuffix(".").split(".") if label)


class Verdict(Enum):
    """What becomes of a question."""

    PASS = auto()
    HIDE = auto()
    """As if there were no such name."""
    WAIT = auto()
    """It is not known yet whose pod asks."""


@dataclass(frozen=True, slots=True)
class Views:
    """What is known of the cluster."""

    common: frozenset[str] = frozenset()
    """Namespaces that are no class's: everybody sees their names, and their pods see everybody's."""
    pods: Mapping[str, str] | None = None
    """Address → namespace, of every pod that has an address of its own."""

    def namespace(self, address: str) -> str | None:
        """Whose pod has this address; None: that is not known."""
        return (self.pods or {}).get(address)


def render(common: Iterable[str], pods: Mapping[IPv4Address, str]) -> str:
    """The text that ``parse`` reads: ``common NAMESPACE`` and ``pod ADDRESS NAMESPACE``, sorted.

    A name that can't be a namespace's is left out: it never was one.
    """
    lines = [f"common {space}" for space in sorted(common) if _NAMESPACE.fullmatch(space)]
    lines += [f"pod {address} {space}" for address, space in sorted(pods.items()) if _NAMESPACE.fullmatch(space)]
    return "# Whose names each pod may ask for, by nodisk; the names' gate reads it.\n" + "".join(
        f"{line}\n" for line in lines
    )


def parse(text: str) -> Views:
    """The views that ``render`` wrote; raises ValueError for anything else: then nobody knows who may see what."""
    common, pods = set[str](), dict[str, str]()
    for line in text.splitlines():
        match line.split(" "):
            case ["#", *_]:
                continue
            case ["common", space] if _NAMESPACE.fullmatch(space):
                common.add(space)
            case ["pod", address, space] if _NAMESPACE.fullmatch(space):
                pods[str(IPv4Address(address))] = space
            case _:
                raise ValueError(f"no line of the views: {line[:100]!r}")
    return Views(frozenset(common), pods)


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides by views; what it has is lab.yaml's, and stays."""

    domain: Labels
    """The cluster's."""
    reverse: frozenset[Labels]
    """The zones of Services' and pods' addresses."""
    pods: IPv4Network
    """The pods' addresses. Whoever asks from elsewhere is a machine, or hides behind one."""
    trusted: frozenset[str]
    """The server's own addresses: it sees everything."""

    def question(self, views: Views, source: str, name: Labels) -> Verdict:
        """What becomes of a question for ``name`` that came from the address ``source``."""
        space = self.namespace_of(name)
        if space is None and self.zone_of(name) is None:
            return Verdict.PASS
        asker = views.namespace(source)
        if self.sees_all(views, source) or (space is not None and _sees(views, asker, space)):
            return Verdict.PASS
        if asker is None and IPv4Address(source) in self.pods:
            return Verdict.WAIT
        # Whose an address is shows only in the answer.
        return Verdict.PASS if space is None else Verdict.HIDE

    def answer(self, views: Views, source: str, name: Labels, names: Iterable[Labels], *, empty: bool) -> bool:
        """Whether ``source`` may have the answer for ``name``; else there is no such name.

        ``names``: all that are in it, of owners and in data. ``empty``: it has no records. That an address has no
        record *of that type* would tell that it has one, so for addresses of the cluster an empty answer is none. Nor
        may an alias lead to an address: what is behind it would show whether it has a name.
        """
        asker, told = views.namespace(source), {name, *names}
        if self.sees_all(views, source):
            return True
        if self.zone_of(name) is not None:
            if empty:
                return False
        elif any(self.zone_of(one) is not None for one in told):
            return False
        for one in told:
            space = self.namespace_of(one)
            if space is not None and not _sees(views, asker, space):
                return False
        return True

    def namespace_of(self, name: Labels) -> str | None:
        """The namespace that a name is in; None: it is none of a Service's or a pod's.

        Labels may hold any byte: what is no text stands for a namespace that there can't be.
        """
        depth = len(self.domain)
        if len(name) < depth + 2 or name[-depth:] != self.domain or name[-depth - 1] not in _KINDS:
            return None
        return name[-depth - 2].decode("ascii", errors="replace")

    def zone_of(self, name: Labels) -> Labels | None:
        """The zone of addresses that a name is in."""
        for start in range(len(name)):
            if name[start:] in self.reverse:
                return name[start:]
        return None

    def sees_all(self, views: Views, source: str) -> bool:
        """Whether ``source`` may have any name: the server, and pods of namespaces that are no class's."""
        return source in self.trusted or views.namespace(source) in views.common

    def may_alias(self, common: Set[str], own: str, target: Labels) -> bool:
        """Whether a Service of the namespace ``own`` may be an alias of ``target``; ``common``: as in the views.

        An answer is judged, but one that failed has no names to judge by: whether it did would tell about the target.
        """
        if own in common:
            return True
        space = self.namespace_of(target)
        return self.zone_of(target) is None and (space is None or space == own or space in common)


def _sees(views: Views, asker: str | None, space: str) -> bool:
    """Whether a pod of the namespace ``asker`` sees the names of ``space``."""
    return space == asker or space in views.common
