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

import time
from collections.abc import Mapping

from nodisk.context import LabContext
from nodisk.kube import kubeconfig, protocols
from nodisk.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from nodisk.kube.ours import FIELD_MANAGER, made_by_us, says
from nodisk.kube.patience import LOOK, Say, unheard
from nodisk.kube.reader import Listing, Reader, selector
from nodisk.kube.transport import Object, spread

__all__ = ["FIELD_MANAGER", "Client", "Listing", "Object", "connect", "selector"]

# How often an apply that met another's write is sent again.
RACES = 10
MERGED = "APIService"
"""A kind that is merged instead of applied: Kubernetes 1.20 panics at its server-side apply and ends the connection."""


class Client(Reader):
    """The objects of one API server, as one identity sees them. Close it or use it as a context manager."""

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
        path, obj = self._path_of(obj), protocols.said(obj)
        if obj["kind"] == MERGED:
            return self._merge(path, obj, params)
        for attempt in range(RACES):
            try:
                return self._patch(path, obj, "application/apply-patch+yaml", forced)
            except Conflict as error:
                if error.of_managers or attempt == RACES - 1:
                    raise
                # Somebody else made or changed the object between the API server's own reading and writing.
                time.sleep(spread(0.05))
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


def connect(context: LabContext, *, patience: float = LOOK, within: float | None = None, say: Say = unheard) -> Client:
    """The administrator's client of a lab; for a virtual lab through its unix socket, which crosses namespaces.

    The options are ``Transport``'s. Raises EnvironmentProblem if the lab has no credentials yet. Nothing is sent before
    the first call.
    """
    path = kubeconfig.of_admin(context.state)
    uds = None if context.netns is None else context.state.run / "api.sock"
    return Client(kubeconfig.load(path), uds=uds, patience=patience, within=within, say=say)
