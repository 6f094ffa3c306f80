"""What `nodisk check` says of machines that booted with another configuration than lab.yaml gives now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.assets.test_built import everything, lab

from nodisk.assets import built
from nodisk.check import config
from nodisk.check.findings import Level
from nodisk.pki.authority import Authority
from nodisk.plan import boot, config_changes, ignition
from nodisk.records.database import Database
from nodisk.server import assets
from nodisk.spec.model import Lab
from nodisk.state import State

MACHINES = [
    {"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"},
    {"name": "w1", "mac": "52:54:00:00:00:02", "address": "10.77.0.21"},
]
KUBE = {"source": "debian", "version": "1.20.2"}


def room(*, kubernetes: Mapping[str, str] | None = None, **parts: Any) -> Lab:
    return lab(**{"machines": MACHINES, "kubernetes": {**KUBE, **(kubernetes or {})}, **parts})


@pytest.fixture
def state(tmp_path: Path) -> State:
    """With a build for every ``room``, and the lab's authorities."""
    found = State(tmp_path / "state")
    built.record(found, room(), everything(found), why="a test")
    Authority(found.lab("room"), room()).ensure()
    return found


def boots(state: State, one: Lab, *names: str) -> None:
    """As the server records it."""
    place = state.lab("room")
    ca = Authority(place, one).ca_pem
    with Database(place.database) as database:
        for machine in one.machines:
            if str(machine.name) in names:
                facts = assets.facts_now(one, place, machine, ca)
                database.serve(machine.mac, {"script": boot.machine_script(one, facts, machine, None)})
                database.serve(machine.mac, {"ignition": ignition.render(one, facts, machine)})


def said(state: State, one: Lab) -> list[tuple[Level, str]]:
    return [(found.level, found.message) for found in config.config(state.lab("room"), one)]


SAME = [(Level.OK, "machines booted with the configuration that they would get now")]


def test_what_a_machine_booted_with(state: State) -> None:
    one = room()
    assert said(state, one) == [(Level.OK, "no machine has got its configuration yet")]
    boots(state, one, "c1", "w1")
    assert said(state, one) == SAME
    other = room(ssh_keys=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJc1D0HvW8Xn8rNDNn4Yw8JtqVHcZcN4XU3GqF9rS8mL a"])
    text = "booted with a configuration that differs from the current one: c1, w1 (passwd)"
    assert said(state, other) == [(Level.WARNING, text)]
    (found,) = config.config(state.lab("room"), other)
    assert "nodisk power cycle" in found.hint
    boots(state, other, "c1")
    assert said(state, other) == [(Level.WARNING, text.replace("c1, w1", "w1"))]
    boots(state, other, "w1")
    assert said(state, other) == SAME


def test_a_machine_that_is_added_asks_nobody_to_boot_again(state: State) -> None:
    boots(state, room(), "c1", "w1")
    more = {"name": "w2", "mac": "52:54:00:00:00:03", "address": "10.77.0.22"}
    assert said(state, room(machines=[*MACHINES, more])) == SAME


def test_one_of_another_image_is_named_there(state: State) -> None:
    one = room()
    boots(state, one, "c1", "w1")
    built.record(state, one, everything(state, 2), why="newer")
    boots(state, one, "c1")
    assert said(state, one) == SAME


@pytest.mark.parametrize("on", [True, False])
def test_names_kept_apart_while_machines_run(state: State, on: bool) -> None:
    """Server and machines have to agree; also before the server has the new lab.yaml, so that nobody is surprised."""
    apart, plain = room(kubernetes={"isolation": "names"}), room()
    old, new = (plain, apart) if on else (apart, plain)
    boots(state, old, "c1", "w1")
    assert said(state, old) == SAME
    (found,) = config.config(state.lab("room"), new)
    assert found.level is Level.WARNING
    now = "has kubernetes.isolation: names, but these machines booted without it"
    if not on:
        now = "no longer has kubernetes.isolation: names, but these machines booted with it"
    assert found.message.startswith(f"lab.yaml {now}: c1, w1; once the server has read that, ")
    assert ("no names of any class's namespace" in found.message) is on
    assert "nodisk power cycle" in found.hint
    boots(state, new, "c1")
    (found,) = config.config(state.lab("room"), new)
    assert ": w1; " in found.message
    boots(state, new, "w1")
    assert said(state, new) == SAME


def test_before_there_is_anything_to_compare_with(state: State) -> None:
    boots(state, room(), "w1")
    state.lab("room").built.unlink()
    assert said(state, room()) == [(Level.OK, "not built yet, or not for this lab.yaml")]


NAMES = st.sets(st.sampled_from(["/a", "/b", "/etc/hosts"]))


@given(NAMES, NAMES)
def test_changes_are_what_one_of_two_has(before: set[str], now: set[str]) -> None:
    def text(names: set[str]) -> str:
        files = ", ".join(f'{{"path": "{name}"}}' for name in sorted(names))
        return f'{{"storage": {{"files": [{files}]}}}}'

    assert config_changes.changed(text(before), text(now)) == sorted((before ^ now) - {"/etc/hosts"})


def test_units_and_all_that_has_no_name() -> None:
    before = '{"ignition": {"version": "3.3.0"}, "systemd": {"units": [{"name": "a.service"}, {"name": "b.service"}]}}'
    now = '{"passwd": {}, "systemd": {"units": [{"name": "a.service", "mask": true}]}, "storage": {"links": []}}'
    assert config_changes.changed(before, now) == ["a.service", "b.service", "ignition", "passwd", "storage"]
    assert not config_changes.shows_pods(now)
