"""What `nodisk check` says of peers, by what machines reported."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nodisk.check import peers
from nodisk.check.findings import Finding, Level
from nodisk.records.database import Database
from nodisk.records.events import Event, Kind
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.values import Stage

LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "peers": {},
        "machines": [
            {
                "name": name,
                "mac": f"52:54:00:77:00:{number:02x}",
                "address": f"10.77.0.{number}",
                "role": "control-plane" if name == "cp1" else "worker",
            }
            for number, name in enumerate(("cp1", "w1", "w2", "w3"), start=11)
        ],
    }
)


INIT = files("nodisk").joinpath("node/dracut/init").read_text()
"""What says it on a machine: reports here are made of its own words."""


def words(opening: str) -> str:
    (line,) = (line for line in INIT.splitlines() if opening in line)
    return line.split('"')[1]


def report(name: str, detail: str, *, time: float = 0.0, stage: Stage = Stage.ROOTFS) -> Event:
    machine = LAB.machine(name)
    assert machine is not None
    return Event(0, time, Kind.STAGE, detail, str(machine.address), machine.mac, name, None, stage)


def came(name: str, server: int, others: int, time: float = 0.0) -> Event:
    said = words('came="').replace("$(($1 / 1048576))", str(server)).replace("$(($2 / 1048576))", str(others))
    assert "$" not in said
    return report(name, said, time=time)


def denied(name: str, address: str) -> Event:
    said = words('event kernel "rootfs: peer $who').replace("$who", address).replace("$detail", "chunk 7")
    assert "$" not in said
    return report(name, said, stage=Stage.KERNEL)


def only(*events: Event) -> Finding:
    (found,) = peers.judge(LAB, events)
    return found


def test_the_share_of_a_boot() -> None:
    found = only(came("cp1", 120, 0), came("w1", 0, 120, 60), came("w2", 0, 120, 90))
    assert found.level is Level.OK
    assert found.message == "at their last boot, 3 machines got 67 % of the image from each other"


def test_machines_that_do_not_reach_each_other() -> None:
    found = only(*(came(name, 120, 0) for name in ("cp1", "w1", "w2")))
    assert found.level is Level.WARNING
    assert found.message == "3 machines booted together, and none got any of the image from another"
    assert "private VLAN" in found.hint


def test_the_newest_boot_counts_and_only_what_was_together() -> None:
    before = [came(name, 120, 0) for name in ("cp1", "w1", "w2")]
    late = peers.TOGETHER + 1
    assert only(*before, came("w1", 1, 119, late)).message.startswith("fewer than 3 machines")
    found = only(*before, came("w1", 0, 120, 5), came("w2", 0, 120, 6))
    assert found.level is Level.OK


def test_who_gives_something_else_is_named() -> None:
    one, boots = peers.judge(LAB, [denied("w1", "10.77.0.14")])
    assert (one.level, boots.level) == (Level.WARNING, Level.OK)
    assert one.message == "w1 says that w3 gave altered parts of the image; nobody booted them"
    assert "test the RAM of both" in one.hint
    many, _ = peers.judge(LAB, [denied("w1", "10.77.0.14"), denied("w2", "10.77.0.14"), denied("w2", "10.77.0.14")])
    assert many.message.startswith("2 machines say that w3")


def test_only_where_lab_yaml_has_them(tmp_path: Path) -> None:
    state = State(tmp_path).lab("room")
    assert peers.peers(LAB.model_copy(update={"peers": None}), state) == []
    (found,) = peers.peers(LAB, state)
    assert found.message == "fewer than 3 machines have booted together, so nothing is known yet"
    with Database(state.database) as database:
        for name in ("cp1", "w1", "w2"):
            one = came(name, 120, 0)
            database.record(one.kind, one.detail, source=one.source, mac=one.mac, machine=name, stage=one.stage)
    (found,) = peers.peers(LAB, state)
    assert found.level is Level.WARNING


@given(st.lists(st.tuples(st.sampled_from(("cp1", "w1", "w2", "w3")), st.text(), st.sampled_from(Stage))))
def test_whatever_machines_say(said: list[tuple[str, str, Stage]]) -> None:
    (found,) = peers.judge(LAB, [report(name, text, stage=stage) for name, text, stage in said])
    assert found.level is Level.OK
