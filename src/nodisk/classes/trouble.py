"""One thing that fails in a student's namespace, and what sort of thing it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What sort of trouble it is."""

    IMAGE = "image"
    QUOTA = "quota"
    ROOM = "room"
    CRASH = "crash"
    MEMORY = "memory"
    START = "start"
    REFUSED = "refused"


TITLES = {
    Kind.IMAGE: "Image",
    Kind.QUOTA: "Quota",
    Kind.ROOM: "No room",
    Kind.CRASH: "Crash",
    Kind.MEMORY: "Memory",
    Kind.START: "Start",
    Kind.REFUSED: "Refused",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that fails, of as many pods as it stops."""

    namespace: str
    object: str
    """What a student made, as kubectl names it: ``deployment/web``."""
    kind: Kind
    words: str
    """What is wrong."""
    hint: str
    """What to do; '' where nothing can be said."""
    pods: int = 1
    """How many pods of that object have it; 0: more could not even be made."""

    def to_json(self) -> dict[str, Any]:
        """The stable form of ``nodisk class show --troubles --output json``."""
        return {
            "namespace": self.namespace,
            "object": self.object,
            "kind": str(self.kind),
            "pods": self.pods,
            "words": self.words,
            "hint": self.hint,
        }
