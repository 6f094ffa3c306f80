"""Images that no node has: the project's own image with one more layer of random data, pushed to the server's registry.

The registry's unix socket is used, which only the server itself reaches. Nothing of it is left on the server's disk.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import httpx2

from nodisk.assets.container_images import ECHO
from nodisk.errors import NodiskError
from nodisk.state import LabState

SIZE = 8 * 2**20
"""Bytes of the layer; random data doesn't compress."""
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_OCI = "application/vnd.oci.image.manifest.v1+json"


class ColdImages(AbstractContextManager["ColdImages"]):
    """Makes images of one run; what it pushed is removed at the end."""

    def __init__(self, state: LabState, run_id: str) -> None:
        self._state = state
        self.repository = f"nodisk/cold-{run_id}"
        transport = httpx2.HTTPTransport(uds=str(state.run / "registry.sock"))
        self._http = httpx2.Client(base_url="http://registry", transport=transport, timeout=60, trust_env=False)
        self._blobs: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self.remove()

    def make(self, number: int) -> str:
        """Push an image and return its name; raises NodiskError if the registry refuses."""
        base, tag = ECHO.split(":")
        accept = {"Accept": f"{_MANIFEST}, {_OCI}"}
        answer = self._ask("GET", f"/v2/{base}/manifests/{tag}", headers=accept)
        manifest: dict[str, Any] = answer.json()
        config = self._ask("GET", f"/v2/{base}/blobs/{manifest['config']['digest']}").json()
        for layer in manifest["layers"]:
            params = {"mount": layer["digest"], "from": base}
            self._ask("POST", f"/v2/{self.repository}/blobs/uploads/", params=params)
        plain = _layer()
        packed = gzip.compress(plain, compresslevel=1, mtime=0)
        config["rootfs"]["diff_ids"].append(_digest(plain))
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
        headers = {"Content-Type": manifest.get("mediaType", _MANIFEST)}
        self._ask("PUT", f"/v2/{self.repository}/manifests/{number}", content=body, headers=headers)
        self._blobs.append(_digest(body))
        return f"{self.repository}:{number}"

    def _push(self, data: bytes) -> str:
        digest = _digest(data)
        begun = self._ask("POST", f"/v2/{self.repository}/blobs/uploads/")
        where = httpx2.URL("http://registry").join(begun.headers["Location"]).copy_merge_params({"digest": digest})
        self._ask("PUT", str(where), content=data, headers={"Content-Type": "application/octet-stream"})
        self._blobs.append(digest)
        return digest

    def _ask(self, method: str, url: str, **more: Any) -> httpx2.Response:
        try:
            answer = self._http.request(method, url, **more)
        except httpx2.HTTPError as error:
            raise NodiskError(f"the server's registry does not answer: {error}", hint="nodisk status") from error
        if answer.status_code >= 400:
            raise NodiskError(f"the registry refuses {method} {url}: {answer.status_code} {answer.text[:200]}")
        return answer

    def remove(self) -> None:
        """Take this run's repository and blobs from the registry's disk: nobody else can refer to chance."""
        remove_repository(self._state.registry, self.repository, self._blobs)


def remove_repository(registry: Path, repository: str, blobs: list[str]) -> None:
    """Delete a repository's folder and these blobs, as ``garbage-collect`` would, without stopping the registry."""
    root = registry / "docker" / "registry" / "v2"
    shutil.rmtree(root / "repositories" / repository, ignore_errors=True)
    for digest in blobs:
        value = digest.removeprefix("sha256:")
        shutil.rmtree(root / "blobs" / "sha256" / value[:2] / value, ignore_errors=True)


def remove_leftovers(state: LabState) -> None:
    """What killed runs left in the registry: their repositories and the blobs that these link to."""
    root = state.registry / "docker" / "registry" / "v2" / "repositories" / "nodisk"
    for folder in root.glob("cold-*"):
        own = {f"sha256:{link.parent.name}" for link in folder.glob("_*/**/link") if len(link.parent.name) == 64}
        others = {
            f"sha256:{link.parent.name}"
            for other in root.parent.glob("**/link")
            if not other.is_relative_to(folder)
            for link in (other,)
        }
        remove_repository(state.registry, f"nodisk/{folder.name}", sorted(own - others))


def _layer() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("pad")
        info.size, info.mode = SIZE, 0o444
        tar.addfile(info, io.BytesIO(os.urandom(SIZE)))
    return sink.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
