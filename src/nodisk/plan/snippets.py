"""The user's Butane snippets in lab.yaml, merged into a machine's Ignition: lab, then role, then machine.

A later snippet takes precedence over an earlier one, by Ignition's own rules. Snippets can't change nodisk's own part:
a field that both set differently is an error that names both. Lists (further drop-ins, SSH keys, groups, appended
content) are merged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nodisk import yamltree
from nodisk.butane import Result, merge, translate, validate
from nodisk.butane.merging import Conflict, shared
from nodisk.errors import SpecError
from nodisk.plan import protected, snippet_words
from nodisk.spec.model import Lab, Machine

NEWEST_SPEC = 3
"""Debian's Ignition 2.14 reads specs up to 3.3.0, so nodisk's own config uses that."""

Where = Callable[[yamltree.Path, int | None], str]
"""Names a line (counted from 1; None: all) of the snippet at a path of lab.yaml."""


class Snippet(NamedTuple):
    """A snippet and its place in lab.yaml."""

    path: yamltree.Path
    text: str


def of(lab: Lab, machine: Machine) -> list[Snippet]:
    """A machine's snippets, in the order in which they are merged."""
    found: list[Snippet] = []
    settings = lab.roles.get(machine.role)
    if lab.butane is not None:
        found.append(Snippet(("butane",), lab.butane))
    if settings is not None and settings.butane is not None:
        found.append(Snippet(("roles", machine.role.value, "butane"), settings.butane))
    if machine.butane is not None:
        place = [one.mac for one in lab.machines].index(machine.mac)
        found.append(Snippet(("machines", place, "butane"), machine.butane))
    return found


def words(path: yamltree.Path, line: int | None) -> str:
    """``roles.worker.butane, line 3 of the snippet``."""
    return yamltree.path_text(path) + (f", line {line} of the snippet" if line else "")


def in_file(file: Path) -> Where:
    """Places as ``FILE:LINE: PATH``, by reading lab.yaml again; falls back to words if it can't be read."""
    try:
        root, _ = yamltree.parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yamltree.YamlError):
        return words

    def where(path: yamltree.Path, line: int | None) -> str:
        node, depth = root.find(path)
        if depth < len(path):
            return words(path, line)
        # Only a block written with `|` keeps its lines; of any other text just the beginning is known.
        number = node.line + (line or 0) if node.literal else node.line
        return f"{file}:{number}: {yamltree.path_text(path)}"

    return where


def apply(lab: Lab, machine: Machine, base: Mapping[str, Any], *, where: Where = words) -> dict[str, Any]:
    """``base``, nodisk's own Ignition 3.3.0 for ``machine``, with the machine's snippets merged in.

    Without snippets it is returned unchanged. Raises SpecError with every problem of every snippet.
    """
    config = dict(base)
    problems: list[str] = []
    for snippet in of(lab, machine):
        found, overlay = _read(snippet, where)
        if overlay is not None:
            found = [
                _clash(conflict, where(snippet.path, None)) for conflict in shared(base, overlay) if conflict.field
            ]
            found += [f"{where(snippet.path, None)}: {what}" for what in protected.changed(overlay)]
            config = merge(config, overlay)
        problems += found
    if not problems and config != base:
        # Each part was right by itself; what can still be wrong is their sum: a link over a file's folder.
        report = validate(config)
        problems = [f"{entry.path}: {entry.message}" for entry in report if entry.severity == "error"]
        problems = [f"the snippets of {machine.name} and nodisk's own Ignition together: {one}" for one in problems]
    if problems:
        raise SpecError("\n".join(problems))
    return config


def _clash(conflict: Conflict, place: str) -> str:
    what = f"{conflict.what} {conflict.name}"
    return (
        f"{place}: {what}: nodisk's own Ignition for this machine sets {conflict.field} too, and differently; "
        "leave it out of the snippet, or choose another name"
    )


def _read(snippet: Snippet, where: Where) -> tuple[list[str], dict[str, Any] | None]:
    """(problems, config raised to nodisk's spec); one of the two is empty."""
    result = translate(snippet.text, strict=True)
    if result.ignition is None:
        return _problems(result, snippet, where), None
    version = str(result.ignition["ignition"]["version"])  # type: ignore[index]  # every Ignition config has it
    if int(version.split(".")[1]) > NEWEST_SPEC:
        message = (
            f"{where(snippet.path, None)}: it needs Ignition {version}, but the machines' Ignition reads specs up to "
            f"3.{NEWEST_SPEC}.0; use variant fcos up to 1.4.0, or flatcar 1.0.0"
        )
        return [message], None
    config = result.ignition
    # Specs 3.0.0 to 3.3.0 only added fields: a config of an older one means the same in 3.3.0.
    config["ignition"]["version"] = f"3.{NEWEST_SPEC}.0"  # type: ignore[index]
    return [], config


def _problems(result: Result, snippet: Snippet, where: Where) -> list[str]:
    """Unknown keys are errors here: in a lab with ten machines, a typo must not pass as a warning."""
    lines = []
    for entry in result.report:
        path = f"{entry.path}: " if entry.path else ""
        lines.append(f"{where(snippet.path, entry.line)}: {path}{snippet_words.meant(entry.message)}")
    if not lines:
        lines.append(f"{where(snippet.path, None)}: {result.report.failure}")
    if "parsing variant" in lines[0] or "parsing version" in lines[0] or "No translator" in lines[0]:
        lines[0] += "; begin the snippet with `variant: fcos` and `version: 1.4.0`"
    return lines
