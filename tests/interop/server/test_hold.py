"""A server that serves two builds: a held machine gets the one that it had, from the first byte of its script on."""

from __future__ import annotations

import json
import re
import signal

import pytest
from tests.interop.server.rooms import Room, make_store
from tests.interop.server.test_serve import said
from tests.support.waits import until

from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem
from nodisk.records.events import Kind
from nodisk.upgrade import begin, look
from nodisk.upgrade.plan import Runs

pytestmark = pytest.mark.interop
SERVER = "http://10.99.0.1"


def boots(room: Room, name: str) -> tuple[str, str]:
    """What the machine itself is served: its rootfs' hash, once the file has come whole, and its Ignition config."""
    namespace, mac = f"{room.name}-{name}", room.machine(name).mac.hyphened
    script = room.curl(namespace, f"{SERVER}/boot/{mac}.ipxe")
    url = re.search(r"nodisk.rootfs=(\S+)", script)
    assert url is not None
    size = room.curl(namespace, "-o", "/dev/null", "-w", "%{http_code} %{size_download}", url[1])
    assert size == "200 3000000"
    found = re.search(r"nodisk.sha256=(\S+)", script)
    assert found is not None
    return found[1], room.curl(namespace, f"{SERVER}/ignition/{mac}")


def test_two_builds_at_the_same_time(room: Room) -> None:
    room.nodisk("hold", "--all", "--lift")
    old, config = boots(room, "w1")
    room.nodisk("hold", "w1")
    make_store(room.state.state, room.lab)
    assert room.server is not None
    before = len(said(room, Kind.DAEMON))
    room.server.send_signal(signal.SIGHUP)
    until(lambda: any("reloaded lab.yaml" in line for line in said(room, Kind.DAEMON)[before:]))
    new, _ = boots(room, "cp1")
    assert new != old
    assert boots(room, "w1") == (old, config)

    # No restart: what a machine boots is looked up when it does.
    ready = room.wait_ready()
    room.nodisk("hold", "w1", "--lift")
    assert boots(room, "w1")[0] == new
    room.nodisk("hold", "w1")  # it has the new one now, so that is what it is held at
    assert boots(room, "w1")[0] == new
    assert room.wait_ready() == ready
    held = json.loads(room.nodisk("hold", "--output", "json").stdout)["held"]
    assert [one["machine"] for one in held] == ["w1"]
    room.nodisk("hold", "w1", "--lift")


def test_an_upgrade_has_the_server_serve_both_builds(room: Room) -> None:
    context = LabContext(room.lab, room.lab_file, room.state, room.name)
    old, _ = boots(room, "w1")
    room.nodisk("hold", "w1")
    make_store(room.state.state, room.lab)
    before = room.wait_ready()
    begin.serve(context)
    after = room.wait_ready()
    assert before["since"] != after["since"]
    new, _ = boots(room, "cp1")
    assert (new != old, boots(room, "w1")[0]) == (True, old)
    begin.serve(context)  # there is nothing to do
    assert room.wait_ready() == after
    assert {one.name: one.runs for one in look.machines(room.state.state, room.lab)} == {
        "cp1": Runs.NEW,
        "w1": Runs.OLD,
    }
    room.nodisk("hold", "w1", "--lift")


def test_without_a_server_an_upgrade_does_not_begin(empty_room: Room) -> None:
    context = LabContext(empty_room.lab, empty_room.lab_file, empty_room.state, empty_room.name)
    with pytest.raises(EnvironmentProblem, match="the server of test is not running"):
        begin.serve(context)
