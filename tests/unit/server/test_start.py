"""The addresses that a student types: kubectl, its hash, and the page that explains both."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import httpx2

from nodisk.plan.facts import AssetRef
from nodisk.server.app import application
from nodisk.server.handlers.common import AppState
from nodisk.server.start_page import page
from nodisk.spec.model import Lab
from nodisk.values import KubeVersion

KUBECTL = AssetRef("kubectl", "ab" * 32, 40_000_000)
LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}],
    }
)
RELEASE: Any = SimpleNamespace(version=KubeVersion(1, 36, 2))


def ask(path: str, kubectl: AssetRef | None) -> httpx2.Response:
    texts = SimpleNamespace(lab=LAB, facts=SimpleNamespace(release=RELEASE, cluster=RELEASE), kubectl=kubectl)

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(application(cast("AppState", SimpleNamespace(texts=texts))))
        async with httpx2.AsyncClient(transport=transport, base_url="http://10.77.0.1") as client:
            return await client.get(path)

    return asyncio.run(send())


def test_kubectl_leads_to_its_content() -> None:
    answer = ask("/kubectl", KUBECTL)
    assert (answer.status_code, answer.headers["location"]) == (302, KUBECTL.url_path)
    assert ask("/kubectl.sha256", KUBECTL).text == f"{'ab' * 32}  kubectl\n"


def test_a_release_without_kubectl_says_so() -> None:
    for path in ("/kubectl", "/kubectl.sha256"):
        answer = ask(path, None)
        assert (answer.status_code, answer.text) == (404, "this lab's release brings no kubectl\n")
    assert "dl.k8s.io/release/v1.36.2/bin/linux/amd64/kubectl" in page(LAB, RELEASE, None)


def test_the_page_has_every_system() -> None:
    answer = ask("/", KUBECTL)
    assert answer.headers["content-type"].startswith("text/html")
    for words in (
        "curl -fLo kubectl http://10.77.0.1/kubectl\n",
        "https://dl.k8s.io/release/v1.36.2/bin/darwin/arm64/kubectl",
        "https://dl.k8s.io/release/v1.36.2/bin/windows/amd64/kubectl.exe",
        "~/.kube/config",
        "$HOME\\.kube\\config",
    ):
        assert words in answer.text
