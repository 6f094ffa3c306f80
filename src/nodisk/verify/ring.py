"""Which students' pods try to reach which, so that every node is judged, and what their answers say of it. Pure.

A connection is refused as soon as one end's node enforces the policies: two pods on two nodes never show that only one
of the nodes does not. So each node has a pod of both students, and the pair on it shows whether that node enforces;
each node's first student also tries the second's pod on the next node, in a ring, as a packet between nodes goes
another way through them. The students' pods on the next node are reached by their own neighbours, or nothing is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodisk.classes.capacity import Enforcer
from nodisk.classes.selftest import REACH, Finding, untried

MOST = 16
"""Nodes in a ring. Rings are tried one after another: twice as many pods, and as many kubectl, run at once."""
_NAMED = 8
"""Ways that one sentence names; all of a room's would fill a page."""


def rings(nodes: Sequence[str], most: int = MOST) -> list[list[str]]:
    """The nodes in rings of about the same size, and at most ``most`` each."""
    count = -(-len(nodes) // most)
    return [list(nodes[len(nodes) * n // count : len(nodes) * (n + 1) // count]) for n in range(count)]


def seats(nodes: Sequence[str]) -> list[str]:
    """The node of each pair of pods of a ring; the only node has two, as a ring has a next one."""
    return [*nodes] * 2 if len(nodes) == 1 else [*nodes]


@dataclass(frozen=True, slots=True)
class Answers:
    """Whom the two pods of a seat reached."""

    mine: bool
    """The first student's pod reached the same student's on the next seat."""
    theirs: bool
    """The second student's pod reached the same student's on the next seat."""
    here: bool
    """The first student's pod reached the second's on its own seat."""
    across: bool
    """The first student's pod reached the second's on the next seat."""


class Seen(StrEnum):
    """What a pod found when it tried another student's."""

    OPEN = "open"
    SHUT = "shut"
    BROKEN = "broken"
    """It didn't get there, and nor did a pod that may: a broken network isolates nobody."""


@dataclass(frozen=True, slots=True)
class Way:
    """One attempt: from a node to a node, which can be the same."""

    source: str
    target: str
    seen: Seen

    def __str__(self) -> str:
        return f"on {self.source}" if self.source == self.target else f"from {self.source} to {self.target}"


def ways(sitting: Sequence[str], answers: Sequence[Answers | None]) -> list[Way]:
    """What a ring's answers say of each way; None: the pods of that seat could not be asked."""
    found = []
    silent = Answers(mine=False, theirs=False, here=False, across=False)
    told = [silent if one is None else one for one in answers]
    for number, (node, one) in enumerate(zip(sitting, told, strict=True)):
        after, before = (number + 1) % len(sitting), told[number - 1]
        found.append(Way(node, node, _seen(reached=one.here, may=one.mine and before.theirs)))
        found.append(Way(node, sitting[after], _seen(reached=one.across, may=one.mine and one.theirs)))
    return list(dict.fromkeys(found))


def _seen(*, reached: bool, may: bool) -> Seen:
    if reached:
        return Seen.OPEN
    return Seen.SHUT if may else Seen.BROKEN


def enforces_not(tried: Sequence[Way]) -> list[str]:
    """The nodes on which a student's pod reached another's; else the ends of the ways that are open."""
    opened = [way for way in tried if way.seen is Seen.OPEN]
    on = [way.source for way in opened if way.source == way.target]
    return sorted(dict.fromkeys(on or [node for way in opened for node in (way.source, way.target)]))


def finding(who: str, tried: Sequence[Way], late: Mapping[str, str], by: Enforcer | None) -> Finding:
    """All attempts as one. ``late``: node → why nobody could try there. One open way outweighs all others."""
    opened = [way for way in tried if way.seen is Seen.OPEN]
    broken = [way for way in tried if way.seen is Seen.BROKEN]
    if opened and by is None:
        happened = f"allowed {_listed(opened)}: nothing in this cluster enforces NetworkPolicy"
        return Finding(who, REACH, "refused", happened, "gap")
    if opened:
        return Finding(who, REACH, "refused", f"allowed, although {by} runs: {_listed(opened)}", "hole")
    if late:
        return untried(who, _listed([f"on {node} ({why})" for node, why in sorted(late.items())]))
    if broken:
        return untried(
            who, f"{_listed(broken)} the pods' network is broken: a student's own pod does not get there either"
        )
    nodes = sorted({way.source for way in tried})
    between = " and from each to the next" if len(nodes) > 1 else ""
    happened = f"refused: three attempts failed on {_listed(nodes)}{between}, and pods of the same student get there"
    return Finding(who, REACH, "refused", happened, "ok")


def _listed(words: Sequence[object]) -> str:
    rest = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return ", ".join(str(word) for word in words[:_NAMED]) + rest
