"""What machines and pods use now: every kubelet is asked when somebody wants to know, and none is waited for long."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from nodisk import ports
from nodisk.errors import describe
from nodisk.kube.kubeconfig import Endpoint
from nodisk.pki.profiles import Ca
from nodisk.server import usage
from nodisk.server.usage import Reading
from nodisk.spec.model import Lab

log = logging.getLogger("nodisk.server")

KEEP = 5.0
"""Seconds for which a kubelet isn't asked again: it measures every ten."""
PATIENCE = 2.0
"""Seconds for which somebody waits for kubelets. The API server gives an answer five before it says Unavailable."""
ASK = 10.0
"""Seconds after which a kubelet's answer is given up."""
LATE = 60.0
"""Seconds for which the last answer of a kubelet counts that has answered nothing since."""
MOST = 8 * 1024 * 1024
"""Bytes of an answer: 110 pods of ten containers are about 1 MiB."""


@dataclass(slots=True)
class _Kubelet:
    url: str
    reading: Reading | None = None
    told: float = -LATE
    asked: float = -KEEP
    failing: bool = False
    task: asyncio.Task[None] | None = None


def identity(pki: Path) -> ssl.SSLContext:
    """Trusts the cluster's authority, and shows nodisk's certificate for asking kubelets; ``pki``: the authorities'."""
    texts = [(pki / name).read_text() for name in (f"{Ca.CLUSTER}.crt", "metrics-client.crt", "metrics-client.key")]
    return Endpoint("", *texts).ssl_context()


class Kubelets:
    """The kubelets of a lab's machines; belongs to one event loop. ``close`` it."""

    def __init__(self, addresses: Mapping[str, str], tls: ssl.SSLContext) -> None:
        """``addresses``: node → ``HOST:PORT``; ``tls`` trusts the cluster's authority and holds the client's
        certificate."""
        self._kubelets = {name: _Kubelet(f"https://{where}/stats/summary") for name, where in addresses.items()}
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30)
        # trust_env=False: a proxy of the shell that started the server must not get what is for a machine.
        self._http = httpx2.AsyncClient(verify=tls, limits=limits, timeout=ASK, trust_env=False)

    @classmethod
    def of(cls, lab: Lab, pki: Path) -> Kubelets:
        """Those of a lab; ``pki`` is the folder of its authorities."""
        return cls({str(one.name): f"{one.address}:{ports.KUBELET}" for one in lab.machines}, identity(pki))

    async def readings(self) -> dict[str, Reading]:
        """Node → what its kubelet told at most some seconds ago; without those that don't answer.

        Who has failed to answer is asked again, but nobody waits for it.
        """
        now, waited = time.monotonic(), list[asyncio.Task[None]]()
        for name, one in self._kubelets.items():
            if one.task is None and now - one.asked >= KEEP:
                one.asked = now
                one.task = asyncio.create_task(self._ask(name, one), name=f"asking {name}")
            if one.task is not None and not one.failing:
                waited.append(one.task)
        if waited:
            await asyncio.wait(waited, timeout=PATIENCE)
        for one in self._kubelets.values():  # one that was too slow this time is waited for once it has answered again
            one.failing |= one.task in waited
        return self.known()

    def known(self) -> dict[str, Reading]:
        """Node → what its kubelet has told in the last minute; asks none of them."""
        now = time.monotonic()
        known = {name: (one.reading, one.told) for name, one in self._kubelets.items()}
        return {name: reading for name, (reading, told) in known.items() if reading is not None and now - told <= LATE}

    async def _ask(self, name: str, one: _Kubelet) -> None:
        try:
            async with asyncio.timeout(ASK):
                one.reading = await asyncio.to_thread(usage.read, await self._fetch(one.url))
            one.told, one.failing = time.monotonic(), False
        except (httpx2.HTTPError, OSError, ValueError) as error:  # a TimeoutError is an OSError
            if not one.failing:
                log.info("the kubelet of %s does not tell what it uses: %s", name, describe(error))
            one.failing = True
        finally:
            one.task = None

    async def _fetch(self, url: str) -> bytes:
        found = bytearray()
        # Not compressed: a small answer must not become a large one here.
        headers, params = {"Accept-Encoding": "identity"}, {"only_cpu_and_memory": "true"}
        async with self._http.stream("GET", url, params=params, headers=headers) as response:
            response.raise_for_status()
            async for piece in response.aiter_raw():
                found += piece
                if len(found) > MOST:
                    raise ValueError(f"the answer is longer than {MOST} bytes")
        return bytes(found)

    async def close(self) -> None:
        """End what is being asked."""
        tasks = [one.task for one in self._kubelets.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()
