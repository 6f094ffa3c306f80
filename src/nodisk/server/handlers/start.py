"""The URLs that students open: ``/``, ``/kubectl`` and ``/kubectl.sha256``. Public."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from nodisk.plan.facts import AssetRef
from nodisk.server.handlers.common import Problem, app_state_of
from nodisk.server.start_page import page


def _kubectl(request: Request) -> AssetRef:
    found = app_state_of(request).texts.kubectl
    if found is None:
        raise Problem(404, "this lab's release brings no kubectl")
    return found


async def kubectl(request: Request) -> Response:
    """The release's kubectl for Linux on x86-64: a redirect to its immutable URL."""
    return RedirectResponse(_kubectl(request).url_path, 302, headers={"Cache-Control": "no-store"})


async def checksum(request: Request) -> Response:
    """Its hash in the format of ``sha256sum -c``."""
    return PlainTextResponse(f"{_kubectl(request).sha256}  kubectl\n", headers={"Cache-Control": "no-store"})


async def start(request: Request) -> Response:
    """How a student's own computer gets kubectl and the key file, system by system."""
    texts = app_state_of(request).texts
    if texts.facts.cluster is None:
        raise Problem(404, "this lab has no cluster")
    return HTMLResponse(page(texts.lab, texts.facts.release, texts.kubectl))
