"""What the cluster's API says of the machines' nodes, for ``nodisk status`` and the console: soon, or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem
from nodisk.kube import drain, leaders
from nodisk.kube.client import connect
from nodisk.kube.errors import ApiError, Late, Unreachable
from nodisk.kube.leaders import Leaders
from nodisk.kube.objects import boot_id, readiness
from nodisk.kube.patience import Say, unheard
from nodisk.values import Role

ANSWER_WITHIN = 2.5
"""Seconds for which the API's answer is waited for, unless told otherwise."""
MOST_WAIT = 600.0
"""Seconds for which it can be waited for."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """What the API says of a machine's node; None where it can't be asked is the caller's."""

    ready: str
    """True, False or Unknown, as the Ready condition has it; Unknown too if the object is of an earlier boot."""
    version: str | None
    boot_id: str | None
    closed: bool = False
    """Whether no new pod gets onto it."""


class Api(StrEnum):
    """What came of asking the API."""

    ANSWERS = "answers"
    AWAY = "away"
    """Nothing listens there, or it breaks the connection."""
    SLOW = "slow"
    """No answer yet: it may need more time, or never answer."""
    REFUSES = "refuses"
    """It answered, with an error."""
    NONE = "none"
    """The lab has no cluster."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The API's answer."""

    api: Api
    nodes: Mapping[str, NodeView]
    """The cluster's nodes by name; none unless it answers."""
    words: str
    """What came of it, for people."""
    leaders: Leaders | None = None
    """None where only one control plane could lead, or the API doesn't answer."""


def ask(context: LabContext, *, wait: float = ANSWER_WITHIN, say: Say = unheard) -> Asked:
    """What the API says of the nodes now, within ``wait`` seconds; raises nothing.

    It is asked once: an API that is away is no reason to wait, one that is slow may be, and ``say`` is told of that.
    """
    if not context.lab.has_cluster:
        return Asked(Api.NONE, {}, "no cluster (kubernetes.engine: none)")
    several = sum(machine.role is Role.CONTROL_PLANE for machine in context.lab.machines) > 1
    late = Asked(Api.SLOW, {}, f"API is slow or stuck: no answer within {wait:g} s (to wait longer: {_longer(wait)})")
    found = late

    def once() -> None:
        nonlocal found
        try:
            with connect(context, patience=0.0, within=wait) as client:
                nodes = {node["metadata"]["name"]: view(node) for node in client.list("v1", "Node")}
                leading = leaders.ask(client, time.time()) if several else None
            found = Asked(Api.ANSWERS, nodes, "API answers", leading)
        except Late:
            found = late
        except (Unreachable, EnvironmentProblem):
            found = Asked(Api.AWAY, {}, "API does not answer")
        except ApiError as error:
            found = Asked(Api.REFUSES, {}, f"API answers with an error ({error.message})")

    # An answer that trickles in has no time limit of its own: the thread that reads it is left behind.
    thread = threading.Thread(target=once, name="nodisk-status", daemon=True)
    thread.start()
    thread.join(min(wait, ANSWER_WITHIN))
    if thread.is_alive() and wait > ANSWER_WITHIN:
        say(f"the API is slow to answer: waiting for up to {wait:g} s")
        thread.join(wait - ANSWER_WITHIN)
    return found


def _longer(wait: float) -> str:
    """The option that waits for longer than ``wait`` seconds did: long enough for a lab of emulated machines."""
    return f"--wait {min(MOST_WAIT, max(20.0, 4 * wait)):.0f}s"


def view(node: Mapping[str, Any]) -> NodeView:
    """The parts of a Node object that a row shows."""
    info = (node.get("status") or {}).get("nodeInfo") or {}
    return NodeView(readiness(node), info.get("kubeletVersion"), boot_id(node), drain.is_closed(node))
