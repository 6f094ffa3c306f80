"""The record of mirrored images, and what is kept of an image."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets import image_folder, mirrored
from nodisk.assets.mirrored import Copy, Record
from nodisk.errors import IntegrityError
from nodisk.state import State

D = "sha256:" + "ab" * 32
NAME = "ghcr.io/a/b:v1"
COPY = Copy(D, D, "addon-image-1", 7, "2026-11-29T00:00:00+00:00", ("one", "two"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    lab = State(tmp_path).lab("room")
    assert mirrored.read(lab) == mirrored.EMPTY
    record = Record({NAME: COPY}, {"addon-file-1": ("one",)})
    assert mirrored.update(lab, lambda _: record) == (mirrored.EMPTY, record)
    assert mirrored.read(lab) == record
    assert mirrored.used(lab.state) == {"addon-image-1", "addon-file-1"}
    assert record.users == {"one", "two"}
    assert record.without("one") == Record({NAME: replace(COPY, addons=("two",))}, {})
    assert record.without("one").without("two") == mirrored.EMPTY


def test_names_are_pinned_however_they_are_written() -> None:
    record = Record({"docker.io/library/nginx:latest": COPY, NAME: COPY}, {})
    assert record.pins(["nginx", NAME, "other:1", "!"]) == {
        "nginx": f"docker.io/library/nginx:latest@{D}",
        NAME: f"{NAME}@{D}",
    }


DAMAGE = st.one_of(
    st.none(),
    st.integers(),
    st.just([]),
    st.just({}),
    st.just({"version": 1, "images": {NAME: {"digest": "x"}}, "files": {}}),
    st.just({"version": 1, "images": {"!": {}}, "files": {}}),
    st.just({"version": 1, "images": {}, "files": {"a": "b"}}),
    st.just({"version": 2, "images": {}, "files": {}}),
)


@given(DAMAGE)
def test_a_damaged_record_is_named(value: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        lab = State(Path(folder)).lab("room")
        lab.root.mkdir(parents=True)
        lab.mirrored.write_text(json.dumps(value))
        with pytest.raises(IntegrityError, match="not a valid record"):
            mirrored.read(lab)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def an_image(folder: Path, config: dict[str, Any] | None = None, layer: bytes = b"layer") -> Path:
    folder.mkdir()
    made = json.dumps({"os": "linux", "architecture": "amd64"} if config is None else config).encode()
    for data in (made, layer):
        (folder / sha(data)).write_bytes(data)
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    manifest = {
        "schemaVersion": 2,
        "config": {"digest": f"sha256:{sha(made)}", "size": len(made)},
        "layers": [{"digest": f"sha256:{sha(layer)}", "size": len(layer)}],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_whole_image_is_kept(tmp_path: Path) -> None:
    found = image_folder.check(an_image(tmp_path / "image"), NAME)
    assert found.digest == f"sha256:{sha((tmp_path / 'image/manifest.json').read_bytes())}"
    assert len(found.files) == 4
    assert found.size == sum(path.stat().st_size for path in (tmp_path / "image").iterdir())


def test_an_image_that_lacks_something_is_not(tmp_path: Path) -> None:
    whole = an_image(tmp_path / "whole")
    layer = whole / sha(b"layer")
    layer.write_bytes(b"other")
    with pytest.raises(IntegrityError, match=f"the content of sha256:{layer.name} is another one"):
        image_folder.check(whole, NAME)
    layer.unlink()
    with pytest.raises(IntegrityError, match="No such file"):
        image_folder.check(whole, NAME)
    other = an_image(tmp_path / "arm", {"os": "linux", "architecture": "arm64"})
    with pytest.raises(IntegrityError, match=r"is for linux/arm64; machines run linux/amd64"):
        image_folder.check(other, NAME)


@pytest.mark.parametrize(
    "manifest",
    [
        "[]",
        "{}",
        "null",
        "x",
        '{"schemaVersion": 1}',
        '{"schemaVersion": 2, "config": {"digest": "sha256:../../etc/passwd", "size": 1}, "layers": []}',
        '{"schemaVersion": 2, "config": {"digest": "sha512:aa", "size": 1}, "layers": []}',
        '{"schemaVersion": 2, "config": {"digest": 5, "size": 1}, "layers": []}',
    ],
)
def test_a_hostile_manifest_is_no_traceback(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(IntegrityError, match="can't be kept"):
        image_folder.check(tmp_path, NAME)
