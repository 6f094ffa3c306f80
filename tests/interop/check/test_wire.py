"""The wire's checks against real daemons and devices: two network namespaces on one cable."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.interop.check.cables import ROGUE_MAC, Cable, laid
from tests.support.at_once import at_once

from nodisk import run
from nodisk.check import dhcp_probe
from nodisk.check.findings import Finding, Level
from nodisk.values import Mac

pytestmark = pytest.mark.interop


CASES: dict[str, Callable[[Cable], None]] = {}


def case(function: Callable[[Cable], None]) -> Callable[[Cable], None]:
    """A case on a cable of its own. Each listens for seconds, so ``test_wire`` has them run several at a time."""
    CASES[function.__name__] = function
    return function


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[object]]]:
    def on_a_cable(name: str, folder: Path) -> None:
        with laid(folder) as cable:
            CASES[name](cable)

    with at_once({name: partial(on_a_cable, name, tmp_path_factory.mktemp(name)) for name in CASES}) as begun:
        yield begun


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


@case
def a_quiet_segment_is_fine(cable: Cable) -> None:
    for name in ("interface", "ports", "dhcp", "duplicates"):
        assert only(cable.check(name)).level is Level.OK, name


@case
def another_dhcp_server(cable: Cable) -> None:
    with cable.dnsmasq("--dhcp-range=10.98.0.100,10.98.0.150"):
        found = only(cable.check("dhcp"))
        assert (found.level, found.hint.split(",")[0]) == (Level.ERROR, "turn it off on this segment")
        assert found.message.startswith("another DHCP server answers: 10.98.0.200 offers 10.98.0.1")


@case
def joining_the_rooms_server(cable: Cable) -> None:
    hosts = ["--dhcp-host=52:54:00:98:00:11,10.98.0.11", "--dhcp-host=52:54:00:98:00:21,10.98.0.21"]
    with cable.dnsmasq("--dhcp-range=10.98.0.0,static", *hosts):
        joined = only(cable.check("dhcp", dhcp="proxy"))
        assert joined.level is Level.OK
        assert "the room's server 10.98.0.200" in joined.message
    with cable.dnsmasq("--dhcp-range=10.98.0.100,10.98.0.150", hosts[0]):
        first, second = cable.check("dhcp", dhcp="proxy")
        assert (first.level, second.level) == (Level.OK, Level.OK)
        assert second.message.startswith("gets an address of a pool, and takes lab.yaml's by itself: w1 10.98.0.1")


@case
def a_room_server_that_boots_machines_itself(cable: Cable) -> None:
    with cable.dnsmasq("--dhcp-range=10.98.0.100,10.98.0.150", "--dhcp-boot=theirs.0,them,10.98.0.200"):
        found = cable.check("dhcp", dhcp="proxy")
        warned = next(finding for finding in found if finding.level is Level.WARNING)
        assert "10.98.0.200 sends its own boot options (theirs.0)" in warned.message


@case
def a_room_server_that_boots_uefi_alone(cable: Cable) -> None:
    only_uefi = ["--dhcp-match=set:uefi,option:client-arch,7", "--dhcp-boot=tag:uefi,theirs.efi"]
    with cable.dnsmasq("--dhcp-range=10.98.0.100,10.98.0.150", *only_uefi):
        found = cable.check("dhcp", dhcp="proxy")
        assert any("sends its own boot options (theirs.efi)" in finding.message for finding in found), found


@case
def another_proxy_server(cable: Cable) -> None:
    with cable.dnsmasq("--dhcp-range=10.98.0.0,proxy", "--pxe-service=x86PC,theirs,pxelinux"):
        found, port_4011 = cable.check("dhcp")
        assert (found.level, port_4011.level) == (Level.ERROR, Level.WARNING)
        assert "10.98.0.200 is a proxyDHCP server" in found.message
        assert port_4011.message.startswith("10.98.0.200 answers on port 4011 as a PXE boot server")


def test_a_server_that_says_it_is_everybody_is_not_asked() -> None:
    """An identifier to which nothing can be sent is no answer, and no reason to give up the other findings."""
    for server in ("255.255.255.255", "240.0.0.1", "127.0.0.1"):
        own = IPv4Address("127.0.0.1")
        assert dhcp_probe.ask_boot_server("lo", IPv4Address(server), Mac.parse(ROGUE_MAC), own, seconds=0.1) is None


def messages(findings: list[Finding], level: Level) -> str:
    return "\n".join(finding.message for finding in findings if finding.level is level)


@case
def two_pxe_servers_beside_the_rooms_dhcp(cable: Cable) -> None:
    with (
        cable.dnsmasq("--dhcp-range=10.98.0.100,10.98.0.150"),
        cable.third("10.98.0.201") as third,
        cable.dnsmasq_in(third, "--dhcp-range=10.98.0.0,proxy", "--pxe-service=x86PC,theirs,pxelinux"),
    ):
        joined = cable.check("dhcp", dhcp="proxy")
    assert "10.98.0.201 is another PXE server (proxyDHCP)" in messages(joined, Level.WARNING)
    assert "10.98.0.201 answers on port 4011 as a PXE boot server" in messages(joined, Level.WARNING)
    assert "10.98.0.200 offers" in messages(joined, Level.OK)


@case
def a_windows_deployment_server(cable: Cable) -> None:
    """On the host of the room's DHCP server: its options send firmware to port 4011."""
    wds = ["--dhcp-option-force=60,PXEClient", "--dhcp-option-force=43,06:01:0b:ff"]
    with cable.dnsmasq("--dhcp-range=10.98.0.100,10.98.0.150", *wds):
        joined = cable.check("dhcp", dhcp="proxy")
    assert "10.98.0.200 sends its own boot options (options 43 and 60)" in messages(joined, Level.WARNING)


@case
def a_server_that_offers_another_machines_address(cable: Cable) -> None:
    """A reservation with a typo."""
    hosts = ["--dhcp-host=52:54:00:98:00:11,10.98.0.21"]
    with cable.dnsmasq("--dhcp-range=10.98.0.100,10.98.0.150", *hosts):
        found = messages(cable.check("dhcp", dhcp="proxy"), Level.WARNING)
    assert "10.98.0.200 gives cp1 10.98.0.21, the address of w1" in found


@case
def a_relay_in_the_way(cable: Cable) -> None:
    """The room's DHCP server stands elsewhere; a router of the room passes its answers on."""
    far = f"{cable.other}-far"
    run.run(["ip", "netns", "add", far])
    try:
        cable.ip(cable.other, "link", "add", "far0", "type", "veth", "peer", "name", "eth0", "netns", far)
        for namespace, card, address in ((cable.other, "far0", "10.97.0.1/24"), (far, "eth0", "10.97.0.2/24")):
            cable.ip(namespace, "address", "add", address, "dev", card)
            cable.ip(namespace, "link", "set", card, "up")
        cable.ip(cable.other, "address", "add", "10.98.0.254/24", "dev", "eth0")
        cable.ip(far, "route", "add", "10.98.0.0/24", "via", "10.97.0.1")
        relay = [str(run.find("dnsmasq")), "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"]
        relay += ["--dhcp-relay=10.98.0.254,10.97.0.2", "--pid-file="]
        with (
            cable.dnsmasq_in(far, "--dhcp-range=10.98.0.100,10.98.0.150,255.255.255.0"),
            cable.program(cable.other, 67, *relay),
        ):
            found = cable.check("dhcp", dhcp="proxy")
            beside = cable.check("dhcp")
    finally:
        run.run(["ip", "netns", "delete", far], check=False)
    assert "through the relay 10.98.0.254" in messages(found, Level.OK)
    assert "another DHCP server answers" in messages(beside, Level.ERROR)
    assert "through the relay 10.98.0.254" in messages(beside, Level.ERROR)


def pool(cable: Cable, first: str, last: str, named: str | None) -> None:
    with cable.dnsmasq(f"--dhcp-range=10.98.0.{first},10.98.0.{last}"):
        found = cable.check("dhcp", dhcp="proxy")
    warnings = [one.message for one in found if one.level is not Level.OK and "pool" in one.message]
    wanted = f"10.98.0.200 seems to have addresses of lab.yaml in its pool, for others too: {named}"
    assert warnings == ([wanted] if named else [])


@case
def a_pool_of_one_machines_address(cable: Cable) -> None:
    pool(cable, "21", "21", "10.98.0.21 (w1)")


@case
def a_pool_with_all_machines_addresses(cable: Cable) -> None:
    pool(cable, "2", "200", "10.98.0.11 (cp1), 10.98.0.21 (w1)")


@case
def a_pool_with_no_machines_address(cable: Cable) -> None:
    pool(cable, "30", "60", None)


@case
def nobody_gives_addresses(cable: Cable) -> None:
    found = only(cable.check("dhcp", dhcp="proxy"))
    assert found.level is Level.WARNING
    assert "no DHCP server answers" in found.message


@case
def an_address_that_is_in_use(cable: Cable) -> None:
    cable.ip(cable.other, "address", "add", "10.98.0.21/24", "dev", "eth0")
    found = only(cable.check("duplicates"))
    assert (found.level, found.message) == (Level.ERROR, f"10.98.0.21 (w1) is in use by {ROGUE_MAC}")


@case
def a_machine_that_is_on_is_no_duplicate(cable: Cable) -> None:
    cable.ip(cable.other, "link", "set", "eth0", "address", "52:54:00:98:00:21")
    cable.ip(cable.other, "address", "add", "10.98.0.21/24", "dev", "eth0")
    found = only(cable.check("duplicates"))
    assert (found.level, found.message) == (Level.OK, "no other device uses the lab's 3 addresses; 1 machines are on")


@case
def the_servers_own_address_twice(cable: Cable) -> None:
    cable.ip(cable.other, "address", "add", "10.98.0.1/24", "dev", "eth0")
    found = only(cable.check("duplicates"))
    assert (found.level, found.message) == (Level.ERROR, f"10.98.0.1 (the server) is in use by {ROGUE_MAC}")


@pytest.mark.parametrize(
    ("kind", "port", "said"), [("STREAM", 80, "80/tcp"), ("DGRAM", 69, "69/udp"), ("DGRAM", 67, "67/udp")]
)
def test_a_port_that_is_taken(cable: Cable, kind: str, port: int, said: str) -> None:
    code = f"import socket, time; s = socket.socket(2, socket.SOCK_{kind}); s.bind(('', {port})); "
    code += ("s.listen(); " if kind == "STREAM" else "") + "time.sleep(60)"
    with cable.program(cable.server, port, sys.executable, "-c", code):
        found = only(cable.check("ports"))
    assert found.level is Level.ERROR
    assert said in found.message
    assert "is in use by python" in found.message


@case
def the_card(cable: Cable) -> None:
    assert "there is no network interface enp9s9" in only(cable.check("interface", interface="enp9s9")).message
    cable.ip(cable.other, "link", "set", "eth0", "down")
    assert "has no carrier" in only(cable.check("interface")).message
    cable.ip(cable.server, "link", "set", "eth0", "down")
    assert only(cable.check("interface")).hint == "ip link set eth0 up"
    cable.ip(cable.server, "link", "set", "eth0", "up")
    cable.ip(cable.other, "link", "set", "eth0", "up")
    cable.ip(cable.server, "address", "flush", "dev", "eth0")
    assert only(cable.check("interface")).hint == "ip address add 10.98.0.1/24 dev eth0"
    assert only(cable.check("ports")).level is Level.WARNING
    cable.ip(cable.server, "address", "add", "10.98.0.1/16", "dev", "eth0")
    assert "eth0 has 10.98.0.1/16, but the lab's subnet is 10.98.0.0/24" in only(cable.check("interface")).message


def test_the_whole_command(cable: Cable) -> None:
    """A namespace reaches no mirror: an error where nothing is built; the other checks go on, and nothing is left."""
    nodisk = Path(sys.executable).parent / "nodisk"
    argv: list[str | Path] = [
        nodisk,
        "check",
        "--real",
        "--lab",
        cable.lab(),
        "--state",
        cable.folder / "state",
        "-o",
        "json",
    ]
    with cable.dnsmasq("--dhcp-range=10.98.0.100,10.98.0.150"):
        done = run.run(argv, netns=cable.server, timeout=300, check=False)
    assert done.returncode == 4, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["lab"], answer["virtual"], answer["worst"]) == ("wire", False, "error")
    levels = {finding["check"]: finding["level"] for finding in answer["findings"]}
    assert levels["dhcp"] == "error"
    assert levels["mirror"] == "error"
    assert [levels[name] for name in ("interface", "ports", "duplicates", "clock", "disk")] == ["ok"] * 5
    assert not (cable.folder / "state").exists()


@pytest.mark.parametrize("name", CASES)
def test_wire(begun: Mapping[str, Future[object]], name: str) -> None:
    begun[name].result()
