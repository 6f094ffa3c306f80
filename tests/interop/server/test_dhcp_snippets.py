"""What ``nodisk dhcp-snippet`` prints, pasted into the servers it is for and asked as every kind of client asks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from tests.interop.server import dhcp_client, room_servers
from tests.interop.server.rooms import IPXE as IPXE_PROGRAM
from tests.interop.server.rooms import LAB, STRANGER, Room, make_room

from nodisk import run

pytestmark = pytest.mark.interop

SERVER, W1 = "10.99.0.1", "52:54:00:99:00:21"
SCRIPT = f"http://{SERVER}/boot.ipxe"
LOW, HIGH = (IPv4Address(one) for one in room_servers.POOL)


@dataclass(frozen=True)
class Kind:
    """A kind of client: how it asks, and what boots it."""

    name: str
    asks: dict[str, Any]
    file: str
    next: str | None = None
    vendor: str | None = None


def pxe(arch: int, who: str = "PXEClient") -> dict[str, Any]:
    return {"vendor": f"{who}:Arch:{arch:05}:UNDI:003016", "arch": arch}


IPXE = {"user_class": "iPXE", "ipxe": True}
KINDS = (
    Kind("BIOS", pxe(0), "undionly.kpxe", SERVER),
    Kind("UEFI", pxe(7), "snponly.efi", SERVER),
    Kind("UEFI as some call it", pxe(9), "snponly.efi", SERVER),
    Kind("UEFI by HTTP", pxe(16, "HTTPClient"), f"http://{SERVER}/ipxe/snponly.efi", vendor="HTTPClient"),
    Kind("iPXE on BIOS", pxe(0) | IPXE, SCRIPT),
    Kind("iPXE on UEFI", pxe(7) | IPXE, SCRIPT),
    Kind("iPXE that UEFI loaded by HTTP", pxe(16) | IPXE, SCRIPT),
    Kind("64-bit ARM", pxe(11), "ipxe-arm64.efi", SERVER),
    Kind("32-bit UEFI", pxe(6), ""),
    Kind("Linux", {}, ""),
)


@pytest.fixture
def none_room() -> Iterator[Room]:
    """A room whose server says what to boot; nothing runs, w1 and a stranger are plugged in."""
    made = make_room("none")
    try:
        made.plug("w1", W1, None)
        made.plug("stranger", STRANGER[0], None)
        yield made
    finally:
        made.close()


def ask(room: Room, namespace: str, mac: str, **how: Any) -> dict[str, Any]:
    """One DHCP exchange; the last answer, or an empty one."""
    words = [sys.executable, str(dhcp_client.__file__), json.dumps({"mac": mac, **how})]
    answer: dict[str, Any] = json.loads(run.run(words, netns=f"{room.name}-{namespace}", timeout=240).stdout)
    return answer


@pytest.mark.parametrize("reservations", [False, True])
@pytest.mark.parametrize("server", sorted(room_servers.START))
def test_every_kind_of_client_gets_its_program(
    none_room: Room, server: str, reservations: bool, tmp_path: Path
) -> None:
    words = ["--reservations"] if reservations else []
    snippet = none_room.nodisk("dhcp-snippet", server, *words).stdout
    with room_servers.running(none_room, room_servers.START[server](tmp_path, snippet), tmp_path):
        for kind in KINDS:
            answer = ask(none_room, "w1", W1, **kind.asks)
            assert answer["type"] == "ack", kind
            assert (answer["file"], answer["vendor"]) == (kind.file, kind.vendor), kind
            assert kind.next in (None, answer["next"]), kind
            if reservations:
                assert (answer["address"], answer["name"]) == ("10.99.0.21", "w1")
            else:
                assert LOW <= IPv4Address(str(answer["address"])) <= HIGH
        unknown = ask(none_room, "stranger", STRANGER[0], **pxe(7))
        assert unknown["file"] == "snponly.efi", "a machine that lab.yaml does not know gets its menu"
        assert LOW <= IPv4Address(str(unknown["address"])) <= HIGH


def test_a_room_may_take_an_old_ipxe_for_any_pxe(none_room: Room, tmp_path: Path) -> None:
    """What tests/vm have a ROM load our iPXE by: the ROM is iPXE itself."""
    snippet = room_servers.isc_that_renews(none_room.nodisk("dhcp-snippet", "isc").stdout)
    with room_servers.running(none_room, room_servers.isc(tmp_path, snippet), tmp_path):
        for features, file in (([19, 24], "undionly.kpxe"), ([19, room_servers.HTTPS, 24], SCRIPT)):
            answer = ask(none_room, "w1", W1, **pxe(0), user_class="iPXE", ipxe=features)
            assert (answer["type"], answer["file"]) == ("ack", file)
        assert ask(none_room, "w1", W1, **pxe(0))["file"] == "undionly.kpxe"


@pytest.fixture
def secure_room() -> Iterator[Room]:
    """One with Secure Boot on everywhere but at w1."""
    made = make_room("none", lab=LAB.replace("memory: 1GiB", "secure_boot: false") + "secure_boot: true\n")
    try:
        made.plug("w1", W1, None)
        made.plug("stranger", STRANGER[0], None)
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("server", sorted(room_servers.START))
def test_shim_goes_to_whom_lab_yaml_says(secure_room: Room, server: str, tmp_path: Path) -> None:
    snippet = secure_room.nodisk("dhcp-snippet", server).stdout
    with room_servers.running(secure_room, room_servers.START[server](tmp_path, snippet), tmp_path):
        for namespace, mac, program in (("w1", W1, "snponly.efi"), ("stranger", STRANGER[0], "shimx64.efi")):
            for arch in (7, 9):
                answer = ask(secure_room, namespace, mac, **pxe(arch))
                assert (answer["file"], answer["next"], answer["vendor"]) == (program, SERVER, None)
            http = ask(secure_room, namespace, mac, **pxe(16, "HTTPClient"))
            assert (http["file"], http["vendor"]) == (f"http://{SERVER}/ipxe/{program}", "HTTPClient")
            assert ask(secure_room, namespace, mac, **pxe(0))["file"] == "undionly.kpxe"
            assert ask(secure_room, namespace, mac, **pxe(7), **IPXE)["file"] == SCRIPT


def test_the_server_has_what_the_snippets_name(none_room: Room, tmp_path: Path) -> None:
    """With `dhcp: none` too it gives iPXE by TFTP and by HTTP."""
    namespace = f"{none_room.name}-w1"
    run.run(["ip", "-n", namespace, "address", "add", "10.99.0.150/24", "dev", "eth0"])
    none_room.start()
    for name in ("undionly.kpxe", "snponly.efi", "ipxe-arm64.efi"):
        got = tmp_path / name
        run.run(["busybox", "tftp", "-g", "-r", name, "-l", str(got), SERVER], netns=namespace, timeout=120)
        assert got.read_bytes() == IPXE_PROGRAM + name.encode()
    assert none_room.curl(namespace, f"http://{SERVER}/ipxe/snponly.efi").startswith("as large as iPXE's")
    assert none_room.curl(namespace, SCRIPT).startswith("#!ipxe")


@pytest.fixture
def beside_kea(proxy_room: Room, tmp_path: Path) -> Iterator[Room]:
    """nodisk's proxyDHCP beside a Kea that knows nothing of it and gives addresses of a pool."""
    proxy_room.plug("w1", W1, None)
    proxy_room.start()
    with room_servers.running(proxy_room, room_servers.kea(tmp_path, ""), tmp_path):
        yield proxy_room


@pytest.mark.parametrize(("arch", "file"), [(0, "undionly.kpxe"), (7, "snponly.efi"), (11, "ipxe-arm64.efi")])
def test_the_proxy_beside_kea(beside_kea: Room, arch: int, file: str) -> None:
    """Firmware takes the address of one server and the program of the other (PXE 2.1, section 2.2.5)."""
    given = ask(beside_kea, "w1", W1, **pxe(arch), of=room_servers.ADDRESS)
    assert (given["type"], given["file"], given["vendor"]) == ("ack", "", None)
    assert LOW <= IPv4Address(str(given["address"])) <= HIGH
    offered = ask(beside_kea, "w1", W1, **pxe(arch), of=SERVER, offer_only=True)
    assert (offered["type"], offered["address"], offered["vendor"]) == ("offer", "0.0.0.0", "PXEClient")
    namespace = f"{beside_kea.name}-w1"
    run.run(["ip", "-n", namespace, "address", "add", f"{given['address']}/24", "dev", "eth0"])
    item: dict[str, Any] = {"item": 0x8000} if arch == 0 else {}
    boot = ask(beside_kea, "w1", W1, **pxe(arch), **item, port=4011, address=given["address"])
    assert (boot["type"], boot["file"]) == ("ack", file)
    ipxe = ask(beside_kea, "w1", W1, **pxe(arch), **IPXE, of=SERVER, offer_only=True)
    assert (ipxe["file"], ipxe["next"]) == (SCRIPT, SERVER), "iPXE takes no file of a proxy without a next server"
    # iPXE has Kea's address now, and takes lab.yaml's before anything is minted for it.
    beside_kea.nodisk("arm")
    script = beside_kea.curl(namespace, f"http://{SERVER}/boot/{W1.replace(':', '-')}.ipxe")
    assert "set ${nic}/ip 10.99.0.21" in script
    assert "nodisk.nonce" not in script


def test_a_reservation_in_proxy_mode_is_all_there_is_to_paste(proxy_room: Room) -> None:
    nothing = proxy_room.nodisk("dhcp-snippet", "isc").stdout
    assert all(line.startswith("#") for line in nothing.splitlines())
    reserved = proxy_room.nodisk("dhcp-snippet", "isc", "--reservations").stdout
    assert "fixed-address 10.99.0.21;" in reserved
    assert "filename" not in reserved


@pytest.mark.parametrize("server", sorted(room_servers.START))
def test_check_sees_that_a_pool_has_a_machines_address(proxy_room: Room, server: str, tmp_path: Path) -> None:
    """Each daemon offers a stranger the address that it asks for, if the pool has it: w1's is in it, cp1's is not."""
    words = room_servers.START[server](tmp_path, "", pool=("10.99.0.20", "10.99.0.199"))
    with room_servers.running(proxy_room, words, tmp_path):
        check = [sys.executable, "-m", "nodisk.check.inside", str(proxy_room.lab_file), "0", "dhcp"]
        findings = json.loads(run.run(check, netns=proxy_room.name, timeout=300).stdout)
    text = f"{room_servers.ADDRESS} seems to have addresses of lab.yaml in its pool, for others too: 10.99.0.21 (w1)"
    assert text in [one["message"] for one in findings if one["level"] == "warning"]
    assert not [one for one in findings if one["level"] == "error"]
