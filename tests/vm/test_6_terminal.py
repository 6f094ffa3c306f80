"""A student's terminal on the lab's machines: from a code on paper to ``kubectl`` in a pod of their own."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.vm.driver import Driver
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.typing import Origin

from nodisk.console import security

pytestmark = [pytest.mark.vm, pytest.mark.apart]

NAME = "vmterm"
JAN = "vmterm-jan-kowalski"
PHRASE = "cztery słowa na dziś"
_ORDERS = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\([A-Z0-9])")
PATIENCE = 400.0
"""Seconds for a pod on an emulated machine: it pulls the image, and starts a shell and a kubectl."""


@pytest.fixture(scope="module")
def vmterm(vm: Driver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    out = tmp_path_factory.mktemp("terminal") / "handouts"
    words = ("--students", "Jan Kowalski,Ewa Lis", "--size", "tiny", "--storage", "64Mi", "--days", "2", "--overcommit")
    vm("class", "create", NAME, *words, "--out", str(out), timeout=600)
    yield vm
    vm("class", "delete", NAME, "--yes", "--storage-policy", "remove", check=False, timeout=400)


def trust(vm: Driver) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(vm.context().state.pki / "server-ca.crt"))


def socket_path(vm: Driver) -> Path:
    """Where browsers reach the console of a virtual lab, behind its forwarder."""
    return vm.context().state.run / "console-tls.sock"


def signed_in(vm: Driver, base: str) -> tuple[str, str]:
    """Jan by his code: (the cookie's value, the token of the page's forms)."""
    made = json.loads(vm("class", "codes", NAME, "jan-kowalski", "--renew", "--yes", "--output", "json").stdout)
    code = next(one["code"] for one in made["students"] if one["label"] == "jan-kowalski")
    transport = httpx2.HTTPTransport(verify=trust(vm), uds=str(socket_path(vm)))
    with httpx2.Client(base_url=base, transport=transport, timeout=60) as browser:
        data = {"code": code, "passphrase": PHRASE, "again": PHRASE}
        answer = browser.post(f"/door/{NAME}/first", data=data, headers={"Origin": base})
        assert answer.status_code == 303, answer.text
        name = security.door_cookie_name(vm.context().lab)
        token = next(
            line.partition("=")[2].partition(";")[0]
            for line in answer.headers.get_list("set-cookie")
            if line.startswith(f"{name}=")
        )
        page = browser.get(f"/door/{NAME}/terminal", headers={"Cookie": f"{name}={token}"}).text
    form = re.search(r'data-token="([0-9a-f]{64})"', page)
    assert form is not None, page
    return token, form[1]


async def until(socket: ClientConnection, pattern: str) -> str:
    """All that is said until it matches; it is confirmed as a page does."""
    said, seen = "", 0
    async with asyncio.timeout(PATIENCE):
        while re.search(pattern, _ORDERS.sub(" ", said)) is None:
            message = await socket.recv()
            if isinstance(message, bytes):
                said, seen = said + message.decode(errors="replace"), seen + len(message)
                await socket.send(json.dumps({"seen": seen}))
            else:
                assert json.loads(message)["state"] in ("wait", "open"), (message, said)
    return _ORDERS.sub(" ", said)


def test_kubectl_in_the_browser_sees_its_own_pod(vmterm: Driver) -> None:
    context = vmterm.context()
    base = f"https://127.0.0.1:{context.lab.console.port}"
    token, form = signed_in(vmterm, base)

    def dial() -> Any:
        return unix_connect(
            str(socket_path(vmterm)),
            base.replace("https", "wss") + f"/door/{NAME}/terminal/socket",
            ssl=trust(vmterm),
            origin=Origin(base),
            additional_headers={"Cookie": f"{security.door_cookie_name(context.lab)}={token}"},
            max_size=None,
        )

    async def use() -> str:
        async with dial() as socket:
            await socket.send(json.dumps({"token": form, "columns": 120, "rows": 40}))
            await until(socket, r"\$ ")
            await socket.send(b"kubectl get pods\r")
            said = await until(socket, r"terminal +1/1 +Running")
            await socket.send(b"kept=$((40+2)); echo x >/home/file && echo wrote-$?\r")
            await until(socket, r"wrote-0")
        async with dial() as socket:  # the same shell
            await socket.send(json.dumps({"token": form, "columns": 120, "rows": 40}))
            await until(socket, r"\$ ")
            await socket.send(b"echo still-$kept; kubectl get nodes; kubectl auth can-i get pods\r")
            return said + await until(socket, r"still-42(.|\n)*Forbidden(.|\n)*yes")

    said = asyncio.run(use())
    assert "No resources" not in said
    pod = vmterm.kubectl("-n", JAN, "get", "pod", "terminal")
    assert pod["spec"]["containers"][0]["image"] == "nodisk/terminal:1"
    events = vmterm("events", "--output", "json", check=False).stdout
    assert "kubectl get pods" not in events
    # Suspending ends it within seconds, and deletes the pod.
    vmterm("class", "suspend", NAME, "jan-kowalski")

    def gone() -> bool:
        return not vmterm.kubectl("-n", JAN, "get", "pods")["items"]

    vmterm.wait(gone, "the suspended student's terminal is gone", seconds=180)
