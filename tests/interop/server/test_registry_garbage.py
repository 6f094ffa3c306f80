"""Images that are deleted by the registry's API, and their room: bench's, which the server's next start gives back, and
students', which come back while the registry runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from tests.support.assets import LAB

from nodisk import files, run
from nodisk.assets.container_images import ECHO
from nodisk.bench.cold_image import REPOSITORY, SIZE, ColdImages, digest
from nodisk.errors import NodiskError
from nodisk.plan import daemons
from nodisk.plan.daemons_files import usual_host
from nodisk.server import class_registry_disk, seed
from nodisk.spec.load import parse
from nodisk.state import LabState, State
from nodisk.waiting import Deadline, until

pytestmark = pytest.mark.interop
OCI = "application/vnd.oci.image.manifest.v1+json"
EMPTY = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    lab = parse(LAB, file=Path("lab.yaml"))
    made = State(tmp_path).lab("t")
    host = usual_host(lab, made.root, tmp_path)
    for kind in (daemons.REGISTRY, daemons.CLASS_REGISTRY):
        files.write(host.conf / f"{kind}.yaml", daemons.registry(host, kind))
    host.run.mkdir(parents=True)
    return made


@contextmanager
def registry(state: LabState, kind: str = daemons.REGISTRY) -> Iterator[httpx2.Client]:
    """docker-registry itself with the server's own configuration."""
    socket = state.run / f"{kind}.sock"
    socket.unlink(missing_ok=True)
    program: list[str | Path] = [run.find("docker-registry"), "serve", state.root / f"conf/{kind}.yaml"]
    with (state.root / "registry.log").open("wb") as log, subprocess.Popen(program, stdout=log, stderr=log) as child:
        try:
            assert until(socket.exists, Deadline(120), every=0.05), (state.root / "registry.log").read_text()
            transport = httpx2.HTTPTransport(uds=str(socket), retries=10)
            with httpx2.Client(base_url="http://registry", transport=transport, timeout=60) as client:
                yield client
        finally:
            child.terminate()


def push(client: httpx2.Client, name: str, config: bytes) -> None:
    """An image without a layer."""
    repository, tag = name.split(":")
    begun = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
    where = httpx2.URL("http://registry").join(begun).copy_merge_params({"digest": digest(config)})
    assert client.put(where, content=config).status_code == 201
    about = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config), "digest": digest(config)}
    manifest = {"schemaVersion": 2, "mediaType": OCI, "config": about, "layers": []}
    body = json.dumps(manifest).encode()
    answer = client.put(f"/v2/{repository}/manifests/{tag}", content=body, headers={"Content-Type": OCI})
    assert answer.status_code == 201


def status(client: httpx2.Client, name: str) -> int:
    repository, tag = name.split(":")
    return client.head(f"/v2/{repository}/manifests/{tag}", headers={"Accept": OCI}).status_code


def size(state: LabState) -> int:
    return sum(path.stat().st_size for path in state.registry.rglob("*") if path.is_file())


def collect(state: LabState) -> list[str]:
    said: list[str] = []
    asyncio.run(seed.collect_garbage(state.registry, state.root / "conf/registry.yaml", said.append))
    return said


def test_cold_images_are_gone_and_their_room_is_free_after_a_start(state: LabState) -> None:
    assert collect(state) == [], "an empty registry has no garbage"
    with registry(state) as client:
        push(client, ECHO, EMPTY)
        killed = ColdImages(state, "killed")
        left = killed.make(0)
        killed.close()
        assert status(client, left) == 200
        with ColdImages(state, "run") as images:
            assert status(client, left) == 404, "what a killed run left goes first"
            made = [images.make(number) for number in range(2)]
            assert made == [f"{REPOSITORY}:run-0", f"{REPOSITORY}:run-1"]
            assert [status(client, name) for name in made] == [200, 200]
        assert [status(client, name) for name in made] == [404, 404]
        assert status(client, ECHO) == 200
    assert size(state) > 3 * SIZE
    assert collect(state) == []
    assert size(state) < SIZE / 100
    with registry(state) as client:
        assert status(client, ECHO) == 200
        with ColdImages(state, "again") as images:
            assert status(client, images.make(0)) == 200


def test_students_images_are_collected_while_their_registry_runs(state: LabState) -> None:
    """And a client is asked for all of an image that it pushes again: nothing is taken for there that is gone."""
    root, said = state.class_registry, list[str]()
    contents = {name: EMPTY[:-1] + f',"author":"{name}"}}'.encode() for name in ("kept", "gone", "replaced", "young")}

    def blob(client: httpx2.Client, name: str) -> httpx2.Response:
        return client.get(f"/v2/anna/{name}/blobs/{digest(contents[name])}")

    with registry(state, daemons.CLASS_REGISTRY) as client:
        for name, content in contents.items():
            push(client, f"anna/{name}:1", content)
            assert blob(client, name).status_code == 200
        deleted = client.head("/v2/anna/gone/manifests/1", headers={"Accept": OCI}).headers["Docker-Content-Digest"]
        assert client.delete(f"/v2/anna/gone/manifests/{deleted}").status_code == 202
        for name in ("replaced", "young"):
            push(client, f"anna/{name}:1", EMPTY)
        for link in root.glob("**/repositories/anna/replaced/_manifests/revisions/sha256/*/link"):
            os.utime(link, (0, 0))
        assert class_registry_disk.tidy(root, young=3600) == 2, "of what was deleted, a folder is left"
        asyncio.run(seed.collect_garbage(root, state.root / "conf/class-registry.yaml", said.append))
        assert said == []
        found = {name: blob(client, name).status_code for name in contents}
        assert found == {"kept": 200, "gone": 404, "replaced": 404, "young": 200}
        assert client.head(f"/v2/anna/gone/blobs/{digest(contents['gone'])}").status_code == 404
        push(client, "anna/gone:1", contents["gone"])
        assert blob(client, "gone").content == contents["gone"]
        assert {status(client, f"anna/{name}:1") for name in contents} == {200}


def test_a_registry_that_is_damaged_is_said_and_keeps_everything(state: LabState) -> None:
    with registry(state) as client:
        push(client, ECHO, EMPTY)
        push(client, "registry.k8s.io/other:1", EMPTY)
    (link,) = state.registry.glob("**/repositories/nodisk/echo/_manifests/revisions/sha256/*/link")
    name = link.read_text().removeprefix("sha256:")
    (state.registry / f"docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data").write_bytes(b"")  # a power cut
    before = size(state)
    (said,) = collect(state)
    assert said.startswith("registry: garbage could not be collected: failed to garbage collect")
    assert size(state) == before


def test_a_refusal_is_told_with_the_registrys_words(state: LabState) -> None:
    with (
        registry(state),
        ColdImages(state, "run") as images,
        pytest.raises(NodiskError, match=r"the registry refuses GET .* 404 .*unknown"),
    ):
        images.make(0)
