"""Classes' names kept apart, from a real API server to a real unbound behind the names' gate.

The bounds leave room for a host that is busier than the one whose figures docs/explanation/names.md has.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytest
from tests.api.apiserver import ControlPlane
from tests.support.api_pods import pod
from tests.support.resolver import Resolver, resolver
from tests.support.waits import LONG, until

from nodisk import ports
from nodisk.kube.client import Client
from nodisk.plan import daemons_unbound
from nodisk.server import names_gate
from nodisk.server.name_views import CLASS
from nodisk.server.names import Keeper
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Isolation

STUDENTS = 16
"""Who ask at the same time: of one namespace the gate takes no more than so many questions a second."""
ANA, BEN, NEXT, ADDON = "10.244.21.5", "10.244.21.6", "10.244.21.7", "10.244.21.8"


@pytest.fixture
def lab(plane: ControlPlane) -> Lab:
    apart = plane.lab.kubernetes.model_copy(update={"isolation": Isolation.NAMES})
    return plane.lab.model_copy(update={"kubernetes": apart})


@pytest.fixture
def dns(lab: Lab) -> Iterator[Resolver]:
    with resolver(lab) as made:
        yield made


@contextmanager
def namespaces(client: Client, *names: str, **labels: str) -> Iterator[list[str]]:
    """New ones."""
    made = [f"{name}-{time.time_ns()}" for name in names]
    for name in made:
        meta = {"name": name, "labels": labels}
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    yield made
    for name in made:
        client.delete("v1", "Namespace", name)


@pytest.fixture
def spaces(client: Client) -> Iterator[tuple[str, str, str]]:
    """Two students' namespaces, and one that is no class's."""
    with namespaces(client, "ana", "ben", **{CLASS: "demo"}) as (ana, ben), namespaces(client, "addon") as (addon,):
        yield ana, ben, addon


@pytest.fixture
def students(client: Client) -> Iterator[list[str]]:
    """Many students' namespaces."""
    with namespaces(client, *(f"s{number}" for number in range(STUDENTS)), **{CLASS: "demo"}) as made:
        yield made


@contextmanager
def keeping(plane: ControlPlane, lab: Lab, dns: Resolver) -> Iterator[None]:
    keeper = Keeper(lab, plane.lab_state, dns.host, lambda _: None, connect=lambda _: plane.client(patience=0))
    thread = threading.Thread(target=lambda: asyncio.run(keeper.run()))
    thread.start()
    try:
        yield
    finally:
        keeper.stop()
        thread.join(120)
        assert not thread.is_alive()


def service(client: Client, space: str, name: str) -> str:
    """Its address."""
    meta = {"name": name, "namespace": space}
    made = client.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 80}]}})
    return str(made["spec"]["clusterIP"])


def moved(client: Client, space: str, name: str, address: str) -> None:
    """kubelet says that the pod is at this address."""
    path = client.path("v1", "Pod", name, namespace=space, subresource="status")
    status: dict[str, Any] = {"podIP": address, "podIPs": [{"ip": address}]}
    client.request("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")


def until_answered(dns: Resolver, question: str, *wanted: str, source: str, seconds: float = 60) -> float:
    """Ask until the answer's data are ``wanted``; returns the seconds that this took."""
    began = time.monotonic()
    until(
        lambda: {line.split()[-1] for line in dns.ask(question, source=source)} == set(wanted),
        seconds=seconds,
        every=0,
        why=lambda: (question, source, dns.ask(question, source=source)),
    )
    return time.monotonic() - began


def test_each_sees_the_own_and_everybodys(
    plane: ControlPlane, lab: Lab, client: Client, dns: Resolver, spaces: tuple[str, str, str]
) -> None:
    ana, ben, addon = spaces
    with keeping(plane, lab, dns):
        addresses = {space: service(client, space, "web") for space in spaces}
        for name, space, address in (("a", ana, ANA), ("b", ben, BEN), ("c", addon, ADDON)):
            pod(client, space, name, "w1", address)
        for source, seen in ((ANA, {ana, addon}), (BEN, {ben, addon}), (ADDON, set(spaces))):
            until_answered(dns, "kubernetes.default.svc.cluster.local A", "10.96.0.1", source=source)
            for space, address in addresses.items():
                name = f"web.{space}.svc.cluster.local"
                reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
                if space in seen:
                    until_answered(dns, f"{name} A", address, source=source)
                    until_answered(dns, f"{reverse} PTR", f"{name}.", source=source)
                else:
                    assert dns.ask(f"{name} A", f"{reverse} PTR", source=source) == set()
                    assert dns.status(f"{name} A", source=source) == "NXDOMAIN"
        own = f"10-244-21-5.{ana}.pod.cluster.local A"
        until_answered(dns, own, ANA, source=ANA)
        assert dns.ask(own, source=BEN) == set()

        # A namespace that is given to a class is closed, one that is taken from it is everybody's.
        client.patch("v1", "Namespace", addon, {"metadata": {"labels": {CLASS: "demo"}}})
        until_answered(dns, f"web.{addon}.svc.cluster.local A", source=BEN)
        until_answered(dns, f"web.{ana}.svc.cluster.local A", source=ADDON)
        client.patch("v1", "Namespace", ana, {"metadata": {"labels": {CLASS: None}}})
        until_answered(dns, f"web.{ana}.svc.cluster.local A", addresses[ana], source=BEN)


def test_an_address_goes_from_one_to_another(
    plane: ControlPlane, lab: Lab, client: Client, dns: Resolver, spaces: tuple[str, str, str]
) -> None:
    """How soon a pod is known under its address; and that the one who had it is forgotten."""
    ana, ben, _ = spaces
    with keeping(plane, lab, dns):
        one, other = (service(client, space, "web") for space in (ana, ben))
        pod(client, ana, "a", "w1", ANA)
        until_answered(dns, f"web.{ana}.svc.cluster.local A", one, source=ANA)
        times = []
        for number in range(10, 60):
            moved(client, ana, "a", f"10.244.21.{number}")
            times.append(until_answered(dns, f"web.{ana}.svc.cluster.local A", one, source=f"10.244.21.{number}"))
        last = quantiles(times, n=100, method="inclusive")[98]
        print(f"a pod's address is known after {median(times):.2f} s, p99 {last:.2f} s, at most {max(times):.2f} s")
        assert median(times) < 2

        # A question that comes before kubelet has told is held, and then answered.
        asking = threading.Thread(
            target=lambda: times.append(until_answered(dns, f"web.{ana}.svc.cluster.local A", one, source=NEXT))
        )
        asking.start()
        moved(client, ana, "a", NEXT)
        asking.join(LONG)
        assert len(times) == 51

        client.delete("v1", "Pod", "a", namespace=ana, grace=0)
        pod(client, ben, "b", "w1", NEXT)
        until_answered(dns, f"web.{ben}.svc.cluster.local A", other, source=NEXT)
        assert dns.ask(f"web.{ana}.svc.cluster.local A", source=NEXT) == set()


@pytest.mark.apart
def test_questions_by_the_ten_thousand(
    plane: ControlPlane, client: Client, dns: Resolver, students: list[str], tmp_path: Path
) -> None:
    many: dict[str, Path] = {}
    wanted: dict[str, tuple[str, str]] = {}
    for number in range(STUDENTS):
        space, address = students[number], f"10.244.21.{100 + number}"
        services = {f"web{one}.{space}.svc.cluster.local A": service(client, space, f"web{one}") for one in range(10)}
        many[address] = tmp_path / space
        many[address].write_text("".join(f"{question}\n" for question in services))
        wanted[address] = list(services.items())[-1]
        pod(client, space, "a", "w1", address)
    with keeping(plane, dns.lab, dns):
        for address, (question, answer) in wanted.items():
            until_answered(dns, question, answer, source=address)
        server, own = str(dns.lab.network.server), daemons_unbound.LOOPBACK
        share = str(names_gate.MOST_OF_A_CLASS - 20)
        with ThreadPoolExecutor(STUDENTS) as pool:
            by_gate = sum(pool.map(lambda one: rate(dns, one[1], server, one[0], "-Q", share), many.items()))
        alone = rate(dns, many[address], own, own)
    print(f"{by_gate:.0f} answers a second, and {alone:.0f} by unbound alone")
    assert by_gate > 1_000


def rate(dns: Resolver, questions: Path, server: str, source: str, *more: str) -> float:
    """Answers a second; all that come must be good."""
    words = ["dnsperf", "-s", server, "-p", str(ports.NAMES), "-a", source, "-d", str(questions), "-l", "10", *more]
    asked = subprocess.run(
        ["ip", "netns", "exec", dns.netns, *words], text=True, capture_output=True, check=True
    ).stdout
    assert re.search(r"Response codes: +NOERROR \d+ \(100.00%\)", asked), asked
    found = re.search(r"Queries per second: +([\d.]+)", asked)
    assert found, asked
    return float(found[1])
