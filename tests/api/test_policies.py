"""NetworkPolicies from a real API server to a node's kernel: a thousand pods, three hundred policies.

The bounds leave room for a host that is busier than the one whose figures docs/explanation/isolation.md has.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from tests.api.apiserver import ControlPlane
from tests.support.api_pods import pod
from tests.support.policies import policy
from tests.support.waits import until

from nodisk import run
from nodisk.kube.client import Client
from nodisk.plan.policies import APPLIED
from nodisk.server.policies import Keeper
from nodisk.server.rulesets import Ruleset, Rulesets

BOOT = "11111111-1111-1111-1111-111111111111"


@dataclass
class Node:
    """What a machine does: holds a request, applies the answer, asks again."""

    folder: Path
    namespace: str
    rulesets: Rulesets
    texts: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    """Seconds of each ``nft -f``."""

    async def follow(self) -> None:
        have = ""
        while True:
            found = await self.rulesets.newer("w1", have, BOOT, 5)
            if found is not None:
                await asyncio.to_thread(self.apply, found)
                have = found.version

    def apply(self, found: Ruleset) -> None:
        file = self.folder / "rules.nft"
        file.write_text(found.text)
        began = time.perf_counter()
        run.run(["nft", "-f", file], netns=self.namespace)
        self.took.append(time.perf_counter() - began)
        self.texts.append(found.text)

    def until(self, condition: Callable[[str], bool], seconds: float = 60) -> float:
        """Wait until an applied table fulfils it; returns the seconds that this took."""
        began = time.monotonic()
        until(
            lambda: self.texts and condition(self.texts[-1]), seconds=seconds, every=0.005, why=lambda: self.texts[-1:]
        )
        return time.monotonic() - began


@contextmanager
def keeping(plane: ControlPlane, folder: Path) -> Iterator[Node]:
    rulesets = Rulesets()
    keeper = Keeper(plane.lab, plane.lab_state, rulesets, print, connect=lambda _: plane.client(patience=0))
    node = Node(folder, f"npapi{os.getpid()}", rulesets)

    async def both() -> None:
        # The handler answers 503 until there is a table.
        following = asyncio.create_task(known())
        try:
            await keeper.run()
        finally:
            following.cancel()

    async def known() -> None:
        while not rulesets.known("w1"):  # for as long as the keeper runs: its end cancels this
            await asyncio.sleep(0.02)
        await node.follow()

    run.run(["ip", "netns", "add", node.namespace])
    thread = threading.Thread(target=lambda: asyncio.run(both()))
    thread.start()
    try:
        yield node
    finally:
        keeper.stop()
        thread.join(120)
        run.run(["ip", "netns", "del", node.namespace])
        assert not thread.is_alive()


@pytest.fixture
def space(client: Client) -> Iterator[str]:
    name = f"policies-{time.time_ns()}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    client.delete("v1", "Namespace", name)


def make(client: Client, obj: dict[str, Any]) -> None:
    client.create({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **obj})


def test_rules_follow_the_cluster(plane: ControlPlane, client: Client, space: str, tmp_path: Path) -> None:
    with keeping(plane, tmp_path) as node:
        pod(client, space, "one", "w1", "10.244.21.2", app="one")
        pod(client, space, "two", "cp1", "10.244.11.2", app="two")
        node.until(lambda text: "10.244.21.2 : accept" in text)
        make(client, policy(space, "deny", policyTypes=["Ingress"]))
        node.until(lambda text: "10.244.21.2 : goto in" in text and "10.244.11.2" not in text)
        allow = {"from": [{"podSelector": {"matchLabels": {"app": "two"}}}]}
        make(client, policy(space, "allow", ingress=[allow]))
        node.until(lambda text: "elements = { 10.244.11.2 }" in text)
        client.patch("v1", "Pod", "two", {"metadata": {"labels": {"app": "three"}}}, namespace=space)
        node.until(lambda text: "10.244.11.2" not in text)
        client.delete("networking.k8s.io/v1", "NetworkPolicy", "deny", namespace=space)
        client.delete("networking.k8s.io/v1", "NetworkPolicy", "allow", namespace=space)
        node.until(lambda text: "10.244.21.2 : accept" in text)
        client.delete("v1", "Pod", "one", namespace=space)
        node.until(lambda text: "10.244.21.2" not in text)


def test_a_node_with_its_rules_is_marked(plane: ControlPlane, client: Client, tmp_path: Path) -> None:
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}})
    try:
        with keeping(plane, tmp_path):
            own = "metadata.name=w1"

            def marked() -> bool:
                found = client.list("v1", "Node", fields=own)
                return bool(found) and (found[0]["metadata"].get("annotations") or {}).get(APPLIED) == BOOT

            client.until("the annotation", marked)
    finally:
        client.delete("v1", "Node", "w1")


@pytest.mark.apart
def test_a_thousand_pods_and_three_hundred_policies(
    plane: ControlPlane, client: Client, space: str, tmp_path: Path
) -> None:
    """A policy's effect is in the node's kernel soon, and applying the table costs the node little."""
    places = [("cp1", f"10.244.11.{number}") for number in range(2, 102)]
    places += [("w1", f"10.244.21.{number}") for number in range(2, 102)]
    places += [(f"x{number // 100}", f"10.244.{100 + number // 100}.{2 + number % 100}") for number in range(800)]

    def one(number: int) -> None:
        node, address = places[number]
        pod(client, space, f"p{number}", node, address, app=f"a{number % 50}")

    def another(number: int) -> None:
        peers = [{"podSelector": {"matchLabels": {"app": f"a{number % 50}"}}}]
        rule = {"from": peers, "ports": [{"port": 1000 + number}]}
        make(client, policy(space, f"r{number}", {"matchLabels": {"app": f"a{number % 49}"}}, ingress=[rule]))

    nodes = sorted({node for node, _ in places})
    for name in nodes:  # pods of nodes that aren't there are removed after a minute
        client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(len(places))))
        list(pool.map(another, range(300)))
    with keeping(plane, tmp_path) as node:
        node.until(lambda text: "10.244.21.101" in text, seconds=300)
        effects = []
        for number in range(100):  # one policy more, for all pods, and gone again: there are never more than 301
            line, name = f"tcp dport {{ {20000 + number} }}", f"new{number}"
            began = time.monotonic()
            make(client, policy(space, name, ingress=[{"ports": [{"port": 20000 + number}]}]))
            node.until(lambda text, line=line: line in text)  # type: ignore[misc]
            effects.append(time.monotonic() - began)
            client.delete("networking.k8s.io/v1", "NetworkPolicy", name, namespace=space)
            node.until(lambda text, line=line: line not in text)  # type: ignore[misc]
        applied = sorted(node.took)
        print(
            f"effect: median {median(effects):.3f} s, p99 {sorted(effects)[98]:.3f} s; "
            f"nft: median {median(applied) * 1000:.0f} ms, at most {applied[-1] * 1000:.0f} ms; "
            f"{len(node.texts[-1])} characters"
        )
        # The goals are 2 s and 50 ms, and both were met (0.52 s, 39 ms); a busy host may take twice and thrice as long.
        assert sorted(effects)[98] < 4
        assert median(applied) < 0.15
    for name in nodes:
        client.delete("v1", "Node", name)
