"""The image of students' terminals as it was built: every program in it finds its libraries and runs."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from tests.support import assets

from nodisk import run
from nodisk.assets import terminal_image

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's files."""
    store, manifest = assets.terminal()
    folder = tmp_path_factory.mktemp("terminal")
    with tarfile.open(store.path(manifest.file("terminal.tar"))) as archive:
        archive.extractall(folder / "archive", filter="data")
    layers = json.loads((folder / "archive/manifest.json").read_text())[0]["Layers"]
    for layer in layers:
        run.run(["tar", "-x", "-C", folder, "-f", folder / "archive" / layer, "--one-top-level=root"])
    return folder / "root"


@pytest.mark.parametrize(
    "line",
    ["bash --version", "curl --version", "dig -h", "less --version", "nano --version", "tmux -V", "vim --version",
     "kubectl version --client", "busybox true"],
)  # fmt: skip
def test_a_program_runs(root: Path, line: str) -> None:
    run.run(["chroot", root, "/bin/bash", "-c", line])


def test_no_program_is_left_out(root: Path) -> None:
    assert [name for name in terminal_image.PROGRAMS if not (root / "bin" / name).is_file()] == []
