"""Images that no node has: the project's own image with one more layer of random data, pushed to the server's registry.

The registry's unix socket is used, which only the server itself reaches. The images are deleted by the registry's API,
which forgets them at once; their layers leave the disk at the server's next start (``server.seed.collect_garbage``),
because the registry can't collect garbage while it runs (https://distribution.github.io/distribution/about/garbage-collection/).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
from contextlib import AbstractContextManager
from typing import Any, Self

import httpx2

from nodisk.assets.container_images import ECHO, MANIFESTS
from nodisk.errors import NodiskError
from nodisk.state import LabState

REPOSITORY = "nodisk/cold"
SIZE = 8 * 2**20
"""Bytes of the layer; chance doesn't compress."""
_OCI, _DOCKER = MANIFESTS
_ACCEPT = {"Accept": ", ".join(MANIFESTS)}


class ColdImages(AbstractContextManager["ColdImages"]):
    """Makes images of one run; they are deleted at the end, and what killed runs left at the beginning."""

    def __init__(self, state: LabState, run_id: str) -> None:
        self._run = run_id
        transport = httpx2.HTTPTransport(uds=str(state.run / "registry.sock"))
        self._http = httpx2.Client(base_url="http://registry", transport=transport, timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        try:
            self._remove()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.closing(self), contextlib.suppress(NodiskError):  # the next run tries again
            self._remove()

    def close(self) -> None:
        """Leave the images there."""
        self._http.close()

    def make(self, number: int) -> str:
        """Push an image and return its name; raises NodiskError if the registry refuses."""
        base, tag = ECHO.split(":")
        answer = self._ask("GET", f"/v2/{base}/manifests/{tag}", headers=_ACCEPT)
        manifest: dict[str, Any] = answer.json()
        config = self._ask("GET", f"/v2/{base}/blobs/{manifest['config']['digest']}").json()
        for layer in manifest["layers"]:
            params = {"mount": layer["digest"], "from": base}
            self._ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", params=params)
        plain = _layer()
        packed = gzip.compress(plain, compresslevel=1, mtime=0)
        config["rootfs"]["diff_ids"].append(digest(plain))
        config.pop("history", None)
        oci = manifest.get("mediaType") == _OCI
        kind = (
            "application/vnd.oci.image.layer.v1.tar+gzip"
            if oci
            else ("application/vnd.docker.image.rootfs.diff.tar.gzip")
        )
        manifest["layers"].append({"mediaType": kind, "size": len(packed), "digest": self._push(packed)})
        encoded = json.dumps(config).encode()
        manifest["config"] |= {"size": len(encoded), "digest": self._push(encoded)}
        body = json.dumps(manifest).encode()
        headers = {"Content-Type": manifest.get("mediaType", _DOCKER)}
        self._ask("PUT", f"/v2/{REPOSITORY}/manifests/{self._run}-{number}", content=body, headers=headers)
        return f"{REPOSITORY}:{self._run}-{number}"

    def _push(self, data: bytes) -> str:
        name = digest(data)
        begun = self._ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/")
        where = httpx2.URL("http://registry").join(begun.headers["Location"]).copy_merge_params({"digest": name})
        self._ask("PUT", str(where), content=data, headers={"Content-Type": "application/octet-stream"})
        return name

    def _remove(self) -> None:
        """Delete every cold image; bench runs once at a time."""
        listed = self._ask("GET", f"/v2/{REPOSITORY}/tags/list", may_lack=True)
        for tag in (listed.json().get("tags") or []) if listed.status_code == 200 else []:
            where = f"/v2/{REPOSITORY}/manifests"
            found = self._ask("HEAD", f"{where}/{tag}", headers=_ACCEPT)
            self._ask("DELETE", f"{where}/{found.headers['Docker-Content-Digest']}", may_lack=True)

    def _ask(self, method: str, url: str, *, may_lack: bool = False, **more: Any) -> httpx2.Response:
        try:
            answer = self._http.request(method, url, **more)
        except httpx2.HTTPError as error:
            raise NodiskError(f"the server's registry does not answer: {error}", hint="nodisk status") from error
        if answer.status_code >= 400 and not (may_lack and answer.status_code == 404):
            raise NodiskError(f"the registry refuses {method} {url}: {answer.status_code} {answer.text[:200]}")
        return answer


def _layer() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("pad")
        info.size, info.mode = SIZE, 0o444
        tar.addfile(info, io.BytesIO(os.urandom(SIZE)))
    return sink.getvalue()


def digest(data: bytes) -> str:
    """What the registry calls ``data``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
