"""``GET /policies?have=VERSION&boot=ID``: a node's table of NetworkPolicies, held until it is another than it has.

nginx has checked the client's certificate against the cluster's authority; whose it is, is decided here.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.plan.daemons_nginx import CLIENT_SUBJECT
from nodisk.server.handlers.common import Problem, app_state_of
from nodisk.spec.model import Lab, Machine

HOLD = 45.0
"""Seconds: less than nginx waits for an answer (``proxy_read_timeout``, 60), and than the node's curl does."""


def node_of(lab: Lab, subject: str) -> Machine:
    """The machine whose kubelet's certificate has this subject; raises Problem 403 for any other."""
    for machine in lab.machines:
        if sorted(subject.split(",")) == [f"CN=system:node:{machine.name}", "O=system:nodes"]:
            return machine
    raise Problem(403, "this is for a machine of the lab, with its kubelet's certificate")


async def policies(request: Request) -> Response:
    """200 with the table; 204: it is still the one that the node has; 503: the server can't tell now, ask later."""
    app_state = app_state_of(request)
    node = str(node_of(app_state.texts.lab, request.headers.get(CLIENT_SUBJECT, "")).name)
    have, boot = (request.query_params.get(key, "")[:64] for key in ("have", "boot"))
    if not re.fullmatch(r"[0-9a-f-]*", boot):
        raise Problem(400, "not a boot id")
    if not app_state.rulesets.known(node):
        raise Problem(503, "the server has not seen the cluster's policies yet")
    found = await app_state.rulesets.newer(node, have, boot, HOLD)
    return PlainTextResponse(found.text) if found is not None else Response(status_code=204)
