"""Changing lab.yaml on disk: under a lock, by edits of its text, and only where the result is what was asked."""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodisk import files
from nodisk.errors import NodiskError, SpecError
from nodisk.spec import document, load
from nodisk.spec.model import Lab, Machine
from nodisk.yamltree import YamlError

WAIT = 10.0
"""Seconds for which another nodisk may be changing the file."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What to do with a lab: its new text, and the machines that it must then have."""

    text: str
    machines: tuple[Machine, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A lab.yaml before and after."""

    old: Lab
    new: Lab
    diff: str
    """As ``diff -u`` prints it."""


def change(path: Path, edit: Callable[[str, Lab], Edit], *, dry_run: bool = False) -> Change:
    """Apply ``edit`` to the file as it is now: it gets the text and the lab, and may raise.

    Nobody else's edit by nodisk comes between reading and writing; an editor's makes it fail. The new text is read by
    the rules of every lab.yaml first, and nothing but the machines may differ, as ``edit`` said.
    Raises SpecError where the file has problems, has them afterwards, or is written in a way that is left to a person;
    NodiskError where it can't be written.
    """
    try:
        with files.lock_folder(path.resolve().parent, str(path), wait=WAIT):
            text = document.read(path, usage="specify the lab file: --lab lab.yaml", absent="create one: nodisk init")
            before = path.read_bytes()
            old = load.parse(text, file=path)
            try:
                wanted = edit(text, old)
            except YamlError as error:
                raise document.refused([error.problem], path) from error
            new = _checked(wanted, old, path)
            if not dry_run:
                mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
                files.replace(path, mark + wanted.text.encode(), expected=before)
    except OSError as error:
        hint = "is it yours to write? run the command as its owner, or as root with sudo"
        raise NodiskError(f"{path} can't be changed: {error.strerror}", hint=hint) from error
    return Change(old, new, _diff(text, wanted.text, path))


def _checked(wanted: Edit, old: Lab, path: Path) -> Lab:
    new, problems = load.examine(wanted.text, file=path)
    if new is None:
        lines = "\n".join(problem.at(path) for problem in problems)
        raise SpecError(f"{path} was left as it is: after this change it would have problems:\n{lines}")
    if new != old.model_copy(update={"machines": wanted.machines}):
        raise SpecError(
            f"{path} was left as it is: the change would alter more than was asked",
            hint="an alias may stand for what is changed; change the file in an editor",
        )
    return new


def _diff(old: str, new: str, path: Path) -> str:
    lines = []
    for line in difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"{path}", f"{path} (new)"
    ):
        lines.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(lines).replace("\r\n", "\n")
