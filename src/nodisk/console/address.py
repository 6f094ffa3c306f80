"""Where browsers reach the console."""

from __future__ import annotations

from nodisk.classes import handouts
from nodisk.context import LabContext
from nodisk.errors import UsageError
from nodisk.machines import forward


def base(context: LabContext) -> str:
    """``https://ADDRESS:PORT``; of a virtual lab, the port of loopback that leads to it. Raises UsageError."""
    if context.netns is not None:
        port = forward.ports(context.state.run).get("console")
        if port is None:
            # Between the start of the virtual lab's forwarder and its record, or where that process was ended by hand.
            raise UsageError("this virtual lab's console has no port on this host yet", hint="nodisk lab up")
        return f"https://127.0.0.1:{port}"
    return context.lab.console_url


def door(context: LabContext, class_name: str) -> str:
    """The address at which a class's students sign in."""
    return base(context) + handouts.door_path(class_name)
