"""The tool that switches a room on at once, with a small one: nobody is refused, and it measures what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from nodisk import run

pytestmark = pytest.mark.interop

TOOL = Path(__file__).parents[3] / "tools" / "boot_storm.py"


def test_a_small_room() -> None:
    said = run.run([sys.executable, TOOL, "--machines", "20"], timeout=400).stdout
    for kind in ("scripts", "configs"):
        assert f"{kind}: answered 20 times 200\n" in said, said
        assert re.search(rf"^{kind}: 20; p50 \d+\.\d+ s, p95 \d+\.\d+ s, p99 \d+\.\d+ s, max", said, re.M), said
    assert re.search(r"^the server: \d+\.\d\d ms of processor time for each$", said, re.M), said
