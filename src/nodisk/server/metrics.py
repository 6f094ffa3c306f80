"""The server as the cluster's ``metrics.k8s.io``: its objects are kept there, unless an add-on serves that API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from nodisk.errors import describe
from nodisk.kube import kubeconfig
from nodisk.kube.client import Client
from nodisk.kube.errors import ApiError, NotFound, Overloaded, Unreachable
from nodisk.pki.profiles import Ca
from nodisk.plan import cluster_metrics
from nodisk.spec.model import Lab
from nodisk.state import LabState

LOOK, AGAIN = 60.0, 5.0
"""Seconds between two looks at the objects; and while the API is away."""
WITHIN = 20.0
"""Seconds after which a look is given up."""
ASK = 3.0
"""Seconds to wait for the API while somebody waits for the metrics."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Objects that somebody chose by selectors."""

    kind: str
    """``Pod`` or ``Node``."""
    namespace: str | None
    labels: str | None
    fields: str | None


def _connect(state: LabState, within: float) -> Client:
    return Client(kubeconfig.load(state.admin_kubeconfig), patience=0, within=within)


Connect = Callable[[LabState, float], Client]


async def chosen(state: LabState, choice: Choice, connect: Connect = _connect) -> set[tuple[str, str]]:
    """Namespace and name of each object of a choice, as the API server knows them; raises ApiError."""

    def ask() -> set[tuple[str, str]]:
        with connect(state, ASK) as client:
            found = client.list(
                "v1",
                choice.kind,
                namespace=choice.namespace,
                labels=choice.labels,
                fields=choice.fields,
                metadata_only=True,
            )
        return {(item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in found}

    return await asyncio.to_thread(ask)


def provide(client: Client, lab: Lab, ca_pem: bytes) -> bool:
    """Put the objects where they aren't; returns whether the server answers for the API. Raises ApiError."""
    last = cluster_metrics.API_SERVICE
    try:
        there = client.get(last["apiVersion"], last["kind"], last["name"])
    except NotFound:
        there = {}
    service = there.get("spec", {}).get("service") or {}
    if there and service.get("name") != cluster_metrics.NAME:
        return False
    for one in cluster_metrics.objects(lab, ca_pem):
        client.apply(one)
    return True


async def keep(lab: Lab, state: LabState, say: Callable[[str], None], connect: Connect = _connect) -> None:
    """Look after the objects until this is cancelled; what changes is said."""
    ca_pem, said = (state.pki / f"{Ca.SERVER}.crt").read_bytes(), ""

    def look() -> str:
        with connect(state, WITHIN) as client:
            return "" if provide(client, lab, ca_pem) else "an add-on answers for the cluster's metrics"

    while True:
        pause = LOOK
        try:
            text = await asyncio.to_thread(look)
        except (Unreachable, Overloaded, NotFound):  # a young cluster has no namespaces yet
            text, pause = said, AGAIN
        except ApiError as error:
            text = f"kubectl top does not work: {describe(error)}"
        if text and text != said:
            say(text)
        said = text
        await asyncio.sleep(pause)
