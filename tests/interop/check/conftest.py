"""A cable for each test, taken away after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.check.cables import NUMBERS, ROGUE_MAC, Cable

from nodisk import run


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    assert os.geteuid() == 0, "these tests make network namespaces: run them as root"
    name = f"nodisk-test-{os.getpid()}-wire{next(NUMBERS)}"
    made = Cable(f"{name}-a", f"{name}-b", tmp_path)
    try:
        for namespace in (made.server, made.other):
            run.run(["ip", "netns", "add", namespace])
            made.ip(namespace, "link", "set", "lo", "up")
        made.ip(made.server, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", made.other)
        made.ip(made.other, "link", "set", "eth0", "address", ROGUE_MAC)
        for namespace in (made.server, made.other):
            made.ip(namespace, "link", "set", "eth0", "up")
        made.ip(made.server, "address", "add", "10.98.0.1/24", "dev", "eth0")
        yield made
    finally:
        for namespace in (made.server, made.other):
            run.run(["ip", "netns", "delete", namespace], check=False)
