"""Rooms of network namespaces, made for a test and taken away after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.interop.server.rooms import Room, make_room, running_room


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """A room with full DHCP whose server runs, with both machines and a stranger plugged in."""
    with running_room() as made:
        yield made


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
