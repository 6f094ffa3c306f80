"""What `nodisk check` says of peers, by what machines reported."""

from __future__ import annotations

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


def report(name: str, detail: str, *, time: float = 0.0, stage: Stage = Stage.ROOTFS) -> Event:
    machine = LAB.machine(name)
    assert machine is not None
    return Event(0, time, Kind.STAGE, detail, str(machine.address), machine.mac, name, None, stage)


def came(name: str, server: int, others: int, time: float = 0.0) -> Event:
    return report(name, f"{server} MiB from the server, {others} from other machines", time=time)


def denied(name: str, address: str) -> Event:
    detail = f"rootfs: peer {address} gave what the list of chunks denies (chunk 7 of 512)"
    return report(name, detail, stage=Stage.KERNEL)


def only(*events: Event) -> Finding:
    (found,) = peers.judge(LAB, events)
    return found


def test_the_share_of_a_boot() -> None:
    found = only(came("cp1", 120, 0), came("w1", 0, 120, 60), came("w2", 0, 120, 90))
    assert (found.level, found.message) == (Level.OK, "of what 3 machines last booted, 67 % came from each other")


def test_machines_that_do_not_reach_each_other() -> None:
    found = only(*(came(name, 120, 0) for name in ("cp1", "w1", "w2")))
    assert found.level is Level.WARNING
    assert found.message == "3 machines booted together, and none got anything from another"
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
    assert one.message == "w1 says that w3 gave parts that aren't the image's; nobody booted them"
    assert "test the RAM of both" in one.hint
    many, _ = peers.judge(LAB, [denied("w1", "10.77.0.14"), denied("w2", "10.77.0.14"), denied("w2", "10.77.0.14")])
    assert many.message.startswith("2 machines say that w3")


def test_only_where_lab_yaml_has_them(tmp_path: Path) -> None:
    state = State(tmp_path).lab("room")
    assert peers.peers(LAB.model_copy(update={"peers": None}), state) == []
    (found,) = peers.peers(LAB, state)
    assert found.message == "fewer than 3 machines have booted together: nothing is known yet"
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
