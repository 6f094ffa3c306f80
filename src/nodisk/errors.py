"""The tree of errors. Libraries raise these; ``cli.main`` is the one place that prints them and exits.

::

    NodiskError                 1   something failed; the message says what and where
    ├── UsageError              2   invalid arguments
    ├── SpecError               3   lab.yaml, a roster or another input file has errors
    ├── EnvironmentProblem      4   this host lacks something: a tool, a port, an interface, a privilege
    │   └── ToolMissing         4   a program is not installed
    ├── Busy                    5   another nodisk process holds a lock
    │   └── Changed             5   another program changed the file that was to be written
    ├── TimedOut                6   something did not happen in time
    ├── CommandFailed           1   a program that nodisk ran failed
    ├── IntegrityError          7   data on disk or from the network doesn't match its hash
    ├── NoCluster               8   the command needs a cluster, and this lab has none (kubernetes.engine: none)
    └── ApiError                1   the API server refused or didn't answer: subclasses in kube/errors.py

Ctrl-C exits with 130, SIGTERM with 143, SIGHUP with 129, as a shell reports them. The numbers are documented in
docs/reference/exit-codes.md.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence


class NodiskError(Exception):
    """An error to show to the user: what is wrong, and what to do about it (``hint``)."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def describe(error: BaseException) -> str:
    """Describe any error in one line, for use inside a longer message."""
    if isinstance(error, NodiskError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class UsageError(NodiskError):
    """Invalid arguments."""

    exit_code = 2


class SpecError(NodiskError):
    """A user's file has errors; ``message`` holds all of them, one per line."""

    exit_code = 3


class EnvironmentProblem(NodiskError):
    """This host lacks what the command needs."""

    exit_code = 4


class ToolMissing(EnvironmentProblem):
    """A program is not installed; the hint names the command that installs it."""

    def __init__(self, tool: str, *, package: str | None = None) -> None:
        super().__init__(
            f"{tool} is not installed on this host",
            hint=f"apt-get install --no-install-recommends {package or tool}",
        )
        self.tool = tool


class Busy(NodiskError):
    """Another nodisk process holds a lock that this one needs."""

    exit_code = 5


class Changed(Busy):
    """A file that was read, and is to be replaced, has been changed by another program since."""


class TimedOut(NodiskError):
    """Something did not happen in time."""

    exit_code = 6


class IntegrityError(NodiskError):
    """Content doesn't match its recorded or published hash."""

    exit_code = 7


class NoCluster(NodiskError):
    """The command needs a cluster, and this lab's machines are plain Debian."""

    exit_code = 8

    def __init__(self, lab: str) -> None:
        super().__init__(
            f"lab {lab} has no cluster: lab.yaml says kubernetes.engine: none",
            hint="nodisk ssh NAME logs in to a machine, nodisk inventory lists all for Ansible; "
            "a cluster takes engine: kubeadm and a machine with role: control-plane",
        )


class CommandFailed(NodiskError):
    """A program that nodisk ran exited with a non-zero status."""

    def __init__(self, argv: Sequence[str], returncode: int, output: str) -> None:
        tail = "\n".join(output.strip().splitlines()[-20:])
        message = f"{argv[0]} failed with status {returncode}"
        super().__init__(f"{message}:\n{tail}" if tail else message, hint=f"the command was: {shlex.join(argv)}")
        self.argv = tuple(argv)
        self.returncode = returncode
        self.output = output
