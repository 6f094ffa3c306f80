"""Machines that are held boot what they had, whatever is built, pruned or damaged meanwhile."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.assets.test_built import everything
from tests.unit.upgrade.test_dry_run import LAB, boots, build

from nodisk.assets import built, holds
from nodisk.assets.holds import Build, Holds, Live
from nodisk.assets.prune import prune
from nodisk.assets.store import Manifest, Store
from nodisk.check import age
from nodisk.cli import nodisk
from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError
from nodisk.plan.facts import AssetRef, Facts
from nodisk.server import assets as server_assets
from nodisk.server.texts import Held, Texts
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.values import Mac

MACS = st.integers(1, 2**40 - 1).map(Mac)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)


def some_build(number: int, version: str = "1.36.1") -> Build:
    names = ("vmlinuz", "initramfs", "root.squashfs")
    image = Manifest(
        "image", "an image", "1", f"k{number}", {}, tuple(AssetRef(name, f"{number:064x}", 9) for name in names), {}, ""
    )
    return Build({"image": image, "release": Manifest("release", "", version, f"r{number}", {}, (), {}, "")})


@st.composite
def records(draw: st.DrawFn) -> Holds:
    builds = [some_build(number) for number in draw(st.lists(st.integers(0, 9), min_size=1, max_size=4))]
    wishes = draw(st.dictionaries(MACS, st.sampled_from(builds), max_size=12))
    return Holds().hold(wishes)


@given(records())
def test_a_record_is_read_as_it_was_written(record: Holds) -> None:
    assert Holds.from_text(record.to_text()) == record


@given(records(), st.sets(MACS, max_size=3), st.booleans())
def test_who_is_let_go_is_gone_and_nobody_else(record: Holds, more: set[Mac], forget: bool) -> None:
    gone = {*list(record.machines)[:3], *more}
    left = record.lift(gone, forget=forget)
    assert left.machines == {mac: key for mac, key in record.machines.items() if mac not in gone}
    assert set(left.builds) == (set(left.machines.values()) if forget else set(record.builds))
    assert all((left.of(mac) is None) == (mac not in left.machines) for mac in (*record.machines, *more))


@given(st.recursive(st.none() | st.integers() | NAMES, lambda some: st.lists(some) | st.dictionaries(NAMES, some)))
def test_what_is_no_record_is_named(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    state = State(tmp_path_factory.mktemp("state")).lab("room")
    state.root.mkdir(parents=True)
    for text in (json.dumps(value), json.dumps({"machines": value, "builds": value}), str(value)):
        state.holds.write_text(text)
        with contextlib.suppress(IntegrityError):  # no other error
            assert holds.read(state).machines == {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab.yaml").write_text(LAB)
    return tmp_path


def hold(folder: Path, *words: str) -> Result:
    where = ["--lab", str(folder / "lab.yaml"), "--state", str(folder / "state")]
    return CliRunner().invoke(nodisk, ["hold", *words, *where])


def rootfs(folder: Path) -> dict[str, str]:
    """What a server that starts now has each machine boot: the hash in its script."""
    room, state = load(folder / "lab.yaml"), State(folder / "state")
    found = server_assets.find(state.lab("room"), room)
    facts = Facts("a CA", found.image, found.release)
    held = {key: Held(Facts("a CA", *one.facts), {}) for key, one in found.held.items()}
    texts = Texts(room, facts, {}, {}, held=held, held_at=found.held_at)
    scripts = {str(one.name): texts.script(one, None) for one in room.machines}
    return {name: text.partition("nodisk.sha256=")[2].split()[0] for name, text in scripts.items()}


def test_a_newer_build_on_one_machine_only(folder: Path) -> None:
    room = build(folder, 1)
    boots(folder, room, "cp1", "w1", "w2")
    old = rootfs(folder)["cp1"]
    assert hold(folder, "cp1", "w1", "w2").exit_code == 0
    build(folder, 2)
    now = rootfs(folder)
    assert (now["cp1"], now["w1"], now["w2"]) == (old, old, old)
    assert now["w3"] != old
    assert hold(folder, "w1", "--lift").exit_code == 0
    now = rootfs(folder)
    assert (now["cp1"], now["w1"] == now["w3"], now["w2"]) == (old, True, old)
    shown = json.loads(hold(folder, "--output", "json").stdout)
    assert [one["machine"] for one in shown["held"]] == ["cp1", "w2"]
    assert "Kubernetes 1.36.1, image of" in shown["held"][0]["build"]
    assert (folder / "state/labs/room/holds.json").stat().st_mode & 0o777 == 0o600
    assert "the node" not in hold(folder, "--all", "--lift").output
    assert not (folder / "state/labs/room/holds.json").exists()
    assert len(set(rootfs(folder).values())) == 1


def test_held_after_the_build_was_made(folder: Path) -> None:
    """It is the build before that is kept then: what the machine booted, not what is current."""
    boots(folder, build(folder, 1), "w1")
    old = rootfs(folder)["w1"]
    build(folder, 2)
    assert hold(folder, "w1").exit_code == 0
    build(folder, 3)
    assert hold(folder, "w1").exit_code == 0  # again: stays at what it has
    assert rootfs(folder)["w1"] == old


def test_one_that_booted_what_is_no_longer_kept(folder: Path) -> None:
    boots(folder, build(folder, 1), "w1")
    build(folder, 2)
    build(folder, 3)
    done = hold(folder, "w1")
    assert isinstance(done.exception, NodiskError)
    assert "no longer keeps: w1" in done.exception.message


def test_files_of_held_builds_are_not_pruned(folder: Path) -> None:
    state = State(folder / "state")
    boots(folder, build(folder, 1), "w1")
    assert hold(folder, "w1").exit_code == 0
    kept = holds.read(state.lab("room")).builds
    for number in (2, 3):
        build(folder, number)
    prune(state, dry_run=False, before=True)
    assert [one.lost(Store(state)) for one in kept.values()] == [[]]
    assert hold(folder, "w1", "--lift").exit_code == 0
    prune(state, dry_run=False, before=True)
    (build_1,) = kept.values()
    assert "root.squashfs" in build_1.lost(Store(state))
    with pytest.raises(EnvironmentProblem, match="no longer has all files"):
        holds.change(state.lab("room"), {Mac(2): build_1})


def test_a_build_whose_files_are_gone_gives_way_to_the_current_one(folder: Path) -> None:
    """As on another host, after a restore without assets."""
    state = State(folder / "state")
    boots(folder, build(folder, 1), "w1")
    hold(folder, "w1")
    build(folder, 2)
    (kept,) = holds.read(state.lab("room")).builds.values()
    Store(state).path(kept.manifests["image"].file("root.squashfs")).unlink()
    assert len(set(rootfs(folder).values())) == 1


def test_a_damaged_record_is_named(folder: Path) -> None:
    path = State(folder / "state").lab("room").holds
    path.parent.mkdir(parents=True)
    path.write_text('{"machines": {"52:54:00:77:00:15": "0"}, "builds": {}}')
    done = hold(folder)
    assert isinstance(done.exception, IntegrityError)
    assert f"rm {path}" in str(done.exception.hint)


def test_a_server_sees_a_change_at_once_and_outlives_damage(folder: Path) -> None:
    state = State(folder / "state").lab("room")
    live, mac, one, two = Live(state), Mac(2), some_build(1), some_build(2)
    assert live.of(mac) is None
    state.root.mkdir(parents=True)
    for build_ in (one, two, one):
        state.holds.write_text(Holds().hold({mac: build_}).to_text())
        assert live.of(mac) == build_.key
    state.holds.write_text("{ cut off")
    assert live.of(mac) == one.key
    state.holds.unlink()
    assert live.of(mac) is None


def test_check_names_held_machines_apart_from_those_that_are_behind(folder: Path) -> None:
    boots(folder, build(folder, 1), "w1", "w2")
    hold(folder, "w1")
    room = build(folder, 2)
    messages = [one.message for one in age.image(State(folder / "state"), room)]
    assert messages[1:] == [
        "last booted another image than the built one: w2",
        "held at an earlier build, whatever is built: w1",
    ]


def test_nothing_is_built(folder: Path) -> None:
    assert isinstance(hold(folder, "w1").exception, EnvironmentProblem)
    assert hold(folder).output == "no machine is held\n"
    assert hold(folder, "--lift").exit_code == 1
    state = State(folder / "state")
    assert everything(state)
    assert built.used(state) == set()
