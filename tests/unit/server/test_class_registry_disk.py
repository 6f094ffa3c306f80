"""The class registry on the disk: how full it is, what goes, and what is hostile."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.server import class_registry_disk
from nodisk.server.class_registry_disk import Fullness, Use, sweep, use
from nodisk.spec.model_class_registry import ClassRegistry
from nodisk.values import Size


def blob(root: Path, digest: str, size: int) -> Path:
    file = root / f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(size))
    return file


def link(root: Path, image: str, digest: str) -> None:
    (root / f"docker/registry/v2/repositories/{image}/_layers/sha256/{digest}").mkdir(parents=True)


def test_use_counts_what_is_shared_once_in_all_and_for_each_namespace(tmp_path: Path) -> None:
    one, two, lost = ("1" * 64, "2" * 64, "3" * 64)
    blob(tmp_path, one, 100)
    blob(tmp_path, two, 10)
    for image in ("anna/web", "anna/deep/db", "jan/web"):
        link(tmp_path, image, one)
    link(tmp_path, "anna/web", two)
    link(tmp_path, "jan/web", lost)
    upload = tmp_path / "docker/registry/v2/repositories/jan/web/_uploads/x/data"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(bytes(7))
    unfinished = 7 + class_registry_disk.UPLOAD
    assert use(tmp_path) == Use(110 + unfinished, {"anna": 110, "jan": 100 + unfinished}, {"jan": 1})
    assert use(tmp_path / "none") == Use(0, {})


def test_who_has_used_up_what_is_theirs_may_push_nothing(tmp_path: Path) -> None:
    now = [0.0]
    full = Fullness(ClassRegistry(size=Size(300), per_namespace=Size(150)), tmp_path, clock=lambda: now[0])

    def problem(namespace: str) -> str | None:
        now[0] += class_registry_disk.LOOK
        return asyncio.run(full.problem(namespace))

    assert problem("anna") is None
    blob(tmp_path, "1" * 64, 200)
    link(tmp_path, "anna/web", "1" * 64)
    assert problem("anna") == "the images of anna have taken all of their 150"
    assert problem("jan") is None
    blob(tmp_path, "2" * 64, 100)
    assert problem("jan") == "the registry is full: 300"


def manifest(root: Path, image: str, content: bytes, tag: str = "") -> str:
    digest = hashlib.sha256(content).hexdigest()
    file = blob(root, digest, 0)
    file.write_bytes(content)
    manifests = root / f"docker/registry/v2/repositories/{image}/_manifests"
    links = [manifests / f"revisions/sha256/{digest}/link"]
    links += [manifests / f"tags/{tag}/current/link"] if tag else []
    for one in links:
        one.parent.mkdir(parents=True, exist_ok=True)
        one.write_text(f"sha256:{digest}")
    return digest


def index(*digests: str) -> bytes:
    return json.dumps({"manifests": [{"digest": f"sha256:{digest}"} for digest in digests]}).encode()


def of(*layers: str) -> bytes:
    parts = [{"digest": f"sha256:{layer}"} for layer in layers]
    return json.dumps({"config": parts[0], "layers": parts[1:]}).encode()


def there(root: Path, kind: str) -> set[str]:
    return {path.name for path in root.glob(f"docker/registry/v2/repositories/**/{kind}/sha256/*")}


def test_what_no_tag_leads_to_goes_and_the_parts_of_an_index_stay(tmp_path: Path) -> None:
    layers = [str(number) * 64 for number in range(1, 9)]
    for layer in layers:
        link(tmp_path, "anna/web", layer)
    old = manifest(tmp_path, "anna/web", of(*layers[:2]), tag="1")
    new = manifest(tmp_path, "anna/web", of(layers[0], layers[2]), tag="1")
    part, deep = manifest(tmp_path, "anna/web", of(*layers[3:5])), manifest(tmp_path, "anna/web", of(layers[5]))
    inner = manifest(tmp_path, "anna/web", index(deep))
    outer = manifest(tmp_path, "anna/web", index(part, inner), tag="all")
    lost = manifest(tmp_path, "jan/deep/db", of(layers[0]))
    upload = tmp_path / "docker/registry/v2/repositories/anna/web/_uploads/x/data"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(bytes(7))
    assert class_registry_disk.tidy(tmp_path) == 2
    assert there(tmp_path, "revisions") == {new, part, deep, inner, outer}
    assert not {old, lost} & there(tmp_path, "revisions")
    assert there(tmp_path, "_layers") == {layers[number] for number in (0, 2, 3, 4, 5)}
    assert not upload.exists()
    assert class_registry_disk.tidy(tmp_path / "none") == 0


def test_a_young_image_is_kept_with_its_parts_until_somebody_names_it(tmp_path: Path) -> None:
    layers = [str(number) * 64 for number in range(1, 5)]
    for layer in layers:
        link(tmp_path, "anna/web", layer)
    old = manifest(tmp_path, "anna/web", of(*layers[:2]))
    young = manifest(tmp_path, "anna/web", of(*layers[2:]))
    revisions = tmp_path / "docker/registry/v2/repositories/anna/web/_manifests/revisions/sha256"
    hour_ago = time.time() - 3600
    os.utime(revisions / old / "link", (hour_ago, hour_ago))
    assert class_registry_disk.tidy(tmp_path, young=1800) == 1
    assert there(tmp_path, "revisions") == {young}
    assert there(tmp_path, "_layers") == set(layers[2:])
    assert class_registry_disk.tidy(tmp_path) == 1
    assert there(tmp_path, "revisions") == there(tmp_path, "_layers") == set()


def test_an_upload_goes_on_while_something_comes(tmp_path: Path) -> None:
    upload = tmp_path / "docker/registry/v2/repositories/anna/web/_uploads/x"
    assert not class_registry_disk.uploading(tmp_path, 60)
    upload.mkdir(parents=True)
    (upload / "data").touch()
    assert class_registry_disk.uploading(tmp_path, 60)
    hour_ago = time.time() - 3600
    os.utime(upload, (hour_ago, hour_ago))
    assert class_registry_disk.uploading(tmp_path, 60)
    os.utime(upload / "data", (hour_ago, hour_ago))
    assert not class_registry_disk.uploading(tmp_path, 60), "its client is gone"


HOSTILE = (
    b"\xff", b"[]", b'{"manifests": 1}', b'{"manifests": [1, {"digest": 2}, {"digest": "sha256:../../../x"}]}',
    b'{"layers": {"digest": null}}', b'{"x":' + b"[" * 9000 + b"]" * 9000 + b"}", b"{" + b" " * (5 << 20) + b"}",
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_what_students_call_a_manifest_keeps_no_server_from_starting(tmp_path: Path, number: int) -> None:
    kept = manifest(tmp_path, "anna/web", HOSTILE[number], tag="1")
    link(tmp_path, "anna/web", "1" * 64)
    manifest(tmp_path, "jan/web", b"{}")
    assert class_registry_disk.tidy(tmp_path) == 1
    assert there(tmp_path, "revisions") == {kept}


VALUES = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda one: (
        st.lists(one) | st.dictionaries(st.sampled_from(["manifests", "layers", "config", "digest", "blobSum"]), one)
    ),
)


@given(VALUES)
def test_any_manifest_is_read_to_its_end(value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = manifest(Path(folder), "anna/web", json.dumps(value).encode(), tag="1")
        assert class_registry_disk.tidy(Path(folder)) == 0
        assert there(Path(folder), "revisions") == {kept}


def test_uploads_that_nobody_finishes_count(tmp_path: Path) -> None:
    full = Fullness(ClassRegistry(size=Size(1 << 30), per_namespace=Size(1 << 30)), tmp_path)
    for number in range(class_registry_disk.MOST_UPLOADS):
        (tmp_path / f"docker/registry/v2/repositories/anna/web/_uploads/{number}").mkdir(parents=True)
    found = use(tmp_path)
    assert found.total == class_registry_disk.MOST_UPLOADS * class_registry_disk.UPLOAD
    assert "uploads that were not finished" in str(asyncio.run(full.problem("anna")))
    assert asyncio.run(full.problem("jan")) is None


def test_a_file_system_that_is_full_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its bytes or its inodes; one that doesn't count inodes, as Btrfs, has enough of them."""
    full = Fullness(ClassRegistry(size=Size(1 << 30), per_namespace=Size(1 << 30)), tmp_path)
    genuine = os.statvfs(tmp_path)

    def left(free: int, files: int, inodes: int) -> tuple[str | None, str | None]:
        values = [*genuine]
        values[0] = values[1] = 1
        values[4], values[5], values[7] = free, files, inodes
        monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(values))
        return asyncio.run(full.problem("anna")), full.failed()

    assert left(class_registry_disk.LEAST, 1000, class_registry_disk.FEWEST) == (None, None)
    assert left(class_registry_disk.LEAST, 0, 0) == (None, None)
    assert left(class_registry_disk.LEAST - 1, 1000, 1000) == ("the registry is full: 1Gi",) * 2
    assert left(1 << 30, 1000, class_registry_disk.FEWEST - 1) == ("the registry is full: 1Gi",) * 2


def test_what_a_push_has_brought_goes_when_it_fills_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Fullness(ClassRegistry(size=Size(1 << 30), per_namespace=Size(1 << 30)), tmp_path)
    data = tmp_path / "docker/registry/v2/repositories/anna/deep/web/_uploads/x/data"
    data.parent.mkdir(parents=True)
    kept = blob(tmp_path, "1" * 64, 100)
    with data.open("ab", buffering=0) as writer:  # as docker-registry has it open
        writer.write(bytes(1000))
        assert full.failed() is None
        assert data.stat().st_size == 1000
        monkeypatch.setattr(class_registry_disk, "LEAST", 1 << 62)
        assert full.failed() == "the registry is full: 1Gi"
        assert (data.stat().st_size, kept.stat().st_size) == (0, 100)


def test_without_its_file_system_nothing_is_taken(tmp_path: Path) -> None:
    limits = ClassRegistry(size=Size(1 << 30), per_namespace=Size(1 << 30))
    full = Fullness(limits, tmp_path, trouble="it is out of order")
    assert asyncio.run(full.problem("anna")) == full.failed() == "it is out of order"


def test_images_go_an_hour_after_their_namespace(tmp_path: Path) -> None:
    link(tmp_path, "anna/web", "1" * 64)
    link(tmp_path, "jan/web", "1" * 64)
    assert sweep(tmp_path / "none", {"default"}, set()) == (set(), [])
    missed, removed = sweep(tmp_path, {"jan"}, set())
    assert (missed, removed) == ({"anna"}, [])
    assert sweep(tmp_path, {"jan", "anna"}, missed) == (set(), [])
    assert sweep(tmp_path, {"jan"}, missed) == (set(), ["anna"])
    assert [path.name for path in (tmp_path / "docker/registry/v2/repositories").iterdir()] == ["jan"]


def test_what_is_swept_counts_as_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_registry_disk, "SWEEP", 0.001)
    link(tmp_path, "anna/web", "1" * 64)
    said = list[str]()

    async def scenario() -> None:
        changed = asyncio.Event()
        keeping = asyncio.create_task(class_registry_disk.keep(tmp_path, lambda: {"jan"}, said.append, changed.set))
        await asyncio.wait_for(changed.wait(), 60)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(scenario())
    assert said == ["class registry: the images of anna were removed: its namespace is gone"]
