"""Rooms of network namespaces, made for a test and taken away after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.interop.server.rooms import STRANGER, Room, make_room


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """A room with full DHCP whose server runs, with both machines and a stranger plugged in."""
    made = make_room("full")
    try:
        for machine in made.lab.machines:
            made.plug(str(machine.name), str(machine.mac), str(machine.address))
        made.plug("stranger", *STRANGER)
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def empty_room() -> Iterator[Room]:
    """A room of one's own, full DHCP, nothing runs."""
    made = make_room("full")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def proxy_room() -> Iterator[Room]:
    """A room of one's own with proxyDHCP; nothing runs."""
    made = make_room("proxy")
    try:
        yield made
    finally:
        made.close()
