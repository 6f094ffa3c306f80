"""lab.yaml → Lab, or every problem of the file at once, each as ``file:line:col: path: what; what to do``.

A value that can't be read doesn't hide other problems: a stand-in replaces it, the rules check the rest, and findings
about stand-ins are dropped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nodisk import yamltree
from nodisk.spec import document, messages, repair, rules
from nodisk.spec.finding import Finding
from nodisk.spec.model import Lab, Machine
from nodisk.spec.model_addons import Addon
from nodisk.spec.model_backup import Backup
from nodisk.yamltree import Problem, YamlError


def load(path: Path) -> Lab:
    """Read a lab's file; relative paths are relative to its folder.

    Raises SpecError with every problem, NodiskError if the file can't be read.
    """
    usage, absent = "specify the lab file: --lab lab.yaml", "create one with nodisk init"
    return parse(document.read(path, usage=usage, absent=absent), file=path)


def parse(text: str, *, file: str | Path) -> Lab:
    """Read a lab from text; ``file`` is its name for messages. Raises SpecError with every problem."""
    lab, problems = examine(text, file=file)
    if lab is None or problems:
        raise document.refused(problems, file)
    return lab


def examine(text: str, *, file: str | Path) -> tuple[Lab | None, list[Problem]]:
    """Return the lab and the problems of its text, ordered by line; the lab is None if it can't be used."""
    try:
        root, found = yamltree.parse(text)
    except YamlError as error:
        return None, [error.problem]
    if root.entries is None:
        hint = "create a commented one with nodisk init"
        what = "the file is empty" if root.null else "a lab is a mapping: `name: …`, `network: …`, `machines: …`"
        return None, [Problem(root.line, root.column, what, hint)]
    data = document.data_of(root)
    problems = list(found)
    bad: set[yamltree.Path] = set()
    missing: list[Finding] = []
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
                problems.append(document.place(root, message))
                misspelt.update(message.about)
        # What is there under another name is not missing too.
        problems += [document.place(root, message) for message in missing if message.path not in misspelt]
        lab = repair.repaired(data, bad)
    if lab is not None:
        sections = {path[:length] for path in bad for length in range(len(path) + 1)}
        for finding in rules.check(lab):
            if not any(_tainted(path, bad, sections) for path in (finding.path, *finding.about)):
                problems.append(document.place(root, finding))
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
    machines = tuple(_with_whole_power_paths(machine, folder) for machine in lab.machines)
    kubernetes = settings.model_copy(update=changed)
    addons = tuple(_with_whole_addon_paths(addon, folder) for addon in lab.addons)
    return lab.model_copy(
        update={
            "kubernetes": kubernetes,
            "machines": machines,
            "addons": addons,
            "backup": _whole_backup(lab, folder),
        }
    )


def _with_whole_addon_paths(addon: Addon, folder: Path) -> Addon:
    manifest = addon.manifest and addon.manifest.model_copy(update={"path": folder / addon.manifest.path})
    helm = addon.helm
    if helm is not None and not helm.is_remote:
        helm = helm.model_copy(update={"chart": str(folder / helm.chart)})
    return addon.model_copy(update={"manifest": manifest, "path": addon.path and folder / addon.path, "helm": helm})


def _whole_backup(lab: Lab, folder: Path) -> Backup | None:
    if lab.backup is None or lab.backup.password_file is None:
        return lab.backup
    return lab.backup.model_copy(update={"password_file": folder / lab.backup.password_file})


def _with_whole_power_paths(machine: Machine, folder: Path) -> Machine:
    files = {key: folder / file for key in ("certificate", "ca") if (file := getattr(machine.power, key)) is not None}
    return machine.model_copy(update={"power": machine.power.model_copy(update=files)}) if files else machine


def _tainted(path: yamltree.Path, bad: set[yamltree.Path], sections: set[yamltree.Path]) -> bool:
    """Whether ``path``, a parent of it, or (for a whole section) something in it could not be read.

    ``sections``: all that has something bad in it. The number of machines is known, whatever is wrong with one of them.
    """
    if path != ("machines",) and path in sections:
        return True
    return any(path[:length] in bad for length in range(len(path) + 1))
