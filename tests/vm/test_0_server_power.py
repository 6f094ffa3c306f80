"""The server itself is a machine with a disk, and its power is cut while its lab is at work: nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.vm, pytest.mark.apart]

TOOL = Path(__file__).parents[2] / "tools" / "power_cuts.py"


def test_five_cuts_lose_nothing() -> None:
    """Machines enrol, classes are made, images pushed and a backup runs. Half an hour without KVM."""
    words = ("--machine", "--count", "5", "--seed", "1")
    done = subprocess.run([sys.executable, str(TOOL), *words], text=True, capture_output=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line for line in done.stdout.splitlines() if line.startswith("seed")]
    assert len(found) == 5
    assert all(f" 0 {name}" not in line for line in found for name in ("records", "classes", "images", "enrolments"))
