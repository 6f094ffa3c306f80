"""QEMU's control protocol (QMP): one JSON object a line over a unix socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodisk.errors import NodiskError


def execute(path: Path, command: str, arguments: Mapping[str, Any] | None = None, *, timeout: float = 5.0) -> Any:
    """Run one command and return its result; raises NodiskError if QEMU doesn't answer.

    ``quit`` may end QEMU before it answers: that counts as done, and the result is None.
    """
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(timeout)
            link.connect(str(path))
            lines = link.makefile("rw", encoding="utf-8")
            lines.readline()  # the greeting, with QEMU's version
            for name, given in (("qmp_capabilities", {}), (command, dict(arguments or {}))):
                lines.write(json.dumps({"execute": name, "arguments": given}) + "\n")
                lines.flush()
                answer = _answer(lines)
    except (ConnectionError, EOFError):
        if command == "quit":
            return None
        raise NodiskError(f"QEMU exited during {command}") from None
    except OSError as error:
        raise NodiskError(f"QEMU does not answer at {path}: {error}") from error
    if "error" in answer:
        raise NodiskError(f"QEMU refused {command}: {answer['error'].get('desc')}")
    return answer["return"]


def _answer(lines: Any) -> dict[str, Any]:
    """The next answer; events in between are skipped."""
    while line := lines.readline():
        message: dict[str, Any] = json.loads(line)
        if "return" in message or "error" in message:
            return message
    raise EOFError
