"""The room's own DHCP server of ``nodisk lab bench --matrix``: a pool for anybody, and nothing of it afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from nodisk import run
from nodisk.bench import room_dhcp
from nodisk.machines.segment import Segment
from nodisk.records.virtual_lab import BRIDGE
from nodisk.waiting import Deadline, until

pytestmark = pytest.mark.interop
POOL = (IPv4Address("10.96.0.20"), IPv4Address("10.96.0.29"))


@pytest.fixture
def segment() -> Iterator[Segment]:
    made = Segment(f"test-room-{os.getpid()}", IPv4Interface("10.96.0.1/24"))
    made.up()
    try:
        yield made
    finally:
        made.down()


def test_it_gives_addresses_and_is_gone_afterwards(segment: Segment, tmp_path: Path) -> None:
    words = ["busybox", "udhcpc", "-i", BRIDGE, "-f", "-n", "-q", "-t", "40", "-T", "1", "-s", "/bin/true"]
    with room_dhcp.serving(segment, IPv4Interface("10.96.0.19/24"), POOL, tmp_path, ""):
        done = run.run(words, netns=segment.netns, timeout=90)
    said = done.stdout + done.stderr
    assert any(f"lease of 10.96.0.{last} obtained from 10.96.0.19" in said for last in range(20, 30)), said
    until(lambda: len(segment.links()) == 2, Deadline(60), every=0.1)
    assert segment.links() == {"lo", BRIDGE}
