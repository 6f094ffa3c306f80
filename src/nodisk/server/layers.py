"""Which machine another one may ask for a layer of a container image, so that the server sends it about once.

Every machine that asks for a layer is remembered. The first gets it from the server; those that ask meanwhile wait
until a machine has it, which the server asks that machine itself: containerd keeps a layer only when it is whole and
its digest is right. A machine gives one layer to one other at a time, so the machines that have it double in each
round, and one that has waited long enough gets it from the server after all. A machine that was sent to another and
asks again, or asks the registry itself, got nothing there: it gets the layer from the server, and that machine is not
named for a while.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import httpx2

from nodisk import ports
from nodisk.plan.containers import PULL_PATIENCE

SMALLEST = 1 << 20
"""Bytes of a layer below which nobody is sent elsewhere: the server has sent it before others are asked."""
WAIT = PULL_PATIENCE / 2
"""Seconds for which a machine waits at most, or its containerd would give up the pull."""
AGAIN = 600.0
"""Seconds after which a machine that asks again has lost what it got, and nobody is to blame."""
DISTRUST = 300.0
"""Seconds for which a machine is not named after another has asked again."""
EVERY = 0.25
"""Seconds between two questions to machines that fetch what others wait for."""
SLOWEST = 10_000_000
"""Bytes a second of an old room's cable: no machine is expected to be faster, whatever it may give."""
MOST_LAYERS = 512
MOST_WAITING = 1000
"""Requests that wait at the same time; the next ones are sent to the registry."""
PROBE = 1.0
"""Seconds in which a machine says whether it has a layer."""

SILENT = 4
"""Questions in a row without an answer after which a machine is thought to be off."""

Left = Callable[[], Awaitable[bool]]
"""Whether the client has gone meanwhile."""
Has = Callable[[IPv4Address, str, int], Awaitable[bool | None]]
"""Whether a machine has the layer of a digest (hexadecimal) and a size in bytes, whole; None: it doesn't answer."""


async def _never() -> bool:
    return False


@dataclass(slots=True)
class _Puller:
    since: float
    source: IPv4Address | None
    """None: the server."""
    has: bool = False
    silent: int = 0
    """Questions in a row that it has not answered."""
    gone: bool = False
    """It should have the layer by now and hasn't, or is off."""


@dataclass(slots=True)
class _Layer:
    pullers: dict[IPv4Address, _Puller] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    looked: float = 0.0


class Layers:
    """Who has which layer, as far as this server knows since it started."""

    def __init__(
        self, rate: int, has: Has, *, clock: Callable[[], float] = time.monotonic, every: float = EVERY
    ) -> None:
        """``rate``: bytes a second that a machine gives at most; ``every``: seconds between two questions."""
        self._pace, self._has, self._clock, self._every = min(rate, SLOWEST), has, clock, every
        self._layers: dict[str, _Layer] = {}
        self._waiting = 0
        self._distrusted: dict[IPv4Address, float] = {}

    async def giver(self, digest: str, size: int, asker: IPv4Address, left: Left = _never) -> IPv4Address | None:
        """The machine that ``asker`` is to ask for the layer; None: the server. Takes up to ``WAIT`` seconds.

        ``asker`` is a machine of the lab: it may be named to others from now on.
        """
        if size < SMALLEST or self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            return await self._choose(digest, size, asker, left)
        finally:
            self._waiting -= 1

    def direct(self, digest: str, asker: IPv4Address) -> None:
        """``asker`` asks the registry itself: containerd does so at once when the machine it was sent to fails it."""
        layer = self._layers.get(digest)
        puller = layer.pullers.get(asker) if layer is not None else None
        if layer is not None and puller is not None and puller.source is not None and self._failed(puller):
            self._send(layer, asker, None)

    async def _choose(self, digest: str, size: int, asker: IPv4Address, left: Left) -> IPv4Address | None:
        layer, began = self._layer(digest), self._clock()
        before = layer.pullers.pop(asker, None)
        if before is not None and self._failed(before):
            return self._send(layer, asker, None)
        patience = min(WAIT, 5 + 12 * size / self._pace)
        while True:
            await self._look(layer, digest, size)
            if await left():
                return None  # nobody is to blame when it asks again
            if (chosen := self._free(layer, size)) is not None:
                self._send(layer, asker, chosen)  # before it is asked: nobody else is sent there meanwhile
                if await self._has(chosen, digest, size):
                    return chosen
                layer.pullers.pop(chosen, None)
                layer.pullers.pop(asker, None)
                continue
            if not self._coming(layer, size) or self._clock() - began >= patience:
                return self._send(layer, asker, None)
            await asyncio.sleep(self._every)

    def _failed(self, puller: _Puller) -> bool:
        """Whether one that asks once more has got nothing, and not just lost it; the machine that was to give it is to
        blame."""
        if puller.has or self._clock() - puller.since >= AGAIN:
            return False
        if puller.source is not None:
            self._distrusted[puller.source] = self._clock() + DISTRUST
        return True

    def _layer(self, digest: str) -> _Layer:
        found = self._layers.pop(digest, None) or _Layer()
        self._layers[digest] = found  # the newest last
        if len(self._layers) > MOST_LAYERS:
            self._layers.pop(next(iter(self._layers)))
        return found

    def _send(self, layer: _Layer, asker: IPv4Address, source: IPv4Address | None) -> IPv4Address | None:
        layer.pullers[asker] = _Puller(self._clock(), source)
        return source

    def _fetching(self, puller: _Puller, size: int) -> bool:
        """Whether it may still be on the way to having the layer: three times as long as an old cable takes."""
        return not puller.has and not puller.gone and self._clock() - puller.since < 5 + 3 * size / self._pace

    def _trusted(self, machine: IPv4Address) -> bool:
        return self._distrusted.get(machine, 0.0) <= self._clock()

    def _free(self, layer: _Layer, size: int) -> IPv4Address | None:
        """One that has the layer and gives it to nobody, by lot."""
        busy = {one.source for one in layer.pullers.values() if self._fetching(one, size)}
        found = [m for m, one in layer.pullers.items() if one.has and m not in busy and self._trusted(m)]
        return random.choice(found) if found else None  # noqa: S311 - no secret

    def _coming(self, layer: _Layer, size: int) -> bool:
        """Whether it is worth waiting: somebody has the layer, or soon will."""
        known = [one for m, one in layer.pullers.items() if self._trusted(m)]
        return any(one.has or self._fetching(one, size) for one in known)

    async def _look(self, layer: _Layer, digest: str, size: int) -> None:
        """Ask those that fetch whether they have it; once for all that wait."""
        async with layer.lock:
            if self._clock() - layer.looked < self._every:
                return
            asked = [(m, one) for m, one in layer.pullers.items() if not one.has and not one.gone]
            answers = await asyncio.gather(*(self._has(machine, digest, size) for machine, _ in asked))
            for (_, one), has in zip(asked, answers, strict=True):
                one.silent = one.silent + 1 if has is None else 0
                one.has = bool(has)
                one.gone = not has and (one.silent >= SILENT or not self._fetching(one, size))
            layer.looked = self._clock()


class Asking:
    """What the server asks for ``Layers``: its registry, and the machines."""

    def __init__(self, registry: Path) -> None:
        """``registry``: its unix socket."""
        self._registry = httpx2.AsyncClient(
            base_url="http://registry", transport=httpx2.AsyncHTTPTransport(uds=str(registry)), timeout=10
        )
        # trust_env=False: a proxy of the shell that started the server has nothing to do with machines.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._machines = httpx2.AsyncClient(timeout=PROBE, limits=limits, trust_env=False)

    async def size(self, path: str, query: str) -> int | None:
        """Bytes of the layer at the registry's ``path``; None if the registry would not give it to such a client."""
        try:
            answer = await self._registry.head(f"{path}?{query}" if query else path)
            return int(answer.headers["content-length"]) if answer.status_code == 200 else None
        except (httpx2.HTTPError, OSError, KeyError, ValueError):
            return None

    async def has(self, machine: IPv4Address, digest: str, size: int) -> bool | None:
        """Whether the machine says that it has the layer; None: it says nothing."""
        try:
            async with asyncio.timeout(PROBE):
                answer = await self._machines.head(layer_url(machine, digest))
        except (httpx2.HTTPError, OSError, ValueError):  # a TimeoutError is an OSError
            return None
        return answer.status_code == 200 and answer.headers.get("content-length") == str(size)

    async def close(self) -> None:
        """Close its connections."""
        await self._registry.aclose()
        await self._machines.aclose()


def layer_url(machine: IPv4Address, digest: str) -> str:
    """Where a machine gives a layer (``assets/recipes/peers/layers.c``)."""
    return f"http://{machine}:{ports.LAYERS}/blobs/sha256:{digest}"
