"""Taking the suite's program out of an image's layers."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets import conformance_image
from nodisk.assets.conformance_image import PLACE
from nodisk.errors import IntegrityError
from nodisk.values import KubeVersion


def layer(folder: Path, number: int, content: dict[str, bytes | str], *, packed: bool = True) -> Path:
    """A layer with files (bytes) and symbolic links (text)."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
            else:
                info.size, info.mode = len(data), 0o755
                tar.addfile(info, io.BytesIO(data))
    path = folder / f"layer-{number}"
    path.write_bytes(gzip.compress(made.getvalue()) if packed else made.getvalue())
    return path


@pytest.mark.parametrize("prefix", ["", "./", "/"])
@pytest.mark.parametrize("packed", [True, False])
def test_the_last_layer_that_has_it_counts(tmp_path: Path, prefix: str, packed: bool) -> None:
    contents: list[dict[str, bytes | str]] = [
        {f"{prefix}{PLACE}": b"old", "etc/passwd": b"x"},
        {f"{prefix}{PLACE}": b"new"},
        {"usr/local/bin/ginkgo": b"another"},
    ]
    layers = [layer(tmp_path, number, content, packed=packed) for number, content in enumerate(contents)]
    conformance_image.take(layers, PLACE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"new"


def test_an_image_without_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="has no /usr/local/bin/e2e"):
        conformance_image.take([layer(tmp_path, 1, {"bin/sh": b"x"})], PLACE, tmp_path / "out")


def test_a_link_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="no program"):
        conformance_image.take([layer(tmp_path, 1, {PLACE: "/etc/passwd"})], PLACE, tmp_path / "out")


@given(st.binary() | st.binary().map(gzip.compress))
def test_no_layer_raises_anything_else(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, "layer")
        path.write_bytes(data)
        with pytest.raises(IntegrityError):
            conformance_image.take([path], PLACE, Path(made, "out"))


@given(st.integers(0, 400))
def test_a_layer_that_ends_too_soon_gives_no_half_program(cut: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        program = bytes(range(256)) * 40
        path = layer(Path(made), 1, {PLACE: program})
        whole = path.read_bytes()
        path.write_bytes(whole[: max(0, len(whole) - 1 - cut)])
        with contextlib.suppress(IntegrityError):
            conformance_image.take([path], PLACE, Path(made, "out"))
            assert Path(made, "out").read_bytes() == program


def test_the_name_of_a_release_s_image() -> None:
    assert str(conformance_image.name_of(KubeVersion(1, 36, 1))) == "registry.k8s.io/conformance:v1.36.1"
