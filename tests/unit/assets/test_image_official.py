"""Flatcar and Fedora CoreOS from an HTTP server on loopback that is laid out like theirs."""

import asyncio
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodisk.assets import image_official
from nodisk.assets.progress import Board
from nodisk.assets.store import Manifest, Store
from nodisk.assets.work import Work
from nodisk.errors import EnvironmentProblem, IntegrityError
from nodisk.spec.model import ImageKind
from nodisk.state import State

FLATCAR = {"flatcar_production_pxe.vmlinuz": b"kernel", "flatcar_production_pxe_image.cpio.gz": b"initramfs with usr"}
FCOS = {"kernel": b"fcos kernel", "initramfs": b"fcos initramfs", "rootfs": b"fcos rootfs"}


@dataclass
class Site:
    url: str
    files: dict[str, bytes]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "NODISK_UPSTREAM_FLATCAR": f"{self.url}/amd64-usr/current",
            "NODISK_UPSTREAM_FCOS": f"{self.url}/streams/stable.json",
        }


@pytest.fixture
def site() -> Iterator[Site]:
    files: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        place = Site(f"http://127.0.0.1:{server.server_port}", files)
        publish(place)
        yield place
        server.shutdown()
        thread.join()


def publish(site: Site) -> None:
    base = "/amd64-usr/current"
    site.files[f"{base}/version.txt"] = b"FLATCAR_BUILD=4081\nFLATCAR_VERSION=4081.2.0\nFLATCAR_SDK_VERSION=1\n"
    for name, data in FLATCAR.items():
        site.files[f"{base}/{name}"] = data
        lines = []
        for algorithm in ("md5", "sha1", "sha512"):
            lines += [f"# {algorithm.upper()} HASH", f"{hashlib.new(algorithm, data).hexdigest()}  {name}"]
        site.files[f"{base}/{name}.DIGESTS"] = "\n".join(lines).encode()
    pxe = {}
    for name, data in FCOS.items():
        site.files[f"/builds/{name}"] = data
        pxe[name] = {"location": f"{site.url}/builds/{name}", "sha256": hashlib.sha256(data).hexdigest()}
    metal = {"release": "43.20260101.3.0", "formats": {"pxe": pxe}}
    stream = {"stream": "stable", "architectures": {"x86_64": {"artifacts": {"metal": metal}}}}
    site.files["/streams/stable.json"] = json.dumps(stream).encode()


def build(site: Site, folder: Path, kind: ImageKind, *, offline: bool = False) -> Manifest:
    state = State(folder / "state")
    work = Work(state, Store(state), Board(None), offline=offline)
    return asyncio.run(image_official.build(work, kind, site.environment))


def test_flatcar_has_its_root_in_the_initramfs(site: Site, tmp_path: Path) -> None:
    made = build(site, tmp_path, ImageKind.FLATCAR)
    facts = image_official.facts_of(made)
    assert made.version == "4081.2.0"
    assert facts.kernel.sha256 == hashlib.sha256(b"kernel").hexdigest()
    assert facts.rootfs == facts.initramfs
    assert facts.initramfs.size == len(b"initramfs with usr")


def test_fedora_coreos_has_a_root_of_its_own(site: Site, tmp_path: Path) -> None:
    made = build(site, tmp_path, ImageKind.FEDORA_COREOS)
    facts = image_official.facts_of(made)
    assert made.version == "43.20260101.3.0"
    assert facts.rootfs.sha256 == hashlib.sha256(b"fcos rootfs").hexdigest()
    assert made.facts["published"]["root.img"]["url"] == f"{site.url}/builds/rootfs"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (ImageKind.FLATCAR, "/amd64-usr/current/flatcar_production_pxe.vmlinuz"),
        (ImageKind.FEDORA_COREOS, "/builds/rootfs"),
    ],
)
def test_an_altered_file_is_refused(site: Site, tmp_path: Path, kind: ImageKind, path: str) -> None:
    site.files[path] = b"altered"
    with pytest.raises(IntegrityError, match="another sha"):
        build(site, tmp_path, kind)
    assert Store(State(tmp_path / "state")).manifests() == []


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"architectures": {"x86_64": {}}}'])
def test_metadata_that_is_none_is_refused(site: Site, tmp_path: Path, answer: bytes) -> None:
    site.files["/streams/stable.json"] = answer
    with pytest.raises(IntegrityError, match="stream metadata"):
        build(site, tmp_path, ImageKind.FEDORA_COREOS)


def test_offline_takes_what_is_in_the_store_and_nothing_else(site: Site, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="--offline"):
        build(site, tmp_path, ImageKind.FLATCAR, offline=True)
    made = build(site, tmp_path, ImageKind.FLATCAR)
    site.files.clear()
    assert build(site, tmp_path, ImageKind.FLATCAR, offline=True) == made
