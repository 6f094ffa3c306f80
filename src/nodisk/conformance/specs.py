"""Which specs a release's conformance is made of, which of them to run, and in which pieces.

A spec is named by its whole text (``[sig-node] Pods should … [Conformance]``), as in the list that Kubernetes' source
has of them, ``test/conformance/testdata/conformance.yaml``, and in the JUnit of its runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from nodisk.errors import IntegrityError, UsageError

MAX_LIST = 4 * 1024**2
"""Bytes of a list that is read; 1.20's has 170 kB."""
TAG = "[Conformance]"
PIECE = 8
"""Specs in a piece: what a power cut loses at most, against the seconds that each process needs to begin."""

POLICIES = "network-policy"
"""The mode that runs the suite's specs of NetworkPolicy, of which none belongs to conformance."""
POLICY_TAG, SCTP_TAG = "[Feature:NetworkPolicy]", "[Feature:SCTPConnectivity]"
"""Those, and of them the ones that need a kernel module for a protocol that nobody here speaks."""

QUICK = (
    r"\[sig-api-machinery\] ResourceQuota should create a ResourceQuota and capture the life of a service\.",
    r"\[sig-apps\] ReplicaSet should serve a basic image on each replica",
    r"\[sig-cli\] .* should check if Kubernetes control plane services is included in cluster-info",
    r"\[sig-network\] Services should serve a basic endpoint from pods",
    r"\[sig-node\] ConfigMap should be consumable via environment variable",
    r"Pods should get a host IP",
    r"\[sig-storage\] Projected downwardAPI should provide podname only",
    r"\[sig-storage\] EmptyDir volumes should support \(root,0644,tmpfs\)",
)
"""Of each area something that takes seconds; for a first word, never for a claim."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What Go's regexp.QuoteMeta escapes. Python's re.escape also escapes blanks and more, which Go's syntax refuses.
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


@dataclass(frozen=True, slots=True)
class Spec:
    """One spec of the suite."""

    name: str
    """Its whole text."""

    @property
    def apart(self) -> bool:
        """Whether it must have the cluster for itself, since it disturbs what runs beside it."""
        return "[Serial]" in self.name or "[Disruptive]" in self.name

    @property
    def disruptive(self) -> bool:
        """Whether it breaks something on purpose."""
        return "[Disruptive]" in self.name


def parse(text: str | bytes) -> tuple[Spec, ...]:
    """The specs of a release, sorted, each once, from the text of ``conformance.yaml``.

    Raises IntegrityError for any other text: an empty list would pass as a conformant cluster.
    """
    if len(text) > MAX_LIST:
        raise IntegrityError(f"the list of conformance specs has {len(text)} bytes, more than {MAX_LIST}")
    try:
        found: Any = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
        names = {" ".join(one["codename"].split()) for one in found}
    except (yaml.YAMLError, UnicodeError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise IntegrityError(
            f"the list of conformance specs can't be read: {type(error).__name__}: {reason}"
        ) from error
    if not names or any(TAG not in name for name in names):
        raise IntegrityError("the list of conformance specs is empty, or holds specs of another kind")
    return tuple(Spec(name) for name in sorted(names))


def policies(names: Iterable[str]) -> tuple[Spec, ...]:
    """Of a suite's names those of NetworkPolicy, sorted. Raises IntegrityError if there is none."""
    found = sorted({name for name in names if POLICY_TAG in name and SCTP_TAG not in name})
    if not found:
        raise IntegrityError(f"the suite has no spec of {POLICY_TAG}")
    return tuple(Spec(name) for name in found)


def choose(specs: Sequence[Spec], *, mode: str, focus: str | None = None) -> tuple[Spec, ...]:
    """The specs to run: all, or some quick ones (mode ``quick``), of them those that match ``focus``.

    With a focus in quick mode it chooses among all. Raises UsageError for a wrong expression, or if none matches.
    """
    if focus is not None:
        try:
            wanted = re.compile(focus)
        except re.error as error:
            raise UsageError(f"--focus {focus!r} is not a regular expression: {error}") from error
    else:
        wanted = re.compile("|".join(QUICK) if mode == "quick" else "")
    if chosen := tuple(spec for spec in specs if wanted.search(spec.name)):
        return chosen
    raise UsageError(
        f"none of the release's {len(specs)} specs is chosen",
        hint="see their names with nodisk conformance --dry-run; brackets need a backslash: --focus '\\[sig-node\\]'",
    )


def pieces(specs: Iterable[Spec], *, size: int = PIECE) -> list[tuple[Spec, ...]]:
    """What one process each runs: serial specs after all others and apart from them, disruptive ones at the end.

    ``size``: specs in a piece; more than usual for a process that runs several at once, which it does not do with
    serial ones. Specs of NetworkPolicy take minutes of waiting each, so that each has a process of its own.
    """
    specs = list(specs)
    if any(POLICY_TAG in spec.name for spec in specs):
        size = max(1, size // PIECE)
    listed = sorted(specs, key=lambda spec: (spec.disruptive, spec.apart, spec.name))
    found: list[tuple[Spec, ...]] = []
    for disruptive, apart in ((False, False), (False, True), (True, True)):
        part = [spec for spec in listed if (spec.disruptive, spec.apart) == (disruptive, apart)]
        step = min(size, PIECE) if apart else size
        found += [tuple(part[at : at + step]) for at in range(0, len(part), step)]
    return found


def focus_of(piece: Iterable[Spec]) -> str:
    """The regular expression (Go's syntax) that matches these specs and no others.

    Ginkgo matches it against the suite's name, a blank and the spec's whole text.
    """
    # Names are compared with single blanks; the suite's own may have several, where a part of it ends in one.
    return " (" + "|".join(_SPECIAL.sub(r"\\\g<0>", spec.name).replace(" ", " +") for spec in piece) + ")$"
