"""What is in the messages of an exec over a WebSocket: ``v4.channel.k8s.io``, as Kubernetes 1.20 … 1.36 speak it. Pure.

A message is binary: its first byte says whose the rest is. The API server copies messages between its client and the
kubelet, which ends them (k8s.io/kubelet, ``pkg/cri/streaming/remotecommand/websocket.go``). There is no message that
ends the standard input: a command that reads a text must be told how long it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

PROTOCOL = "v4.channel.k8s.io"
LARGEST = 500
"""Columns and rows of a terminal."""


class Channel(IntEnum):
    """Whose the bytes of a message are."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    status: int | None
    """Its exit status; None: it never ran, or was lost."""
    message: str = ""
    """What Kubernetes says of it."""


def frame(channel: Channel, data: bytes) -> bytes:
    """The message that carries ``data``."""
    return bytes((channel,)) + data


def parse(message: bytes | str) -> tuple[Channel, bytes]:
    """Whose a message is, and what it carries; raises ValueError for one that the protocol doesn't know."""
    if isinstance(message, str):
        raise ValueError("a text where only bytes are spoken")
    if not message:
        raise ValueError("a message without a channel")
    return Channel(message[0]), message[1:]


def size(columns: int, rows: int) -> bytes:
    """The message that tells the size of the terminal; raises ValueError unless both are 1 … LARGEST."""
    if not (1 <= columns <= LARGEST and 1 <= rows <= LARGEST):
        raise ValueError(f"{columns} × {rows} is no size of a terminal")
    return frame(Channel.RESIZE, json.dumps({"Width": columns, "Height": rows}, separators=(",", ":")).encode())


def outcome(data: bytes) -> Outcome:
    """How the command ended, from what came on the error channel: a ``Status`` of meta/v1, or words."""
    try:
        status: Any = json.loads(data)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        return Outcome(None, data[:300].decode(errors="replace"))
    message = str(status.get("message") or "")[:300]
    if status.get("status") == "Success":
        return Outcome(0, message)
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, dict) and cause.get("reason") == "ExitCode" and str(cause.get("message")).isdecimal():
            return Outcome(int(str(cause["message"])[:4]), message)
    return Outcome(None, message)
