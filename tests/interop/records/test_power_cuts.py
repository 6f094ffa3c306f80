"""The tool that cuts a server's disk's power while the real programs write: a short run of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.power_judge import Said, judge
from tests.support.power_writers import MACS, prepare

pytestmark = pytest.mark.interop

TOOL = Path(__file__).parents[3] / "tools" / "power_cuts.py"


@pytest.mark.apart
def test_three_cuts_lose_nothing() -> None:
    """A minute and a half: half of it are backups, which are to be under way."""
    words = [sys.executable, str(TOOL), "--count", "3", "--seed", "1"]
    done = subprocess.run(words, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("nothing is lost") == 3
    last = [line for line in done.stdout.splitlines() if line.startswith("seed")]
    assert all(" 0 records" not in line and " 0 images" not in line for line in last), "something was written"


def test_what_is_lost_is_found(tmp_path: Path) -> None:
    prepare(tmp_path)
    said: dict[str, Said] = {
        "records": [["event", "1"], ["nonce", str(MACS[0].value), "never minted"]],
        "classes": [["class", "k8s", "edit"]],
        "images": [["blob", f"sha256:{'0' * 64}"], ["image", "v1", "0" * 64]],
        "backups": [["backup", "01234567"]],
    }
    found = judge(tmp_path, said)
    assert found[0] == "event 1 was followed by a nonce's use, and the last one is 0"
    assert found[1] == "class k8s was saved as edit, and is absent"
    assert found[2].startswith("the registry answers 404 for blob sha256:000")
    assert found[3].startswith("the registry answers 404 for image v1")
    assert found[4].startswith("the backups can't be read")
    assert len(found) == 5
