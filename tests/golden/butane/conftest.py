"""The folder of golden cases: recorded runs of the reference transpilers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
CASES = Path(os.environ.get("NODISK_CONFORMANCE", REPOSITORY / "../shared/conformance")) / "butane"


def names() -> list[str]:
    """The cases; one that says what is missing, if they are not there."""
    found = sorted(path.name for path in CASES.glob("*") if path.is_dir())
    return found or ["(no cases)"]


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the case's folder, with the symbolic links that it was recorded with.

    A checkout without support for links has plain files in their place, which hold the target and no newline; here
    they become links again.
    """
    source = CASES / str(request.param)
    if not source.is_dir():
        pytest.fail(f"no golden cases in {CASES}: set NODISK_CONFORMANCE to the folder that holds `butane/`")
    copy = tmp_path / source.name
    for path in [source, *sorted(source.rglob("*"))]:
        target = copy / path.relative_to(source)
        if path.is_symlink():
            target.symlink_to(path.readlink())
        elif path.is_dir():
            target.mkdir()
        else:
            content = path.read_bytes()
            if _was_link(path, content):
                target.symlink_to(content.decode())
            else:
                target.write_bytes(content)
                target.chmod(path.stat().st_mode & 0o777 | 0o600)
    return copy


def _was_link(path: Path, content: bytes) -> bool:
    if not 0 < len(content) < 200 or content.endswith(b"\n") or "files" not in path.parts:
        return False
    try:
        name = content.decode("ascii")
    except UnicodeDecodeError:
        return False
    return name.isprintable() and " " not in name and (path.parent / name).exists()
