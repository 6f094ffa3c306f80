"""Any accepted lab's snippets, read by the programs they are for: each one's own check of its configuration."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.interop.server import room_servers
from tests.support.rooms_dhcp import rooms

from nodisk import run
from nodisk.plan.dhcp_answers import Room
from nodisk.plan.dhcp_snippets import SECOND_PART, Server, snippet

pytestmark = pytest.mark.interop

real = settings(
    max_examples=25,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a process for each: to search for a smaller failure takes minutes
)


def isc(folder: Path, text: str, room: Room) -> list[str]:
    top, _, inside = text.partition(SECOND_PART)
    inside, net = inside.partition("\n")[2], room.lab.network.subnet
    config = folder / "dhcpd.conf"
    config.write_text(f"{top}\nsubnet {net.network_address} netmask {net.netmask} {{\n{inside}\n}}\n")
    return [room_servers.unconfined(folder, "dhcpd"), "-4", "-t", "-cf", str(config)]


def kea(folder: Path, text: str, _: Room) -> list[str]:
    pasted = json.loads(room_servers.without_comments(text) or "{}").get("Dhcp4", {})
    pasted["subnet4"] = [{"id": 1} | subnet for subnet in pasted.get("subnet4", [])]  # the room's own number
    config = folder / "kea.json"
    config.write_text(json.dumps({"Dhcp4": room_servers.kea_server("lo") | pasted}))
    return [*room_servers.kea_words(folder), "-t", str(config)]


def dnsmasq(folder: Path, text: str, room: Room) -> list[str]:
    config = folder / "dnsmasq.conf"
    config.write_text(f"dhcp-range={room.lab.network.subnet.network_address},static\n{text}")
    return ["dnsmasq", "--test", f"--conf-file={config}"]


CHECKS = {Server.ISC: isc, Server.KEA: kea, Server.DNSMASQ: dnsmasq}


@pytest.mark.parametrize("server", CHECKS)
@real
@given(room=rooms())
def test_the_servers_own_check_takes_it(server: Server, room: Room) -> None:
    check: Callable[[Path, str, Room], list[str]] = CHECKS[server]
    with tempfile.TemporaryDirectory() as name:
        text = snippet(room, server)
        done = run.run(check(Path(name), text, room), check=False, timeout=60)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{text}"
        assert "WARN" not in done.stdout, f"{done.stdout}\n{text}"
