"""The manifest of a backup: of another format, damaged, and compared with what is there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodisk.backup import contents
from nodisk.backup.contents import Manifest, Stored
from nodisk.errors import IntegrityError, NodiskError


def manifest(folder: Path, **changes: object) -> Path:
    made = Manifest(lab="room", created=datetime(2026, 11, 28, tzinfo=UTC), seconds=1, files=contents.hashes(folder))
    value = json.loads(made.model_dump_json()) | changes
    (folder / contents.MANIFEST).write_text(json.dumps(value))
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    found = contents.read(manifest(tmp_path))
    assert found.files["a"].size == 1
    assert list(contents.differences(found.files, contents.hashes(tmp_path))) == []


def test_another_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(NodiskError, match=r"has format 0, and this nodisk .* knows format 1"):
        contents.read(manifest(tmp_path, version=0))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', "\xff"])
def test_a_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / contents.MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(IntegrityError, match="damaged"):
        contents.read(tmp_path)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"no manifest\.json"):
        contents.read(tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b"])
def test_a_path_that_leads_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(IntegrityError, match="outside"):
        contents.read(manifest(tmp_path, files={name: {"size": 1, "sha256": "0"}}))


def test_differences(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("a")
    (tmp_path / "changed").write_text("b")
    (tmp_path / "gone").write_text("c")
    (tmp_path / "swapped").write_text("d")
    wanted = contents.hashes(tmp_path)
    (tmp_path / "changed").write_text("B")
    (tmp_path / "gone").unlink()
    (tmp_path / "swapped").unlink()
    (tmp_path / "swapped").symlink_to("/etc/hostname")
    (tmp_path / "more").write_text("e")
    assert list(contents.differences(wanted, contents.hashes(tmp_path))) == [
        "changed differs from what was saved",
        "gone is missing",
        "more is not in the manifest",
        "swapped differs from what was saved",
    ]
    assert wanted["same"] == Stored(size=1, sha256=contents.sha256(tmp_path / "same"))
