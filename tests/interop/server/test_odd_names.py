"""A lab and machines with names that a daemon could take for something else: numbers, times, addresses, its own words.

The whole server runs with them, from a path with every sort of character that a state directory may have: dnsmasq,
nginx, chrony, etcd and the registry each read their file.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.interop.server.rooms import Room, make_room

from nodisk import run, yamltext
from nodisk.plan.daemons_dnsmasq import dnsmasq
from nodisk.plan.daemons_files import usual_host
from nodisk.spec.load import parse
from nodisk.spec.rules import RESERVED

pytestmark = pytest.mark.interop

SERVER = "10.99.0.1"
ASK = str(Path(__file__).with_name("dhcp_client.py"))
NAMES = [
    *("12", "08", "0", "65536", "7d", "12h", "1m", "30s", "2w", "infinite", "ignore", "static", "proxy", "known"),
    *("set", "tag", "net", "id", "option", "option6", "enterprise", "ipxe", "deadbeef", "52-54-00-99-01-00", "1e3"),
    *("0x1f", "10-99-0-1", "no", "null", "localnet", "ra-only", "slaac", "internal", "112", "unlimited"),
]


def lab_text(names: list[str]) -> str:
    """A lab called 112 of these machines."""
    text = "name: 112\nnetwork: {subnet: 10.99.0.0/24, server: 10.99.0.1, dhcp: {dhcp}}\n".replace("{dhcp}", "full")
    text += "kubernetes: {source: debian, version: 1.20.2}\nmachines:\n"
    for number, name in enumerate(names):
        role = "worker" if number else "control-plane"
        text += f"  - {{name: {yamltext.scalar(name)}, mac: {mac(number)}, address: {address(number)}, role: {role}}}\n"
    return text


def mac(number: int) -> str:
    return f"52:54:00:99:01:{number:02x}"


def address(number: int) -> str:
    return f"10.99.0.{number + 11}"


@pytest.fixture(scope="module")
def odd() -> Iterator[Room]:
    made = make_room("full", lab=lab_text(NAMES).replace("{", "{{").replace("}", "}}"), folder_suffix=".A0_+-")
    try:
        made.plug("probe", "52:54:00:99:02:01", "10.99.0.200")
        made.start()
        yield made
    finally:
        made.close()


def resolved(room: Room, *names: str) -> list[str]:
    """What the lab's DNS says to each name: an address each, or nothing."""
    script = "for name; do echo \"$(busybox nslookup $name $0 | sed -n 's/^Address: //p' | tail -n 1)\"; done"
    said = run.run(["sh", "-c", script, SERVER, *names], netns=f"{room.name}-probe", timeout=240).stdout
    return said.splitlines()


def test_every_name_resolves(odd: Room) -> None:
    wanted = [address(number) for number in range(len(NAMES))]
    assert resolved(odd, *(f"{name}." for name in NAMES)) == wanted
    assert resolved(odd, *(f"{name}.112.internal." for name in NAMES)) == wanted
    assert resolved(odd, "server.", "server.112.internal.") == [SERVER, SERVER]


def test_every_machine_gets_its_lease_and_its_name(odd: Room) -> None:
    for number, name in enumerate(NAMES):
        words = [sys.executable, ASK, json.dumps({"mac": mac(number)})]
        answer = json.loads(run.run(words, netns=f"{odd.name}-probe", timeout=240).stdout)
        assert (answer["type"], answer["address"]) == ("ack", address(number)), name
        assert (answer["name"], answer["domain"]) == (name, "112.internal")


REGEXES: tuple[str, ...] = (r"[0-9]{1,12}", r"[0-9]{1,6}[smhdw]", r"[0-9a-f]{2}(-[0-9a-f]{2}){5}", r"0x[0-9a-f]{1,8}")
REGEXES += (r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",)
NAME = st.one_of(*(st.from_regex(regex, fullmatch=True) for regex in REGEXES)).filter(lambda name: name not in RESERVED)


@given(st.lists(NAME, min_size=100, max_size=100, unique=True))
@settings(max_examples=5, deadline=None, database=None)
def test_dnsmasq_takes_any_name(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """Its own check of a configuration, which refuses what is no name where a name must be."""
    folder = tmp_path_factory.mktemp("conf")
    lab = parse(lab_text(names), file="lab.yaml")
    (folder / "dnsmasq.conf").write_text(dnsmasq(lab, usual_host(lab, folder, folder)))
    said = run.run(["dnsmasq", "--test", f"--conf-file={folder}/dnsmasq.conf"]).stderr
    assert re.search(r"syntax check OK", said)
