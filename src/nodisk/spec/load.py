"""lab.yaml → Lab, or every problem of the file at once, each as ``file:line:col: path: what; what to do``.

A value that can't be read does not hide the other problems: it is put right with a stand-in, the rules run over the
rest, and what they say about stand-ins is left out.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nodisk import yamltree
from nodisk.errors import NodiskError, SpecError
from nodisk.spec import messages, repair, rules
from nodisk.spec.model import Lab
from nodisk.yamltree import Node, Problem, YamlError

_SHOWN = 100
"""Problems that are listed; who has more than that named the wrong file."""


def load(path: Path) -> Lab:
    """Read a lab's file; relative paths count from the file's folder.

    Raises SpecError with every problem, NodiskError if the file can't be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NodiskError(f"{path} is not a file", hint="name the lab's file: --lab lab.yaml")
        with path.open("rb") as file:
            data = file.read(yamltree.MAX_BYTES + 1)
    except OSError as error:
        hint = "nodisk init writes a lab.yaml to start from" if isinstance(error, FileNotFoundError) else None
        raise NodiskError(f"{path}: {error.strerror}", hint=hint) from error
    try:
        text = yamltree.decode(data)
    except YamlError as error:
        raise _refused([error.problem], path) from error
    return parse(text, file=path)


def parse(text: str, *, file: str | Path) -> Lab:
    """Read a lab from text; ``file`` is its name for messages. Raises SpecError with every problem."""
    lab, problems = examine(text, file=file)
    if lab is None or problems:
        raise _refused(problems, file)
    return lab


def examine(text: str, *, file: str | Path) -> tuple[Lab | None, list[Problem]]:
    """The lab and the problems of its text in the order of its lines; the lab is None where it can't be used."""
    try:
        root, found = yamltree.parse(text)
    except YamlError as error:
        return None, [error.problem]
    if root.entries is None:
        hint = "nodisk init writes a commented one to start from"
        what = "the file says nothing" if root.null else "a lab is a mapping: `name: …`, `network: …`, `machines: …`"
        return None, [Problem(root.line, root.column, what, hint)]
    data = data_of(root)
    problems = list(found)
    bad: set[yamltree.Path] = set()
    missing: list[rules.Finding] = []
    misspelt: set[yamltree.Path] = set()
    lab: Lab | None
    try:
        lab = Lab.model_validate(data)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            if item["type"] == "too_short" and item["input"]:
                continue  # pydantic counts the readable items only, and each of the others has its own message
            message = messages.of(item)
            bad.add(message.path)
            # A key that is misspelt stands for the right one, unless that is there too.
            bad.update(meant for meant in message.about if root.find(meant)[1] < len(meant))
            if item["type"] == "missing":
                missing.append(message)
            else:
                problems.append(_place(root, message))
                misspelt.update(message.about)
        # What is there under another name is not missing too.
        problems += [_place(root, message) for message in missing if message.path not in misspelt]
        lab = repair.repaired(data, bad)
    if lab is not None:
        for finding in rules.check(lab):
            if not any(_tainted(path, bad) for path in (finding.path, *finding.about)):
                problems.append(_place(root, finding))
    if lab is not None and not problems:
        lab = _with_whole_paths(lab, Path(file).absolute().parent)
    unique = {(p.line, p.column, p.path, p.message): p for p in problems}
    return (None if problems else lab), sorted(unique.values(), key=lambda p: (p.line, p.column))


def _with_whole_paths(lab: Lab, folder: Path) -> Lab:
    settings, changed = lab.kubernetes, dict[str, Any]()
    if settings.path is not None:
        changed["path"] = folder / settings.path
    for name in ("network_manifest", "policies_manifest"):
        if (manifest := getattr(settings, name)) is not None:
            changed[name] = manifest.model_copy(update={"path": folder / manifest.path})
    return lab.model_copy(update={"kubernetes": settings.model_copy(update=changed)}) if changed else lab


def data_of(node: Node) -> Any:
    """The tree as plain data for the model: scalars as their text, an empty value as None."""
    if node.entries is not None:
        return {key: data_of(value) for key, (_, value) in node.fields.items()}
    if node.items is not None:
        return [data_of(item) for item in node.items]
    return None if node.null else node.scalar


def _tainted(path: yamltree.Path, bad: set[yamltree.Path]) -> bool:
    """Whether ``path`` or what holds it, or (for a whole section) something in it, could not be read.

    How many machines there are is known, whatever is wrong in one of them.
    """
    inside = path != ("machines",)
    return any(path[: len(other)] == other or (inside and other[: len(path)] == path) for other in bad)


def _place(root: Node, message: rules.Finding) -> Problem:
    """A finding with its line; ``{other}`` in its text becomes the line of the thing it clashes with."""
    node, depth = root.find(message.path)
    if message.key or depth < len(message.path):
        parent, _ = root.find(message.path[:-1])
        node = parent.key(str(message.path[-1])) or node
    text = message.message
    if message.other is not None:
        text = text.replace("{other}", f"line {root.find(message.other)[0].line}")
    line = node.line + message.line if node.literal else node.line
    return Problem(line, 1 if line != node.line else node.column, text, message.hint, yamltree.path_text(message.path))


def _refused(problems: list[Problem], file: str | Path) -> SpecError:
    lines = "\n".join(problem.at(file) for problem in problems[:_SHOWN])
    if len(problems) > _SHOWN:
        lines += f"\n… and {len(problems) - _SHOWN} more"
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    return SpecError(f"{file} has {count}:\n{lines}")
