"""The cluster's names from a real API server to a real unbound: changes, gaps in the watch, ten thousand Services.

The bounds leave room for a host that is busier than the one whose figures docs/explanation/names.md has.
"""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from tests.api.apiserver import ControlPlane
from tests.support.resolver import Resolver, resolver
from tests.support.waits import until

from nodisk import ports, run
from nodisk.kube.client import Client
from nodisk.server.names import Keeper

SLICE = "discovery.k8s.io/v1beta1"


@pytest.fixture
def dns(plane: ControlPlane) -> Iterator[Resolver]:
    with resolver(plane.lab) as made:
        yield made


@pytest.fixture
def space(client: Client) -> Iterator[str]:
    name = f"names-{time.time_ns()}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    client.delete("v1", "Namespace", name)


@contextmanager
def keeping(plane: ControlPlane, dns: Resolver) -> Iterator[list[str]]:
    said: list[str] = []

    def say(text: str) -> None:
        if threading.current_thread() is thread:  # the server records what it hears, and SQLite keeps to one thread
            said.append(text)

    keeper = Keeper(plane.lab, plane.lab_state, dns.host, say, connect=lambda _: plane.client(patience=0))
    thread = threading.Thread(target=lambda: asyncio.run(keeper.run()))
    thread.start()
    try:
        yield said
    finally:
        keeper.stop()
        thread.join(120)
        assert not thread.is_alive()


def until_answered(dns: Resolver, question: str, *wanted: str, seconds: float = 60) -> float:
    """Ask until the answer's data are ``wanted``; returns the seconds that this took."""
    began = time.monotonic()
    until(
        lambda: {line.split()[-1] for line in dns.ask(question)} == set(wanted),
        seconds=seconds,
        every=0,
        why=lambda: (question, dns.ask(question)),
    )
    return time.monotonic() - began


def service(client: Client, space: str, name: str, **spec: Any) -> Any:
    port = {"name": "http", "port": 80}
    meta = {"name": name, "namespace": space}
    return client.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [port], **spec}})


def endpoints(client: Client, space: str, name: str, *addresses: str) -> None:
    meta = {"name": f"{name}-1", "namespace": space, "labels": {"kubernetes.io/service-name": name}}
    ends = [{"addresses": [address], "conditions": {"ready": True}} for address in addresses]
    client.apply(
        {"apiVersion": SLICE, "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4", "endpoints": ends}
    )


def test_names_follow_the_cluster(plane: ControlPlane, client: Client, dns: Resolver, space: str) -> None:
    with keeping(plane, dns) as said:
        web = service(client, space, "web")
        until_answered(dns, f"web.{space}.svc.cluster.local A", web["spec"]["clusterIP"])
        until_answered(dns, "kubernetes.default.svc.cluster.local A", "10.96.0.1")
        # What pods ask is there, and the controller manager has made its EndpointSlice.
        until_answered(dns, "kube-dns.kube-system.svc.cluster.local A", "10.96.0.10")
        found = client.until(
            "the slice of kube-dns", lambda: client.list(SLICE, "EndpointSlice", namespace="kube-system")
        )
        assert found[0]["endpoints"][0]["addresses"] == ["10.77.0.1"]
        assert {(port["protocol"], port["port"]) for port in found[0]["ports"]} == {("UDP", 1053), ("TCP", 1053)}
        # Whoever deletes it gets it back, also where its address is still taken when the server hears of that.
        own = "metadata.name=kube-dns"
        for _ in range(20):
            client.delete("v1", "Service", "kube-dns", namespace="kube-system")
            until(lambda: client.list("v1", "Service", namespace="kube-system", fields=own))

        service(client, space, "pets", clusterIP="None")
        name, times = f"pets.{space}.svc.cluster.local A", []
        for number in range(2, 12):
            wanted = ("10.244.0.1", f"10.244.0.{number}")
            endpoints(client, space, "pets", *wanted)
            times.append(until_answered(dns, name, *wanted))
        print(f"a changed EndpointSlice is answered after {median(times):.2f} s, at most {max(times):.2f} s")
        assert median(times) < 3
        endpoints(client, space, "pets")
        until_answered(dns, name)
        assert dns.status(name) == "NXDOMAIN"
        assert len([text for text in said if "names of" in text]) == 1


def test_names_stay_while_the_api_is_away_and_go_after_a_gap(
    plane: ControlPlane, client: Client, dns: Resolver, space: str
) -> None:
    """The API server is away, a Service is deleted meanwhile, and etcd forgets when: the watch ends with 410."""
    kept, gone = (service(client, space, name)["spec"]["clusterIP"] for name in ("kept", "gone"))
    with keeping(plane, dns):
        until_answered(dns, f"gone.{space}.svc.cluster.local A", gone)
        plane.forwarder.cut()
        try:
            plane.kubectl("-n", space, "delete", "service", "gone")
            plane.kubectl("-n", space, "create", "service", "clusterip", "new", "--tcp=80")
            words = ["etcdctl", f"--endpoints=http://127.0.0.1:{plane.etcd_port}"]
            status = run.run([*words, "endpoint", "status", "--write-out=fields"]).stdout
            revision = re.search(r'"Revision" : (\d+)', status)
            assert revision
            run.run([*words, "compact", revision[1]])
            plane.stop_process("kube-apiserver", how=signal.SIGKILL)
            for name, address in (("kept", kept), ("gone", gone)):
                assert dns.ask(f"{name}.{space}.svc.cluster.local A") == {
                    f"{name}.{space}.svc.cluster.local. A {address}"
                }
            plane.start_api()
        finally:
            plane.forwarder.mend()
        until_answered(dns, f"gone.{space}.svc.cluster.local A", seconds=120)
        new = client.get("v1", "Service", "new", namespace=space)["spec"]["clusterIP"]
        until_answered(dns, f"new.{space}.svc.cluster.local A", new)
        until_answered(dns, f"kept.{space}.svc.cluster.local A", kept)


@pytest.mark.apart
def test_ten_thousand_services(plane: ControlPlane, client: Client, dns: Resolver, space: str, tmp_path: Path) -> None:
    """They are loaded in bounded time, a change among them is answered soon, and questions by the ten thousand."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: service(client, space, f"s{number}"), range(10_000)))
    service(client, space, "pets", clusterIP="None")
    endpoints(client, space, "pets", "10.244.0.1")
    last = client.get("v1", "Service", "s9999", namespace=space)["spec"]["clusterIP"]
    with keeping(plane, dns) as said:
        loaded = until_answered(dns, f"s9999.{space}.svc.cluster.local A", last, seconds=120)
        times = []
        for number in range(2, 22):
            endpoints(client, space, "pets", f"10.244.0.{number}")
            times.append(until_answered(dns, f"pets.{space}.svc.cluster.local A", f"10.244.0.{number}"))
        questions = tmp_path / "questions"
        questions.write_text("".join(f"s{number}.{space}.svc.cluster.local A\n" for number in range(10_000)))
        words = ["dnsperf", "-s", str(plane.lab.network.server), "-p", str(ports.NAMES), "-d", str(questions)]
        asked = subprocess.run(
            ["ip", "netns", "exec", dns.netns, *words, "-c", "8", "-l", "10"],
            text=True,
            capture_output=True,
            check=True,
        ).stdout
    rate = re.search(r"Queries per second: +([\d.]+)", asked)
    assert rate, asked
    print(f"{said}; loaded after {loaded:.1f} s; a change after {median(times):.2f} s, at most {max(times):.2f} s")
    print(f"{rate[1]} answers a second")
    assert re.search(r"Response codes: +NOERROR \d+ \(100.00%\)", asked), asked
    assert median(times) < 5
    assert float(rate[1]) > 5_000
