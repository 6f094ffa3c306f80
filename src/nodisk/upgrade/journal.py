"""How far an upgrade is: written before each thing that is done, so that the same command goes on after ``kill -9``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nodisk import files
from nodisk.assets.store import disk_errors
from nodisk.errors import IntegrityError
from nodisk.state import LabState

LOCK = "upgrade.lock"


@dataclass(frozen=True, slots=True)
class Journal:
    """One upgrade, or the way back from it."""

    new: str
    """The key of the build to which it goes (``holds.Build``)."""
    steps: tuple[tuple[str, ...], ...]
    """Machines that are away together, step after step."""
    before: Mapping[str, str] = field(default_factory=dict)
    """Machine → the key of the build that it had; without those whose build nodisk no longer knows."""
    done: tuple[str, ...] = ()
    """Machines that are back, and with which the cluster was tested."""
    away: tuple[str, ...] = ()
    """Machines of the step that is being done."""
    boots: Mapping[str, str] = field(default_factory=dict)
    """Machine → the boot id that its node had before its step."""
    back: bool = False
    """The steps lead back to ``before``."""

    @property
    def left(self) -> list[tuple[str, ...]]:
        """The steps that are not done to the end, without machines that are."""
        rests = [tuple(name for name in step if name not in self.done) for step in self.steps]
        return [rest for rest in rests if rest]

    def begin(self, names: tuple[str, ...], boots: Mapping[str, str]) -> Journal:
        """A step begins; one that was begun before keeps the boots from before its machines went."""
        kept = self.boots if self.away == names else {}
        return replace(self, away=names, boots={**boots, **kept})

    def end(self) -> Journal:
        """The step is done."""
        return replace(self, done=(*self.done, *self.away), away=(), boots={})

    def turned(self) -> Journal:
        """The way back for all machines that went: the last ones first, so workers before control planes.

        Those whose build before is not known stay.
        """
        if self.back:
            return self
        gone = {*self.done, *self.away}
        steps = [tuple(one for one in step if one in gone and one in self.before) for step in reversed(self.steps)]
        return Journal(self.new, tuple(step for step in steps if step), self.before, back=True)

    def to_text(self) -> str:
        """As it is kept."""
        return json.dumps({"format": 1, **asdict(self)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Journal:
        """The reverse; raises ValueError, KeyError, TypeError or AttributeError for what is none."""
        value: dict[str, Any] = json.loads(text)
        if value["format"] != 1 or not isinstance(value["back"], bool):
            raise ValueError("written by another nodisk")
        return cls(
            new=_word(value["new"]),
            steps=tuple(tuple(map(_word, step)) for step in value["steps"]),
            before={_word(name): _word(key) for name, key in value["before"].items()},
            done=tuple(map(_word, value["done"])),
            away=tuple(map(_word, value["away"])),
            boots={_word(name): _word(boot) for name, boot in value["boots"].items()},
            back=value["back"],
        )


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def read(state: LabState) -> Journal | None:
    """The upgrade that has begun, or None; raises IntegrityError for a damaged record."""
    try:
        return Journal.from_text(state.upgrade.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"{state.upgrade} is not a valid record of an upgrade: {type(error).__name__}: {error}",
            hint=f"machines are as they are; to start over: rm {state.upgrade} && nodisk upgrade --dry-run",
        ) from error


def write(state: LabState, journal: Journal) -> Journal:
    """Keep it, and return it; raises EnvironmentProblem if the disk is full: what was kept before stays."""
    with disk_errors(state.root):
        files.write(state.upgrade, journal.to_text(), mode=0o600)
    return journal


def remove(state: LabState) -> None:
    """The upgrade is over."""
    files.remove(state.upgrade)
