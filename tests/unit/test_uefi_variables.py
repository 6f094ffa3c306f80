"""The file in which OVMF keeps UEFI's variables, as tests read and change it."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import uefi_variables

from nodisk.machines import qemu

OWNER = uuid.UUID("605dab50-e046-4300-abb6-3dd810dd8b23")
GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
NAMES = st.text(st.characters(codec="utf-16-le", exclude_characters="\0"), min_size=1, max_size=40)


def copy(folder: str | Path) -> Path:
    return Path(shutil.copy(qemu.OVMF_SECURE_VARS, Path(folder) / "variables.fd"))


@settings(max_examples=25)  # each reads and writes half a megabyte
@given(added=st.dictionaries(NAMES, st.binary(max_size=200), max_size=5))
def test_what_is_added_is_there_and_nothing_else_changes(added: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = copy(folder)
        before = uefi_variables.read(file)
        for name, value in added.items():
            uefi_variables.add(file, OWNER, name, value)
        assert uefi_variables.read(file) == before | {(OWNER, name): value for name, value in added.items()}
        assert file.stat().st_size == qemu.OVMF_SECURE_VARS.stat().st_size


def test_debians_file_is_read(tmp_path: Path) -> None:
    found = uefi_variables.read(copy(tmp_path))
    assert found[GLOBAL, "PlatformLang"] == b"en\0"
    assert b"Microsoft" in found[uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f"), "db"]


def test_what_can_not_be_added_is_refused(tmp_path: Path) -> None:
    file = copy(tmp_path)
    uefi_variables.add(file, OWNER, "SbatLevel", b"x")
    with pytest.raises(ValueError, match="has SbatLevel already"):
        uefi_variables.add(file, OWNER, "SbatLevel", b"y")
    with pytest.raises(ValueError, match="has no room"):
        uefi_variables.add(file, OWNER, "Large", bytes(2**18))
    other = tmp_path / "other"
    for content in (b"", bytes(4096), qemu.OVMF_SECURE_CODE.read_bytes()[:4096]):
        other.write_bytes(content)
        with pytest.raises(ValueError, match="no variables"):
            uefi_variables.add(other, OWNER, "SbatLevel", b"x")
