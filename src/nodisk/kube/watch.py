"""Watching objects: one stream of changes that goes on over dropped connections, restarts and compaction.

with Watch(client, "v1", "Node") as nodes:
    for change in nodes:
        ...
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import httpx2

from nodisk.kube.client import Client, Object, selector
from nodisk.kube.errors import Gone, Overloaded, Unreachable, from_status
from nodisk.kube.transport import loads

log = logging.getLogger("nodisk.kube")

# The server ends each stream after this many seconds, so a peer that vanished without a word is noticed soon.
ROUND = 60


class Change(StrEnum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change; of an object that vanished while nobody watched only ``metadata`` (name, namespace, uid) is known."""

    change: Change
    object: Object


class Watch:
    """An endless iterator of changes; the objects that exist at the start come first, as ADDED.

    With ``resource_version`` it starts right after that moment instead. ``close`` (from any thread) ends it.
    ``on_listed`` is called whenever all objects that exist have been given out: at the start, and after each gap that
    only a new list could bridge. An answer that a retry can't mend (Forbidden, NotFound) is raised; a server that is
    away is waited for.
    """

    def __init__(
        self,
        client: Client,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
        resource_version: str | None = None,
        on_listed: Callable[[], None] | None = None,
    ) -> None:
        self._client = client
        self._what = (api_version, kind)
        self._namespace, self._labels, self._fields = namespace, labels, fields
        self._version = resource_version
        self._on_listed = on_listed
        self._known: dict[str, Object] = {}
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, also one that another thread is blocked in."""
        self._closed.set()
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # The plain socket's shutdown: SSLSocket's own would take the TLS state from under the reader.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def __iter__(self) -> Iterator[WatchEvent]:
        delay = 0.1
        while not self._closed.is_set():
            try:
                if self._version is None:
                    yield from self._relist()
                yield from self._round()
                delay = 0.1
            except Gone:
                self._version = None
            except (Unreachable, Overloaded, httpx2.RequestError, OSError, json.JSONDecodeError) as error:
                if not self._closed.is_set():
                    log.info("watch of %s: %s; retrying in %.1f s", self._what[1], error, delay)
                    self._closed.wait(delay)
                    delay = min(delay * 2, 5.0)

    def _relist(self) -> Iterator[WatchEvent]:
        listing = self._client.listing(*self._what, namespace=self._namespace, labels=self._labels, fields=self._fields)
        before, self._known = self._known, {}
        for item in listing.items:
            uid, version = item["metadata"]["uid"], item["metadata"]["resourceVersion"]
            self._remember(item)
            old = before.pop(uid, None)
            if old is None:
                yield WatchEvent(Change.ADDED, item)
            elif old["resourceVersion"] != version:
                yield WatchEvent(Change.MODIFIED, item)
        for meta in before.values():
            yield WatchEvent(Change.DELETED, {"apiVersion": self._what[0], "kind": self._what[1], "metadata": meta})
        self._version = listing.resource_version
        if self._on_listed is not None:
            self._on_listed()

    def _remember(self, item: Object) -> None:
        meta = item["metadata"]
        self._known[meta["uid"]] = {
            key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in meta
        }

    def _round(self) -> Iterator[WatchEvent]:
        path = self._client.path(*self._what, namespace=self._namespace)
        params = selector(self._labels, self._fields) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(ROUND),
        }
        timeout = httpx2.Timeout(ROUND + 10.0, connect=5.0)
        with self._client.stream(path, params, timeout=timeout) as response:
            if response.status_code >= 400:
                raise from_status(response.status_code, response.read(), f"WATCH {path}")
            with self._lock:
                if self._closed.is_set():  # before there was a socket to shut
                    return
                self._socket = response.extensions["network_stream"].get_extra_info("socket")
            try:
                for line in _lines(response):
                    event = self._event(loads(line), path)
                    if self._closed.is_set():
                        return
                    if event is not None:
                        yield event
            finally:
                with self._lock:
                    self._socket = None

    def _event(self, raw: dict[str, Any], path: str) -> WatchEvent | None:
        item = raw["object"]
        if raw["type"] == "ERROR":
            error = from_status(int(item.get("code") or 500), json.dumps(item).encode(), f"WATCH {path}")
            raise error
        self._version = item["metadata"]["resourceVersion"]
        if raw["type"] == "BOOKMARK":
            return None
        change = Change(raw["type"])
        if change is Change.DELETED:
            self._known.pop(item["metadata"]["uid"], None)
        else:
            self._remember(item)
        return WatchEvent(change, item)


def _lines(response: httpx2.Response) -> Iterator[bytes]:
    """The answer's lines. httpx2's own also end at U+0085 and its like, which the API leaves as they are in texts."""
    rest = b""
    for piece in response.iter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest


def wait_for(
    client: Client,
    api_version: str,
    kind: str,
    *,
    namespace: str | None = None,
    labels: str | None = None,
    fields: str | None = None,
    seconds: float,
) -> Iterator[WatchEvent]:
    """A watch that ends by itself after ``seconds``: for waiting until a condition holds."""
    watch = Watch(client, api_version, kind, namespace=namespace, labels=labels, fields=fields)
    timer = threading.Timer(max(seconds, 0.001), watch.close)
    timer.daemon = True
    timer.start()
    try:
        yield from watch
    finally:
        timer.cancel()
        watch.close()
