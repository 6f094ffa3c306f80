"""The API client: Kubernetes' own JSON over a pool of kept-alive TLS connections, with retries and typed errors.

Objects go in and come out as the API's JSON (``Object``). It speaks to any release, because it asks what is served
(``discovery``). It is synchronous and safe to use from threads; ``in_parallel`` is the one way to do many things at
once, and ``watch`` blocks its thread (an asyncio program calls both by ``asyncio.to_thread``).

    with connect(context) as client:
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "room-3"}})
        for node in client.list("v1", "Node"):
            ...
"""

from __future__ import annotations

import json
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from nodisk.cluster import kubeconfig
from nodisk.cluster.discovery import Discovery
from nodisk.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Gone,
    NotFound,
    Overloaded,
    Unreachable,
    from_status,
)
from nodisk.errors import EnvironmentProblem
from nodisk.values import KubeVersion

if TYPE_CHECKING:
    from nodisk.context import LabContext

log = logging.getLogger("nodisk.cluster")

T = TypeVar("T")
R = TypeVar("R")
Object = dict[str, Any]

FIELD_MANAGER = "nodisk"
PATIENCE = 30.0
CONNECTIONS = 16
PAGE = 500
# How often an apply that met another's write is sent again.
RACES = 10
# The API server gives a request up after 60 seconds: whoever stops reading before doesn't know what became of it.
TIMEOUT = httpx.Timeout(65.0, connect=15.0, pool=60.0)
# Statuses after which the same request may simply be sent again: the server was busy, or lost etcd for a moment.
_BUSY = frozenset({429, 500, 502, 503, 504})
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as one moment saw it."""

    items: list[Object]
    resource_version: str
    """Where a watch goes on from."""


@dataclass(slots=True)
class _Pool:
    """Connections that share one TLS identity."""

    endpoint: kubeconfig.Endpoint
    uds: Path | None
    identity: bool
    _http: httpx.Client | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def http(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS, keepalive_expiry=60)
                transport = httpx.HTTPTransport(
                    verify=self.endpoint.ssl_context(identity=self.identity),
                    limits=limits,
                    uds=None if self.uds is None else str(self.uds),
                )
                # trust_env=False: a proxy of the user's shell must not get the lab's traffic.
                self._http = httpx.Client(
                    base_url=self.endpoint.server, transport=transport, timeout=TIMEOUT, trust_env=False
                )
            return self._http

    def close(self) -> None:
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None


class Client:
    """One identity at one API server. Close it, or use it as a context manager."""

    def __init__(self, endpoint: kubeconfig.Endpoint, *, uds: Path | None = None, patience: float = PATIENCE) -> None:
        """``uds``: a unix socket that leads to the server; ``patience``: seconds for which a request is tried again."""
        self.endpoint = endpoint
        self.patience = patience
        self._token = endpoint.token
        self._pool = _Pool(endpoint, uds, identity=True)
        self._bearers = _Pool(endpoint, uds, identity=False)
        self.discovery = Discovery(self._get_json)
        self._shared = False

    def with_token(self, token: str, *, patience: float | None = None) -> Client:
        """The same API server as whoever holds ``token``; shares connections (none has a client certificate)."""
        other = object.__new__(Client)
        other.endpoint = self.endpoint
        other.patience = self.patience if patience is None else patience
        other._token = token
        other._pool = other._bearers = self._bearers
        other.discovery = self.discovery
        other._shared = True
        return other

    def close(self) -> None:
        """Close the connections; a client made by ``with_token`` leaves that to its parent."""
        if not self._shared:
            self._pool.close()
            self._bearers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The wire

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Object | bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        idempotent: bool | None = None,
    ) -> httpx.Response:
        """Send one request and return its answer; raises an ApiError.

        Broken connections and busy answers are tried again with back-off until ``patience`` is over. A request
        that isn't idempotent is sent again only if the server can't have acted on it.
        """
        repeatable = method in _IDEMPOTENT if idempotent is None else idempotent
        what = f"{method} {path}"
        deadline = time.monotonic() + self.patience
        delay = 0.1
        while True:
            pause = delay * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, no secret
            problem: ApiError
            try:
                response = self._pool.http().request(
                    method, path, params=params, headers=self._headers(accept, content_type), content=_encode(body)
                )
            except httpx.TransportError as error:
                problem = _unreachable(error, what, self.endpoint.server)
                unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                again = (repeatable or unsent) and not _untrusted(error)
            else:
                if response.status_code < 400:
                    return response
                problem = from_status(response.status_code, response.content, what, response.headers.get("Retry-After"))
                again = response.status_code == 429 or (repeatable and response.status_code in _BUSY)
                pause = max(pause, problem.retry_after or 0)
            if not again or time.monotonic() + pause > deadline:
                raise problem
            log.info("%s; trying again in %.1f s", problem.message, pause)
            time.sleep(pause)
            delay = min(delay * 2, 2.0)

    def _headers(self, accept: str, content_type: str) -> dict[str, str]:
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": "nodisk"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def stream(self, path: str, params: Mapping[str, str], *, timeout: httpx.Timeout) -> Any:
        """Open a GET whose answer is read as it comes (a context manager, as httpx's); no retries."""
        return self._pool.http().stream(
            "GET", path, params=params, headers=self._headers("application/json", "application/json"), timeout=timeout
        )

    def _get_json(self, path: str) -> Object:
        answer: Object = self.request("GET", path).json()
        return answer

    # What is served

    def version(self) -> KubeVersion:
        """The API server's release."""
        return KubeVersion.printed(self._get_json("/version")["gitVersion"])

    def supports(self, api_version: str, kind: str) -> bool:
        """Whether this release serves ``kind`` in ``api_version`` (``policy/v1``, ``PodDisruptionBudget``)."""
        return self.discovery.supports(api_version, kind)

    def first_supported(self, kind: str, api_versions: Sequence[str]) -> str | None:
        """The first of ``api_versions`` that serves ``kind``; None: this release has it in none."""
        return next((version for version in api_versions if self.supports(version, kind)), None)

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
        return self._get_json(self.path(api_version, kind, name, namespace=namespace))

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
        """All objects of a kind, of one namespace or of all, fetched in chunks.

        ``labels`` and ``fields`` are selectors as kubectl takes them; ``metadata_only`` leaves out spec and status.
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
        """As ``list``, with the resource version from which a watch goes on."""
        path = self.path(api_version, kind, namespace=namespace)
        params = selector(labels, fields) | {"limit": str(PAGE)}
        accept = f"{_METADATA_ONLY},application/json" if metadata_only else "application/json"
        items: list[Object] = []
        while True:
            try:
                page = self.request("GET", path, params=params, accept=accept).json()
            except Gone:
                # The list took so long that its moment was compacted away: once more, in one piece.
                params, items = selector(labels, fields), []
                continue
            for item in page.get("items") or []:
                items.append({"apiVersion": api_version, "kind": kind} | item)
            token = page["metadata"].get("continue")
            if not token:
                return Listing(items, page["metadata"].get("resourceVersion", ""))
            params = params | {"continue": token}

    def log(self, namespace: str, pod: str, *, container: str | None = None, tail: int | None = None) -> str:
        """What a container printed; ``tail``: its last lines only."""
        params = {} if container is None else {"container": container}
        if tail is not None:
            params["tailLines"] = str(tail)
        path = self.path("v1", "Pod", pod, namespace=namespace, subresource="log")
        return self.request("GET", path, params=params, accept="*/*").text

    # Writing

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Create an object; raises AlreadyExists. Safe if the connection breaks, unless it uses ``generateName``."""
        path = self.path(obj["apiVersion"], obj["kind"], namespace=obj["metadata"].get("namespace"))
        params = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        try:
            made: Object = self.request("POST", path, params=params, body=obj).json()
        except (Unreachable, Overloaded):
            if dry_run or "name" not in obj["metadata"]:
                raise
            # It may or may not have been made: by its name, a second try can tell.
            try:
                made = self.request("POST", path, params=params, body=obj).json()
            except AlreadyExists:
                made = self._get_json(self._path_of(obj))
        return made

    def apply(self, obj: Object, *, force: bool = True, dry_run: bool = False) -> Object:
        """Create or update an object by server-side apply as field manager ``nodisk``; returns what is there then.

        ``force`` takes fields from other managers; without it a Conflict names them.
        """
        params = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        params |= {"dryRun": "All"} if dry_run else {}
        path = self._path_of(obj)
        for attempt in range(RACES):
            try:
                return self._patch(path, obj, "application/apply-patch+yaml", params)
            except Conflict as error:
                if error.of_managers or attempt == RACES - 1:
                    raise
                # Somebody else made or changed the object between the API server's own reading and writing.
                time.sleep(0.05 * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, no secret
            except ApiError as error:
                if error.status != 415:  # server-side apply is switched off, or this release is older than it
                    raise
                break
        del params["force"]
        try:
            return self._patch(path, obj, "application/merge-patch+json", params)
        except NotFound:
            return self.create(obj, dry_run=dry_run)

    def patch(self, api_version: str, kind: str, name: str, change: Object, *, namespace: str | None = None) -> Object:
        """Merge ``change`` into an object (JSON merge patch: None removes a key)."""
        path = self.path(api_version, kind, name, namespace=namespace)
        return self._patch(path, change, "application/merge-patch+json", {"fieldManager": FIELD_MANAGER})

    def _patch(self, path: str, body: Object, content_type: str, params: Mapping[str, str]) -> Object:
        answer: Object = self.request(
            "PATCH", path, params=params, body=body, content_type=content_type, idempotent=True
        ).json()
        return answer

    def replace(self, obj: Object) -> Object:
        """Write an object as it is; raises Conflict if it changed since its ``resourceVersion`` was read."""
        params = {"fieldManager": FIELD_MANAGER}
        answer: Object = self.request("PUT", self._path_of(obj), params=params, body=obj).json()
        return answer

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        *,
        namespace: str | None = None,
        propagation: str = "Background",
        grace: int | None = None,
        missing_ok: bool = True,
        uid: str | None = None,
    ) -> bool:
        """Delete an object; returns whether it was there. ``grace`` in seconds; ``uid``: only that very object."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            self.request("DELETE", self.path(api_version, kind, name, namespace=namespace), body=options)
        except NotFound:
            if not missing_ok:
                raise
            return False
        except Conflict:
            # A namespace that is already going answers 409 in some releases: gone is what was wanted.
            if uid is not None or kind != "Namespace":
                raise
        return True

    def post_subresource(
        self, api_version: str, kind: str, name: str, subresource: str, body: Object, *, namespace: str
    ) -> Object:
        """POST to a subresource: ``binding``, ``eviction``, ``token``."""
        path = self.path(api_version, kind, name, namespace=namespace, subresource=subresource)
        answer: Object = self.request("POST", path, body=body).json()
        return answer

    def token(
        self, namespace: str, service_account: str, *, seconds: int, bound_to: Object | None = None
    ) -> tuple[str, str]:
        """Ask for a token of a ServiceAccount: (token, its expiry as the server set it, RFC 3339).

        ``bound_to``: a Secret or Pod (the object); the token dies with it. Asking twice only makes a second token.
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
        status = self.request("POST", path, body=body, idempotent=True).json()["status"]
        return status["token"], status["expirationTimestamp"]

    def allowed(self, verb: str, resource: str, *, group: str = "", namespace: str = "", subresource: str = "") -> bool:
        """Whether this identity may do that (SelfSubjectAccessReview), without doing it."""
        attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes | {"namespace": namespace}},
        }
        path = self.path("authorization.k8s.io/v1", "SelfSubjectAccessReview")
        return bool(self.request("POST", path, body=body, idempotent=True).json()["status"]["allowed"])

    def _path_of(self, obj: Object) -> str:
        meta = obj["metadata"]
        return self.path(obj["apiVersion"], obj["kind"], meta["name"], namespace=meta.get("namespace"))


def selector(labels: str | None, fields: str | None) -> dict[str, str]:
    """The query parameters of label and field selectors."""
    found = {} if labels is None else {"labelSelector": labels}
    return found if fields is None else found | {"fieldSelector": fields}


def _encode(body: Object | bytes | None) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _unreachable(error: httpx.TransportError, what: str, server: str) -> Unreachable:
    if _untrusted(error):
        return Unreachable(
            f"{server} shows a certificate that this lab's CA did not sign: {error}",
            hint="another machine answers at that address, or the lab's PKI was made anew",
        )
    said = str(error) or type(error).__name__
    return Unreachable(f"{what}: no answer from the API at {server}: {said}", hint="nodisk status shows what runs")


def connect(context: LabContext, *, patience: float = PATIENCE) -> Client:
    """The administrator's client of a lab; of a virtual lab through its unix socket, which crosses namespaces.

    Raises EnvironmentProblem if the lab has no credentials yet. Nothing is sent before the first call.
    """
    path = context.state.admin_kubeconfig
    if not path.exists():
        raise EnvironmentProblem(
            f"the lab {context.lab.name} has no administrator's kubeconfig yet ({path})",
            hint="nodisk serve (or nodisk lab up) makes it",
        )
    uds = None if context.netns is None else context.state.run / "api.sock"
    return Client(kubeconfig.load(path), uds=uds, patience=patience)


def in_parallel(
    function: Callable[[T], R], items: Iterable[T], *, workers: int = CONNECTIONS // 2
) -> list[R | Exception]:
    """Call ``function`` with each item, several at once; its results, or the exceptions it raised, in the items' order.

    Anything that isn't an Exception (Ctrl-C) ends the whole at once: what has not begun is not begun.
    """

    def attempt(item: T) -> R | Exception:
        try:
            return function(item)
        except Exception as error:
            return error

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="nodisk") as pool:
        try:
            return list(pool.map(attempt, items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def all_or_raise(results: Iterable[R | Exception]) -> list[R]:
    """The results of ``in_parallel`` if none failed; else raises the first failure."""
    good: list[R] = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        good.append(result)
    return good
