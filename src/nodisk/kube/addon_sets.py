"""lab.yaml's add-ons and the cluster's: read, compare, apply, remove. Each add-on is one ApplySet (``applyset``)."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from nodisk import yamltext
from nodisk.errors import SpecError
from nodisk.kube import addons, applyset
from nodisk.kube.applyset import Member, Outcome
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError, NotFound, Overloaded, Unreachable
from nodisk.kube.ours import says
from nodisk.spec.addon_catalogue import CATALOGUE
from nodisk.spec.model_addons import Addon

Reader = Callable[[Addon], list[Object]]
"""Returns an add-on's objects as they are to be applied; raises SpecError if they can't be had."""


class State(StrEnum):
    """How an add-on in lab.yaml and the cluster compare."""

    APPLIED = "applied"
    CHANGED = "changed"
    """The files differ from what was applied, or an apply was refused or cut off."""
    ABSENT = "not applied"
    LEFT = "not in lab.yaml"
    BROKEN = "unreadable"


@dataclass(frozen=True, slots=True)
class Row:
    """An add-on for people."""

    name: str
    state: State
    source: str
    """The file or folder; empty for one that is only in the cluster."""
    problem: str = ""


@dataclass(slots=True)
class Done:
    """What came of one add-on."""

    name: str
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def summary(self) -> str:
        """One line for the events; empty if there is nothing to say."""
        done = self.outcome
        parts = [f"{len(done.applied)} objects applied"] if done.applied else []
        parts += [f"{len(done.removed)} removed"] if done.removed else []
        return f"add-on {self.name}: {'; '.join([*parts, *done.problems])}" if parts or done.problems else ""


def read(addon: Addon) -> list[Object]:
    """The objects of an add-on that is files of the user's; raises SpecError for a file that is missing, another than
    lab.yaml's hash says, or no manifest.
    """
    found: list[Object] = []
    for file in _files(addon):
        try:
            data = file.read_bytes()
        except OSError as error:
            raise _wrong(addon, f"{file}: {error.strerror}", "correct its path in lab.yaml") from error
        if (manifest := addon.manifest) is not None and (digest := hashlib.sha256(data).hexdigest()) != manifest.sha256:
            text = f"{file} has the hash {digest}, but lab.yaml says {manifest.sha256}"
            raise _wrong(addon, text, "review the change, then write the new hash to manifest.sha256")
        found += addons.objects(data, file)
    return checked(addon, found)


def checked(addon: Addon, found: list[Object]) -> list[Object]:
    """The same objects; raises SpecError if there are none, or one is there twice."""
    if not found:
        raise _wrong(addon, f"{source(addon)} contains no objects", "put YAML files there, or remove the add-on")
    seen = set[Member]()
    for item in found:
        if (who := applyset.identity(item)) in seen:
            raise _wrong(addon, f"{source(addon)} contains {who} twice", "keep one of them")
        seen.add(who)
    return found


def _files(addon: Addon) -> list[Path]:
    if addon.manifest is not None:
        return [addon.manifest.path]
    if addon.path is None:
        return []
    return sorted(addon.path.glob("*.yaml")) if addon.path.is_dir() else [addon.path]


def _wrong(addon: Addon, text: str, hint: str) -> SpecError:
    return SpecError(f"add-on {addon.name}: {text}", hint=hint)


def source(addon: Addon) -> str:
    """What it comes from: a file, a folder, a chart, or a project at a version."""
    if addon.manifest is not None or addon.path is not None:
        return str(addon.manifest.path if addon.manifest is not None else addon.path)
    if addon.helm is not None:
        return f"{addon.helm.chart} {addon.helm.version}"
    known = CATALOGUE.get(str(addon.name))
    return f"{known.repository} {known.version}" if known is not None else ""


def content(objects: Sequence[Object]) -> str:
    """The hash by which a later look sees whether the same was applied."""
    return hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()


def rows(client: Client, wanted: Sequence[Addon], read: Reader = read) -> list[Row]:
    """The add-ons of lab.yaml in its order, and then those that only the cluster has."""
    parents, found = applyset.parents(client), list[Row]()
    for addon in wanted:
        parent = parents.pop(str(addon.name), None)
        state, problem = State.ABSENT, ""
        try:
            digest = content(read(addon))
        except SpecError as error:
            state, problem = State.BROKEN, error.message
        else:
            if parent is not None:
                state = State.APPLIED if parent.content == digest else State.CHANGED
        found.append(Row(str(addon.name), state, source(addon), problem))
    return [*found, *(Row(name, State.LEFT, "") for name in sorted(parents))]


def apply(client: Client, wanted: Sequence[Addon], read: Reader = read, *, prune: bool = True) -> Iterator[Done]:
    """Apply add-ons in their order, then (``prune``) remove the cluster's others.

    One that can't be read or is refused is named and stops no other; raises Unreachable or Overloaded if the API is
    away.
    """
    for addon in wanted:
        done = Done(str(addon.name))
        try:
            objects = read(addon)
            done.outcome = applyset.apply(client, done.name, objects, content(objects))
        except (Unreachable, Overloaded):
            raise
        except (SpecError, ApiError) as error:
            done.outcome.problems.append(error.message)
        yield done
    names = {str(addon.name) for addon in wanted}
    for name in sorted(applyset.parents(client).keys() - names) if prune else ():
        done = Done(name)
        try:
            done.outcome.removed = applyset.remove(client, name)
        except (Unreachable, Overloaded):
            raise
        except ApiError as error:
            done.outcome.problems.append(error.message)
        yield done


@dataclass(frozen=True, slots=True)
class Difference:
    """What an apply would change of one object."""

    member: Member
    verb: str
    """``create``, ``change``, ``remove`` or ``refuse``."""
    text: str
    """A unified diff, or why it is refused."""


def differences(client: Client, addon: Addon, read: Reader = read) -> Iterator[Difference]:
    """What applying it would change, by a dry run of the API server's own; raises SpecError if it can't be read."""
    name = str(addon.name)
    parent = applyset.parents(client).get(name, applyset.Parent(name))
    wanted = set[Member]()
    for raw in read(addon):
        item, there = raw, None
        try:
            item = applyset.placed(client, raw)
            there = applyset.current(client, item)
            then = client.apply(applyset.labelled(item, there, parent.id), dry_run=True)
        except NotFound:
            then = item  # its namespace or its kind comes with the same add-on
        except (Unreachable, Overloaded):
            raise
        except (ApiError, ValueError) as error:
            yield Difference(applyset.identity(item), "refuse", str(error))
            then = None
        member = applyset.identity(item)
        wanted.add(member)
        if then is not None and (text := _diff(there, then, member)):
            yield Difference(member, "create" if there is None else "change", text)
    for one in applyset.members(client, parent):
        if one.member not in wanted:
            yield Difference(one.member, "remove", "")


def _diff(there: Object | None, then: Object, member: Member) -> str:
    before = [] if there is None else _lines(there)
    return "\n".join(
        difflib.unified_diff(before, _lines(then), f"cluster: {member}", f"lab.yaml: {member}", lineterm="")
    )


def _lines(item: Object) -> list[str]:
    """What a user writes of an object, as YAML; a Secret's values are shown by their hashes."""
    shown = dict(says(item))
    if item["kind"] == "Secret":
        for key in ("data", "stringData"):
            shown |= {key: {name: _hidden(value) for name, value in shown[key].items()}} if shown.get(key) else {}
    return yamltext.dump(shown).splitlines()


def _hidden(value: object) -> str:
    return f"(hidden, hash {hashlib.sha256(str(value).encode()).hexdigest()[:8]})"
