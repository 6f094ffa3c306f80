"""The tool that loads the console, with a small room: it measures what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from nodisk import run

pytestmark = pytest.mark.interop

TOOL = Path(__file__).parents[3] / "tools" / "console_load.py"


def test_a_small_room() -> None:
    words = ("--machines", "8", "--browsers", "2", "--seconds", "20", "--pause", "2", "--terminals", "2")
    said = run.run([sys.executable, TOOL, *words], timeout=400).stdout
    assert re.search(r"^8 machines for 20 s: answered \d+ times 200$", said, re.M), said
    for what in ("2 browsers, lines shown", "2 terminals, keys echoed"):
        assert re.search(rf"^{what}: \d+; p50 \d+\.\d+ s, p95 \d+\.\d+ s, p99 \d+\.\d+ s, max", said, re.M), said
    assert re.search(r"^nginx: \d\.\d\d of a processor$", said, re.M), said
    assert re.search(r"^the server: \d\.\d\d of a processor, \d+ MiB before, \d+ MiB after$", said, re.M), said
    for what in ("the server", "nginx", "dnsmasq"):
        memory = r"\d+\.\d MiB first, \d+\.\d last, \d+\.\d most, [+-]\d+\.\d\d an hour: not judged"
        assert re.search(rf"^memory of {what}: {memory}$", said, re.M), said
