"""kubelets asked over TLS, and the API that the server makes of what they say."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx2
import pytest
from cryptography import x509
from tests.support.kubelets import Kubelet, summary
from tests.support.waits import LONG, until_async

from nodisk import ports
from nodisk.kube.errors import BadRequest, Unreachable
from nodisk.pki.authority import Authority
from nodisk.plan import cluster_metrics
from nodisk.records.database import Database
from nodisk.server import kubelets as asking
from nodisk.server.app import application
from nodisk.server.handlers.common import AppState
from nodisk.server.handlers.metrics import ALLOWED
from nodisk.server.kubelets import Kubelets
from nodisk.server.metrics import Choice
from nodisk.server.texts import Texts
from nodisk.spec.model import Lab
from nodisk.state import State

T = TypeVar("T")
# Loopback's own addresses, so that kubelets' certificates are for where they are.
LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "127.77.0.0/24", "server": "127.77.0.1"},
        "machines": [
            {"name": name, "mac": f"52:54:00:77:00:{number}", "address": f"127.77.0.{number}", "role": role}
            for name, number, role in (("cp1", 11, "control-plane"), ("w1", 21, "worker"), ("w2", 22, "worker"))
        ],
    }
)
BASE = "/apis/metrics.k8s.io/v1beta1"
TRUSTED = {"Nodisk-Client-Subject": ALLOWED, "X-Remote-User": "anna"}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubelets are threads of this process here, on a host that has other work."""
    monkeypatch.setattr(asking, "PATIENCE", LONG)
    monkeypatch.setattr(asking, "ASK", 3 * LONG)
    monkeypatch.setattr(asking, "KEEP", 60.0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(State(tmp_path).lab("room"), LAB)
    made.ensure()
    return made


@pytest.fixture
def standins(authority: Authority, tmp_path: Path) -> Iterator[dict[str, Kubelet]]:
    made = {str(machine.name): Kubelet() for machine in LAB.machines}
    for machine in LAB.machines:
        listener = socket.create_server((str(machine.address), 0))
        made[str(machine.name)].start(listener, machine, LAB, authority, tmp_path)
    made["w1"].answer = json.dumps(summary({("shop", "web"): {"c": (5, 5)}, ("bank", "db"): {"c": (7, 7)}})).encode()
    yield made
    for one in made.values():
        one.stop()


def with_kubelets(authority: Authority, standins: dict[str, Kubelet], work: Callable[[Kubelets], Awaitable[T]]) -> T:
    """Do ``work`` with Kubelets that ask the stand-ins by nodisk's own certificate."""

    async def do() -> T:
        made = Kubelets({name: one.address for name, one in standins.items()}, asking.identity(authority.folder))
        try:
            return await work(made)
        finally:
            await made.close()

    return asyncio.run(do())


def test_all_are_asked_by_a_user_of_its_own_and_not_again_at_once(
    authority: Authority, standins: dict[str, Kubelet]
) -> None:
    async def twice(kubelets: Kubelets) -> None:
        assert set(await kubelets.readings()) == {"cp1", "w1", "w2"}
        assert ("shop", "web") in (await kubelets.readings())["w1"].pods

    with_kubelets(authority, standins, twice)
    assert [one.asked for one in standins.values()] == [["nodisk:metrics"]] * 3


def test_a_kubelet_that_hangs_is_waited_for_once(
    authority: Authority, standins: dict[str, Kubelet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "KEEP", 0.0)
    standins["w2"].open.clear()

    async def work(kubelets: Kubelets) -> None:
        first = asyncio.create_task(kubelets.readings())
        await until_async(
            lambda: standins["w2"].asked and set(kubelets.known()) >= {"cp1", "w1"}, why="not all were asked"
        )
        assert not first.done(), "it is waited for"
        monkeypatch.setattr(asking, "PATIENCE", 0.01)
        assert set(await kubelets.readings()) == {"cp1", "w1"}
        monkeypatch.setattr(asking, "PATIENCE", LONG)
        began = time.monotonic()
        assert set(await kubelets.readings()) == {"cp1", "w1"}
        assert time.monotonic() - began < LONG - 5, "nobody waits for it any more"
        standins["w2"].open.set()
        assert "w2" in await first
        assert set(await kubelets.readings()) == {"cp1", "w1", "w2"}

    with_kubelets(authority, standins, work)


@pytest.mark.parametrize("fault", ["long", "status", "junk", "closed", "stranger"])
def test_a_kubelet_with_a_fault_keeps_no_other_from_telling(
    fault: str, authority: Authority, standins: dict[str, Kubelet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST", 10_000)
    bad = standins["w2"]
    if fault == "long":
        bad.answer += b" " * 10_000
    elif fault == "status":
        bad.status = 403
    elif fault == "junk":
        bad.answer = b"not JSON"
    elif fault == "closed":
        standins.pop("w2").stop()
    else:  # at that address answers a machine that has a certificate of the lab, but for another
        standins.pop("w2").stop()
        standins["w2"] = Kubelet()
        listener = socket.create_server((str(LAB.machines[2].address), 0))
        standins["w2"].start(listener, LAB.machines[1], LAB, authority, tmp_path)

    async def work(kubelets: Kubelets) -> None:
        assert set(await kubelets.readings()) == {"cp1", "w1"}

    with_kubelets(authority, standins, work)
    if fault == "stranger":
        assert not standins["w2"].asked


class Chosen:
    """The cluster, as far as selectors go."""

    def __init__(self) -> None:
        self.answer: set[tuple[str, str]] | Exception = set()
        self.asked: Choice | None = None

    async def __call__(self, choice: Choice) -> set[tuple[str, str]]:
        self.asked = choice
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def ask(
    authority: Authority,
    standins: dict[str, Kubelet],
    tmp_path: Path,
    path: str,
    *,
    headers: dict[str, str] = TRUSTED,
    chosen: Chosen | None = None,
) -> httpx2.Response:
    async def work(kubelets: Kubelets) -> httpx2.Response:
        app_state = AppState(cast("Texts", None), authority, database, kubelets=kubelets, chosen=chosen or Chosen())
        transport = httpx2.ASGITransport(application(app_state))
        async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.get(path, headers=headers)

    with Database(tmp_path / "nodisk.db") as database:
        return with_kubelets(authority, standins, work)


def names(answer: httpx2.Response) -> list[str]:
    return [item["metadata"]["name"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/nodes", ["cp1", "w1", "w2"]),
        ("/pods", ["db", "web"]),
        ("/namespaces/shop/pods", ["web"]),
        ("/namespaces/nobody/pods", []),
    ],
)
def test_lists(
    path: str, wanted: list[str], authority: Authority, standins: dict[str, Kubelet], tmp_path: Path
) -> None:
    assert names(ask(authority, standins, tmp_path, BASE + path)) == wanted


def test_single_objects(authority: Authority, standins: dict[str, Kubelet], tmp_path: Path) -> None:
    assert ask(authority, standins, tmp_path, f"{BASE}/nodes/w1").json()["usage"]["cpu"] == "250000000n"
    assert ask(authority, standins, tmp_path, f"{BASE}/namespaces/shop/pods/web").json()["kind"] == "PodMetrics"
    for path in ("/nodes/w9", "/namespaces/shop/pods/db"):
        answer = ask(authority, standins, tmp_path, BASE + path)
        assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


def test_what_the_api_serves(authority: Authority, standins: dict[str, Kubelet], tmp_path: Path) -> None:
    answer = ask(authority, standins, tmp_path, BASE).json()
    assert {item["name"]: item["namespaced"] for item in answer["resources"]} == {"nodes": False, "pods": True}
    assert not any(one.asked for one in standins.values())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Remote-User": "admin"}, 403),
        (TRUSTED | {"Nodisk-Client-Subject": "CN=kube-apiserver"}, 403),
        (TRUSTED | {"Nodisk-Client-Subject": f"{ALLOWED},O=x"}, 403),
        ({"Nodisk-Client-Subject": ALLOWED}, 401),
    ],
)
def test_only_api_servers_are_answered(
    headers: dict[str, str], status: int, authority: Authority, standins: dict[str, Kubelet], tmp_path: Path
) -> None:
    for path in ("", "/nodes", "/pods", "/namespaces/shop/pods/web"):
        answer = ask(authority, standins, tmp_path, BASE + path, headers=headers)
        assert (answer.status_code, answer.json()["kind"]) == (status, "Status")
    assert not any(one.asked for one in standins.values())


def test_selectors_are_the_clusters_to_answer(
    authority: Authority, standins: dict[str, Kubelet], tmp_path: Path
) -> None:
    chosen = Chosen()
    chosen.answer = {("shop", "web"), ("shop", "db")}
    assert names(ask(authority, standins, tmp_path, f"{BASE}/pods?labelSelector=app%3Dx", chosen=chosen)) == ["web"]
    assert chosen.asked == Choice("Pod", None, "app=x", None)
    for error, status in ((BadRequest("no selector", status=400), 400), (Unreachable("away"), 503)):
        chosen.answer = error
        answer = ask(authority, standins, tmp_path, f"{BASE}/nodes?labelSelector=%3D", chosen=chosen)
        assert answer.status_code == status
    assert ask(authority, standins, tmp_path, f"{BASE}/pods?watch=true").status_code == 405


def test_the_objects_lead_api_servers_to_the_server(authority: Authority) -> None:
    ca = authority.path("server-ca.crt").read_bytes()
    objects: dict[str, Any] = {item["kind"]: item for item in cluster_metrics.objects(LAB, ca)}
    service, api = objects["Service"], objects["APIService"]["spec"]
    assert "selector" not in service["spec"]
    (subset,) = objects["Endpoints"]["subsets"]
    assert (subset["addresses"], subset["ports"][0]["port"]) == ([{"ip": "127.77.0.1"}], ports.METRICS)
    host = f"{api['service']['name']}.{api['service']['namespace']}.svc"
    shown = x509.load_pem_x509_certificate(authority.path("metrics.crt").read_bytes())
    shown.verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
    sans = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sans.get_values_for_type(x509.DNSName) == [host]
