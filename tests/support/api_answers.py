"""An API server that only says what it is told to, beneath the real client: for tests of the transport."""

from __future__ import annotations

from typing import Any

import httpx2

from nodisk.kube.client import Client
from nodisk.kube.kubeconfig import Endpoint

_NAMES = {"pods": "Pod", "configmaps": "ConfigMap", "services": "Service", "namespaces": "Namespace"}
_KINDS = [{"name": name, "kind": kind, "namespaced": True, "verbs": ["list"]} for name, kind in _NAMES.items()]


class Api:
    """Answers requests from a list, in order, the last again and again; discovery is answered by itself.

    An answer is an exception, or status, body and perhaps headers.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.seen: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/api/v1":
            return httpx2.Response(200, json={"resources": _KINDS})
        self.seen.append(f"{request.method} {request.url.path}")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        return httpx2.Response(status, json=body, headers=headers[0] if headers else None)


def client(api: Api, **options: Any) -> Client:
    """The real client, whose requests end at ``api``."""
    return Client(Endpoint("https://192.0.2.1:6443", ""), transport=httpx2.MockTransport(api), **options)
