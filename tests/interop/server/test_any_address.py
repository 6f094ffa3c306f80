"""A machine that a pool gave another address takes its own, by the script that the real server gives it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.interop.server.rooms import STRANGER, Room

from nodisk import run
from nodisk.records.events import Kind
from nodisk.values import Stage

pytestmark = pytest.mark.interop

SERVER, W1, POOL = "10.99.0.1", "52:54:00:99:00:21", "10.99.0.150"
URL = f"http://{SERVER}/boot/{W1.replace(':', '-')}.ipxe"
GRUB_URL = f"http://{SERVER}/grub/{W1}.cfg"


def alarms(room: Room) -> list[str]:
    with room.database() as database:
        return [event.detail for event in database.events(kinds=(Kind.ALARM,))]


def follow(room: Room, script: str) -> str:
    """Do to w1's card what the script would, and ask again as it says; returns the answer."""
    [address] = re.findall(r"^set \$\{nic\}/ip (\S+)$", script, re.MULTILINE)
    [again] = re.findall(r"^chain --replace --autofree (\S+\?pool=)\$\{pool\}&busid=\S+ \|\|$", script, re.MULTILINE)
    return ask_from(room, address, again)


def follow_grubs(room: Room, script: str) -> str:
    """The same for a script of GRUB's. It asks the server from the address that the route to the server has."""
    assert f"net_add_route nodisk {SERVER} nodisk" in script
    [address] = re.findall(r'^    net_add_addr nodisk "\$net_default_interface" (\S+)$', script, re.MULTILINE)
    source = r"^    source '\(http,10\.99\.0\.1\)(\S+)'\"\$nodisk_pool&boot=\$nodisk_boot\"$"
    [again] = re.findall(source, script, re.MULTILINE)
    return ask_from(room, address, f"http://{SERVER}{again}")


def ask_from(room: Room, address: str, url: str) -> str:
    namespace = f"{room.name}-w1"
    run.run(["ip", "-n", namespace, "address", "flush", "dev", "eth0"])
    run.run(["ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "eth0"])
    return room.curl(namespace, url + POOL)


@pytest.mark.parametrize(
    ("url", "follow", "said"),
    [
        (URL, follow, f"the room's DHCP server gave it {POOL}"),
        (GRUB_URL, follow_grubs, f"by GRUB; the room's DHCP server gave it {POOL}"),
    ],
    ids=["iPXE", "GRUB"],
)
def test_a_pools_address_is_good_enough(
    empty_room: Room, url: str, follow: Callable[[Room, str], str], said: str
) -> None:
    empty_room.plug("w1", W1, POOL)
    empty_room.start()
    empty_room.nodisk("arm")
    first = empty_room.curl(f"{empty_room.name}-w1", url)
    assert "nodisk.nonce" not in first
    assert "vmlinuz" not in first
    with empty_room.database() as database:
        assert not [event for event in database.events() if event.stage is Stage.IPXE], "it is not there yet"
    assert "nodisk.nonce=" in follow(empty_room, first)
    with empty_room.database() as database:
        assert [event.detail for event in database.events() if event.stage is Stage.IPXE] == [said]
    assert alarms(empty_room) == []


def test_an_address_that_another_device_has(empty_room: Room) -> None:
    """Also if that device has the machine's own MAC: of two with one MAC, the one that is up keeps its address.

    The card that asks has another one here, because a bridge can't tell two cards of one MAC apart.
    """
    empty_room.plug("w1", "52:54:00:99:00:77", POOL)
    other = empty_room.plug("other", STRANGER[0], "10.99.0.21")
    empty_room.start()
    empty_room.nodisk("arm")
    for mac in (STRANGER[0], W1):
        run.run(["ip", "-n", other, "link", "set", "eth0", "address", mac])
        script = empty_room.curl(f"{empty_room.name}-w1", URL)
        assert f"10.99.0.21, the address of w1, is in use by {mac}" in script
        assert "set ${nic}" not in script
        assert f"10.99.0.21, which {mac} has" in alarms(empty_room)[-1]
        script = empty_room.curl(f"{empty_room.name}-w1", GRUB_URL)
        assert f"10.99.0.21, the address of w1, is in use by {mac}" in script
        assert "net_add_addr" not in script
        assert f"10.99.0.21, which {mac} has" in alarms(empty_room)[-1]
