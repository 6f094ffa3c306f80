"""The API client: Kubernetes' own JSON over a pool of kept-alive TLS connections, with retries and typed errors.

Objects go in and come out as the API's JSON (``Object``). It speaks to any release, because it asks what is served
(``discovery``). It is synchronous and safe to use from threads; ``nodisk.parallel`` does many things at once,
and ``watch`` blocks its thread (an asyncio program calls both by ``asyncio.to_thread``).

    with connect(context) as client:
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "room-3"}})
        for node in client.list("v1", "Node"):
            ...
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nodisk.context import LabContext
from nodisk.errors import TimedOut
from nodisk.kube import kubeconfig
from nodisk.kube.discovery import Discovery
from nodisk.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, Gone, NotFound
from nodisk.kube.ours import FIELD_MANAGER, made_by_us, says
from nodisk.kube.patience import LOOK, Say, unheard
from nodisk.kube.transport import Object, Transport
from nodisk.values import KubeVersion
from nodisk.waiting import Deadline

__all__ = ["FIELD_MANAGER", "Client", "Listing", "Object", "connect", "selector"]

T = TypeVar("T")

PAGE = 500
# How often an apply that met another's write is sent again.
RACES = 10
MERGED = "APIService"
"""A kind that is merged instead of applied: Kubernetes 1.20 panics at its server-side apply and ends the connection."""
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list at one moment."""

    items: list[Object]
    resource_version: str
    """Where a watch continues."""


class Client(Transport):
    """The objects of one API server, as one identity sees them. Close it or use it as a context manager."""

    discovery: Discovery
    """What the server serves; shared with clients made by ``with_token``."""

    def _opened(self) -> None:
        self.discovery = Discovery(self.get_json, self._settle)

    # What is served

    def version(self) -> KubeVersion:
        """The API server's release."""
        return KubeVersion.printed(self.get_json("/version")["gitVersion"])

    def supports(self, api_version: str, kind: str) -> bool:
        """Whether this release serves ``kind`` in ``api_version`` (``policy/v1``, ``PodDisruptionBudget``)."""
        return self.discovery.supports(api_version, kind)

    def first_supported(self, kind: str, api_versions: Sequence[str]) -> str | None:
        """The first of ``api_versions`` that serves ``kind``; None if this release has it in none of them."""
        return next((version for version in api_versions if self.supports(version, kind)), None)

    def _settle(self) -> None:
        """Wait until the API server serves everything: before that it may answer 404 for kinds that it will serve."""
        try:
            self.request("GET", "/readyz", accept="*/*")
        except (Forbidden, NotFound):
            return  # whoever asks may not know, or the release is older than the path

    def until(self, what: str, look: Callable[[], T | None]) -> T:
        """Wait until ``look`` finds something that a young cluster creates by itself, and return it. Raises TimedOut.

        ``what`` ends the sentence "waiting for …".
        """
        deadline, pause = Deadline(self.patience), 0.1
        while (found := look()) is None:
            self.outage.waiting(f"waiting for {what}", deadline.end - self.patience, deadline.end)
            if not deadline.pause(pause):
                raise TimedOut(
                    f"timed out after {self.patience:g} s waiting for {what}",
                    hint="check the control plane with nodisk status, then retry the command",
                )
            pause = min(pause * 1.5, 2.0)
        return found

    def path(
        self,
        api_version: str,
        kind: str,
        name: str | None = None,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
    ) -> str:
        """The URL's path of an object, a collection or a subresource."""
        resource = self.discovery.resource(api_version, kind)
        return resource.path(name=name, namespace=namespace, subresource=subresource)

    # Reading

    def get(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> Object:
        """One object; raises NotFound."""
        return self.get_json(self.path(api_version, kind, name, namespace=namespace))

    def list(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
        metadata_only: bool = False,
    ) -> list[Object]:
        """All objects of a kind, in one namespace or in all, fetched in chunks.

        ``labels`` and ``fields`` are selectors as for kubectl; ``metadata_only`` leaves out spec and status.
        """
        return self.listing(
            api_version, kind, namespace=namespace, labels=labels, fields=fields, metadata_only=metadata_only
        ).items

    def listing(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
        metadata_only: bool = False,
    ) -> Listing:
        """As ``list``, with the resource version from which a watch continues."""
        path = self.path(api_version, kind, namespace=namespace)
        params = selector(labels, fields) | {"limit": str(PAGE)}
        accept = f"{_METADATA_ONLY},application/json" if metadata_only else "application/json"
        items: list[Object] = []
        while True:
            try:
                page = self.json("GET", path, params=params, accept=accept)
            except Gone:
                # The list took so long that its moment was compacted away: once more, in one piece.
                params, items = selector(labels, fields), []
                continue
            for item in page.get("items", []):
                items.append({"apiVersion": api_version, "kind": kind} | item)
            meta = page.get("metadata", {})
            token = meta.get("continue")
            if not token:
                return Listing(items, meta.get("resourceVersion", ""))
            params = params | {"continue": token}

    # Writing

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Create an object; raises AlreadyExists. Retried by its name, but not with ``generateName``."""
        path = self.path(obj["apiVersion"], obj["kind"], namespace=obj["metadata"].get("namespace"))
        params = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        try:
            return self.json("POST", path, params=params, body=obj, idempotent="name" in obj["metadata"])
        except AlreadyExists as error:
            if not error.repeated or dry_run or not made_by_us(obj, there := self.get_json(self._path_of(obj))):
                raise
            return there  # an earlier try made it, and its answer was lost

    def apply(self, obj: Object, *, force: bool = True, dry_run: bool = False) -> Object:
        """Create or update an object by server-side apply as field manager ``nodisk``; returns the resulting object.

        ``force`` takes fields from other managers; without it a Conflict names them.
        """
        params = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        forced = params | {"force": "true" if force else "false"}
        path = self._path_of(obj)
        if obj["kind"] == MERGED:
            return self._merge(path, obj, params)
        for attempt in range(RACES):
            try:
                return self._patch(path, obj, "application/apply-patch+yaml", forced)
            except Conflict as error:
                if error.of_managers or attempt == RACES - 1:
                    raise
                # Somebody else made or changed the object between the API server's own reading and writing.
                time.sleep(0.05 * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, no secret
            except ApiError as error:
                if error.status != 415:  # server-side apply is switched off, or this release is older than it
                    raise
                break
        return self._merge(path, obj, params)

    def _merge(self, path: str, obj: Object, params: dict[str, str]) -> Object:
        try:
            if obj["kind"] == MERGED:
                there = dict.fromkeys(self.get_json(path).get("spec", {}))
                obj = obj | {"spec": there | obj.get("spec", {})}  # what it had and hasn't any more is null, and goes
            return self._patch(path, obj, "application/merge-patch+json", params)
        except NotFound:
            return self.create(obj, dry_run="dryRun" in params)

    def patch(self, api_version: str, kind: str, name: str, change: Object, *, namespace: str | None = None) -> Object:
        """Merge ``change`` into an object (JSON merge patch: None removes a key)."""
        path = self.path(api_version, kind, name, namespace=namespace)
        return self._patch(path, change, "application/merge-patch+json", {"fieldManager": FIELD_MANAGER})

    def _patch(self, path: str, body: Object, content_type: str, params: Mapping[str, str]) -> Object:
        return self.json("PATCH", path, params=params, body=body, content_type=content_type, idempotent=True)

    def replace(self, obj: Object) -> Object:
        """Write an object as it is; raises Conflict if it changed since its ``resourceVersion`` was read."""
        path, params = self._path_of(obj), {"fieldManager": FIELD_MANAGER}
        try:
            return self.json("PUT", path, params=params, body=obj)
        except Conflict as error:
            if error.repeated and says(there := self.get_json(path)) == says(obj):
                return there  # an earlier try wrote it, and its answer was lost
            raise

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        *,
        namespace: str | None = None,
        grace: int | None = None,
        uid: str | None = None,
    ) -> bool:
        """Delete an object; returns whether it existed. ``grace`` in seconds; ``uid``: only that very object, so
        that a retry can't delete another one of the same name.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            self.request("DELETE", self.path(api_version, kind, name, namespace=namespace), body=options)
        except NotFound as error:
            return error.repeated  # an earlier try deleted it, and its answer was lost
        except Conflict as error:
            # A namespace that is already going answers 409 in some releases: gone is what was wanted.
            # With ``uid`` it says that another object has the name by now.
            if uid is not None and "uid" in error.message.lower():
                return error.repeated
            if kind != "Namespace":
                raise
        return True

    def delete_all(self, api_version: str, kind: str, *, namespace: str, grace: int | None = None) -> None:
        """Delete all objects of a kind in a namespace, which need not exist; ``grace`` in seconds."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        self.request("DELETE", self.path(api_version, kind, namespace=namespace), body=options)

    def post_subresource(
        self, api_version: str, kind: str, name: str, subresource: str, body: Object, *, namespace: str
    ) -> Object:
        """POST to a subresource: ``binding``, ``eviction``, ``token``."""
        path = self.path(api_version, kind, name, namespace=namespace, subresource=subresource)
        return self.json("POST", path, body=body)

    def token(
        self, namespace: str, service_account: str, *, seconds: int, bound_to: Object | None = None
    ) -> tuple[str, str]:
        """Request a token for a ServiceAccount: (token, its expiry as the server set it, RFC 3339).

        ``bound_to``: a Secret or Pod (the object); deleting it revokes the token. A retry only makes a second token.
        """
        spec: Object = {"expirationSeconds": seconds}
        if bound_to is not None:
            meta = bound_to["metadata"]
            spec["boundObjectRef"] = {
                "apiVersion": bound_to.get("apiVersion", "v1"),
                "kind": bound_to["kind"],
                "name": meta["name"],
                "uid": meta["uid"],
            }
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = self.path("v1", "ServiceAccount", service_account, namespace=namespace, subresource="token")
        status = self.json("POST", path, body=body, idempotent=True)["status"]
        return status["token"], status["expirationTimestamp"]

    def _path_of(self, obj: Object) -> str:
        meta = obj["metadata"]
        return self.path(obj["apiVersion"], obj["kind"], meta["name"], namespace=meta.get("namespace"))


def selector(labels: str | None, fields: str | None) -> dict[str, str]:
    """The query parameters of label and field selectors."""
    found = {} if labels is None else {"labelSelector": labels}
    return found if fields is None else found | {"fieldSelector": fields}


def connect(context: LabContext, *, patience: float = LOOK, within: float | None = None, say: Say = unheard) -> Client:
    """The administrator's client of a lab; for a virtual lab through its unix socket, which crosses namespaces.

    The options are ``Transport``'s. Raises EnvironmentProblem if the lab has no credentials yet. Nothing is sent before
    the first call.
    """
    path = kubeconfig.of_admin(context.state)
    uds = None if context.netns is None else context.state.run / "api.sock"
    return Client(kubeconfig.load(path), uds=uds, patience=patience, within=within, say=say)
