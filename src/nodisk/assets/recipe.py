"""How an asset is made: its inputs, and how to build it if it isn't in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodisk.assets import pull
from nodisk.assets.hashes import key_of
from nodisk.assets.progress import Step
from nodisk.assets.store import Manifest, Store
from nodisk.assets.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A recipe's result, before it is in the store."""

    name: str
    version: str
    content: Mapping[str, Path]
    """File name → path in the folder that the recipe got, or a link in it."""
    facts: Mapping[str, Any]
    pulled: Iterable[str] = ()
    """Digests of container images whose copies in the cache are no longer needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One asset that a lab needs."""

    kind: str
    what: str
    """The description that progress shows."""
    inputs: Mapping[str, Any]
    """The asset's inputs: equal inputs are the same asset. JSON."""
    build: Callable[[Work, Step, Path], Awaitable[Made]]
    """Builds it in a folder that is deleted afterwards."""
    loads: str | None = None
    """What ``build`` has to download, for the error if that is forbidden; None: nothing, or it raises its own error."""

    @property
    def key(self) -> str:
        """The store's key for the inputs."""
        return key_of(self.inputs)

    def find(self, store: Store) -> Manifest | None:
        """The asset, if the store has it."""
        return store.find(self.kind, self.key)

    async def make(self, work: Work) -> Manifest:
        """Return the asset from the store, and build it first if it isn't there or must be rebuilt (``--refresh``).

        Raises EnvironmentProblem if something must be downloaded and ``--offline`` forbids it.
        """
        found = self.find(work.store)
        if found is not None and not work.refresh:
            return found
        if self.loads is not None:
            work.need_network(self.loads)
        with work.board.step(self.what) as step, work.store.workspace() as folder:
            made = await self.build(work, step, folder)
            manifest = await asyncio.to_thread(
                work.store.add,
                self.kind,
                name=made.name,
                version=made.version,
                inputs=self.inputs,
                content=made.content,
                facts=made.facts,
            )
        pull.forget(work, made.pulled)
        return manifest
