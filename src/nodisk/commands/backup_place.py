"""Where backups are, for the commands of ``nodisk backup``: the options that name a repository, and what they mean."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from nodisk.backup.restic import Repository
from nodisk.context import LabContext, LabOptions
from nodisk.errors import UsageError
from nodisk.spec import target as targets
from nodisk.state import State

F = TypeVar("F", bound=Callable[..., Any])


def target_options(option: str = "--to") -> Callable[[F], F]:
    """Add the options that name a repository; the command gets them as ``to`` and ``password_file``."""

    def add(command: F) -> F:
        @click.option(
            option,
            "to",
            metavar="DIR|ssh://…|s3://…",
            help="Location of the backups (default: backup.target in lab.yaml).",
        )
        @click.option(
            "--password-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="File that holds the password (default: lab.yaml's, else the one in the state directory).",
        )
        @functools.wraps(command)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return command(*args, **kwargs)

        return cast("F", wrapper)

    return add


def repository(context: LabContext, to: str | None, password_file: Path | None) -> Repository:
    """The repository that is meant; raises UsageError if neither options nor lab.yaml name one."""
    section = context.lab.backup
    if to is not None:
        target = targets.parse(to)
    elif section is not None:
        target = targets.parse(section.target, base=context.file.parent)
    else:
        raise UsageError("no place for backups is named", hint="use --to DIR, or set backup.target in lab.yaml")
    password = password_file or (section and section.password_file) or context.state.backup / "password"
    return Repository(target, password.absolute(), _cache(context.state.state))


def _cache(state: State) -> Path:
    return state.cache / "restic"


def elsewhere(state: State, to: str | None, password_file: Path | None, lab_file: Path) -> Repository:
    """The repository to restore from, on a host that may have no lab.yaml yet."""
    if lab_file.exists() and (to is None or password_file is None):
        return repository(LabOptions(lab_file, state).load(), to, password_file)
    if to is None:
        raise UsageError("no place for backups is named", hint="use --from DIR")
    if password_file is None:
        raise UsageError("the file with the backups' password is not named", hint="use --password-file FILE")
    return Repository(targets.parse(to), password_file.absolute(), _cache(state))
