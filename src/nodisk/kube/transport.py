"""Requests to one API server as one identity: a pool of kept-alive TLS connections, retries, typed errors."""

from __future__ import annotations

import copy
import json
import math
import random
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2

from nodisk.kube import kubeconfig
from nodisk.kube.errors import ApiError, Late, Unreachable, from_status
from nodisk.kube.patience import LOOK, Outage, Say, passing, unheard
from nodisk.waiting import Deadline

Object = dict[str, Any]

CONNECTIONS = 16
# The API server gives a request up after 60 seconds: a client that stops reading earlier doesn't know what became of
# it.
TIMEOUT = httpx2.Timeout(65.0, connect=15.0, pool=60.0)
# Statuses after which the same request may simply be sent again: the server was busy, or lost etcd for a moment.
_BUSY = frozenset({429, 500, 502, 503, 504})
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
# Of its own: the module's shared one may be seeded by others, as property-based tests do, and threads ask here.
_RANDOM = random.Random()  # noqa: S311 - spreads retries, no secret


def spread(seconds: float) -> float:
    """About so many seconds: many that fail at the same moment don't try again at the same one."""
    return seconds * _RANDOM.uniform(0.5, 1.5)


@dataclass(slots=True)
class _Pool:
    """Connections that share one TLS identity."""

    endpoint: kubeconfig.Endpoint
    uds: Path | None
    identity: bool
    transport: httpx2.BaseTransport | None
    _http: httpx2.Client | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def http(self) -> httpx2.Client:
        with self._lock:
            if self._http is None:
                transport = self.transport or self._wire()
                # trust_env=False: a proxy of the user's shell must not get the lab's traffic.
                self._http = httpx2.Client(
                    base_url=self.endpoint.server, transport=transport, timeout=TIMEOUT, trust_env=False
                )
            return self._http

    def _wire(self) -> httpx2.BaseTransport:
        return httpx2.HTTPTransport(
            verify=self.endpoint.ssl_context(identity=self.identity),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS, keepalive_expiry=60),
            uds=None if self.uds is None else str(self.uds),
        )

    def close(self) -> None:
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None


class Transport:
    """One identity at one API server. Close it, or use it as a context manager."""

    def __init__(
        self,
        endpoint: kubeconfig.Endpoint,
        *,
        uds: Path | None = None,
        patience: float = LOOK,
        within: float | None = None,
        say: Say = unheard,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """``uds``: a unix socket that leads to the server; ``patience``: seconds for which a failing request is
        retried, see ``nodisk.kube.patience``; ``within``: seconds from now after which nothing is waited for;
        ``say``: gets a line about what the client waits for if that takes long; ``transport``: carries the requests
        instead of TLS connections to the endpoint.
        """
        self.endpoint = endpoint
        self.patience = patience
        self.outage = Outage(say)
        self._limit = Deadline(within)
        self._token = endpoint.token
        self._pool = _Pool(endpoint, uds, identity=True, transport=transport)
        self._bearers = _Pool(endpoint, uds, identity=False, transport=transport)
        self._shared = False
        self._opened()

    def _opened(self) -> None:
        """For a subclass: create its own state. Runs once, and not for clients made by ``with_token``."""

    def with_token(self, token: str, *, patience: float | None = None) -> Self:
        """A client of the same API server with ``token``; shares connections (none has a client certificate)."""
        other = copy.copy(self)
        other.patience = self.patience if patience is None else patience
        other._token = token
        other._pool = self._bearers
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
    ) -> httpx2.Response:
        """Send one request and return its answer; raises an ApiError.

        Broken connections, busy answers and the refusals of a young cluster are retried with back-off until
        ``patience`` is over. A request that isn't idempotent is sent again only if the server can't have acted on it.
        An error's ``repeated`` says that an earlier try may have been carried out.
        """
        harmless = method in _IDEMPOTENT or "dryRun" in (params or {})
        repeatable = harmless if idempotent is None else idempotent
        what = f"{method} {path}"
        began: float | None = None
        delay, repeated = 0.1, False
        while True:
            pause = spread(delay)
            problem: ApiError
            try:
                response = self._pool.http().request(
                    method,
                    path,
                    params=params,
                    headers=self._headers(accept, content_type),
                    content=_encode(body),
                    timeout=self._timeout(),
                )
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                problem = _unreachable(error, what, self.endpoint.server)
                unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
                again, acted = (repeatable or unsent) and not _untrusted(error), not unsent
            else:
                status = response.status_code
                if status not in _BUSY:
                    self.outage.answered()
                if status < 400:
                    return response
                problem = from_status(status, response.content, what, response.headers.get("Retry-After"))
                again = status == 429 or (repeatable and status in _BUSY) or passing(problem)
                acted = status >= 500
                pause = max(pause, problem.retry_after or 0)
            problem.repeated = repeated
            began = self._wait(problem, began, pause, again=again)
            repeated = repeated or acted
            delay = min(delay * 2, 2.0)

    def _wait(self, problem: ApiError, began: float | None, pause: float, *, again: bool) -> float:
        """Sleep before the next try, and return since when it has been failing; raises what can't be tried again."""
        away = isinstance(problem, Unreachable) or problem.status in _BUSY
        since = self.outage.failed(began) if away else (began or time.monotonic())
        until = min(since + self.patience, self._limit.end)
        if not again or time.monotonic() + pause > until:
            raise problem
        self.outage.waiting(problem.message, since, until)
        time.sleep(pause)
        return since if began is None else began

    def _timeout(self) -> httpx2.Timeout:
        return TIMEOUT if self._limit.end == math.inf else httpx2.Timeout(max(0.05, self._limit.left))

    def _headers(self, accept: str, content_type: str) -> dict[str, str]:
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": "nodisk"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def stream(self, path: str, params: Mapping[str, str], *, timeout: httpx2.Timeout) -> Any:
        """Open a GET whose answer is read as it comes (a context manager, as httpx2's); no retries."""
        return self._pool.http().stream(
            "GET", path, params=params, headers=self._headers("application/json", "application/json"), timeout=timeout
        )

    def get_json(self, path: str) -> Object:
        """What is at a path, as JSON; raises an ApiError."""
        return self.json("GET", path)

    def json(self, method: str, path: str, **more: Any) -> Object:
        """The JSON object that a ``request`` is answered with, as ``decode`` reads it."""
        return decode(self.request(method, path, **more), f"{method} {path}")


def loads(text: str | bytes) -> Any:
    """JSON of the API, without the keys whose value is null: to the API both mean the same, and Go writes null for
    every list that nobody has filled yet. Raises ValueError.
    """
    return json.loads(text, object_hook=_without_nulls)


def decode(response: httpx2.Response, what: str) -> Object:
    """An answer's JSON, as ``loads`` reads it; raises ApiError if it is no JSON object."""
    try:
        found = loads(response.content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        said = response.content[:80].decode(errors="replace").strip()
        raise ApiError(
            f"{what}: the answer is not a JSON object: {said!r}",
            status=response.status_code,
            hint="something other than the API server answers at that address",
        )
    return found


def _without_nulls(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value is not None} if None in found.values() else found


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


def _unreachable(error: httpx2.RequestError, what: str, server: str) -> Unreachable:
    if _untrusted(error):
        return Unreachable(
            f"{server} presents a certificate not signed by this lab's CA: {error}",
            hint="another machine answers at that address, or the lab's PKI was rotated",
        )
    said = str(error) or type(error).__name__
    kind = Late if isinstance(error, httpx2.TimeoutException) else Unreachable
    return kind(f"{what}: no answer from the API at {server}: {said}", hint="nodisk status shows what runs")
