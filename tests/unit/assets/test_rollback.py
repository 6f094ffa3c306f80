"""The build before is kept, and a lab goes back to it; also where both have the same ids, as after a refresh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.assets.test_built import everything, lab

from nodisk import yamltext
from nodisk.assets import built, previous, rollback
from nodisk.assets.prune import prune
from nodisk.assets.store import Manifest, Store
from nodisk.cli import nodisk
from nodisk.errors import Busy, EnvironmentProblem, IntegrityError, UsageError
from nodisk.spec.model import Lab
from nodisk.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def refreshed(state: State, made: dict[str, Manifest]) -> dict[str, Manifest]:
    """The same build with a newer image of the same id, as ``nodisk build --refresh`` makes it."""
    image, store = made["image"], Store(state)
    with store.workspace() as folder:
        content = {ref.name: folder / ref.name for ref in image.files}
        for name, path in content.items():
            path.write_text(f"security updates of {name}")
        new = store.add(
            "image", name="image", version="1.36.1", inputs=image.inputs, content=content, facts=dict(image.facts)
        )
    assert new.id == image.id
    return {**made, "image": new}


def rootfs(state: State, of: Lab) -> str:
    return built.facts(state, of)[0].rootfs.sha256


def test_back_and_forth_over_a_refresh(state: State) -> None:
    room, first = lab(), everything(state)
    built.record(state, room, first, why="first")
    second = refreshed(state, first)
    built.record(state, room, second, why="second")
    old, new = (made["image"].file("root.squashfs").sha256 for made in (first, second))
    assert (rootfs(state, room), old != new) == (new, True)
    for expected, why in ((old, "first"), (new, "second"), (old, "first")):
        change = rollback.go_back(state, room)
        assert [kept.kind for _, kept in change.differing] == ["image"]
        assert (rootfs(state, room), built.why(state, room)) == (expected, why)
        assert Store(state).damage(built.manifests(state, room)["image"]) == []


def test_killed_in_the_middle_the_same_call_does_the_rest(state: State) -> None:
    """The store has the old manifest, and the record names the newer build: what a kill between the two leaves."""
    room, first = lab(), everything(state)
    built.record(state, room, first, why="first")
    built.record(state, room, refreshed(state, first), why="second")
    Store(state).restore(first["image"])
    rollback.go_back(state, room)
    assert built.why(state, room) == "first"
    assert rootfs(state, room) == first["image"].file("root.squashfs").sha256


def test_a_build_that_changes_nothing_keeps_the_one_before(state: State) -> None:
    room, first = lab(), everything(state)
    built.record(state, room, first, why="first")
    second = everything(state, 2)
    for _ in range(3):
        built.record(state, room, second, why="second")
    rollback.go_back(state, room)
    assert built.manifests(state, room) == first


def test_nothing_to_go_back_to(state: State) -> None:
    room = lab()
    with pytest.raises(EnvironmentProblem, match="nothing is built yet"):
        rollback.look(state, room)
    built.record(state, room, everything(state), why="")
    with pytest.raises(UsageError, match="no build before the current one"):
        rollback.go_back(state, room)


@pytest.mark.parametrize(
    "damage",
    [
        *({"before": []}, {"before": [1]}, {"before": {}}, {"before": {"manifests": [1]}}),
        *({"manifests": {"image": {}}}, {"manifests": {}}, {"manifests": None}),
    ],
)
def test_a_damaged_record_is_named(state: State, damage: dict[str, Any]) -> None:
    room, path = lab(), state.lab("room").built
    built.record(state, room, everything(state), why="")
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(IntegrityError, match="not a valid build record"):
        rollback.look(state, room)
    built.record(state, room, everything(state, 2), why="")
    with pytest.raises(UsageError, match="no build before"):
        rollback.look(state, room)


def test_lab_yaml_must_ask_for_that_build(state: State) -> None:
    before = lab(kubernetes={"source": "upstream", "version": "1.35"})
    after = lab(kubernetes={"source": "upstream", "version": "1.36"})
    built.record(state, before, everything(state), why="")
    built.record(state, after, everything(state, 2), why="")
    with pytest.raises(UsageError, match=r"made for another lab.yaml \(Kubernetes 1.36.1\)") as caught:
        rollback.look(state, after)
    assert "back to what they were" in str(caught.value.hint)
    assert rollback.go_back(state, before).then
    assert built.manifests(state, before)


def test_prune_keeps_it_unless_told(state: State) -> None:
    room, first = lab(), everything(state)
    built.record(state, room, first, why="")
    built.record(state, room, refreshed(state, first), why="")
    prune(state, dry_run=False)
    assert rollback.look(state, room).differing
    rollback.go_back(state, room)
    prune(state, dry_run=False, before=True)
    with pytest.raises(EnvironmentProblem, match=r"no longer has all files.*root\.squashfs"):
        rollback.go_back(state, room)
    assert rootfs(state, room) == first["image"].file("root.squashfs").sha256


def test_not_while_something_is_built(state: State) -> None:
    room, first = lab(), everything(state)
    built.record(state, room, first, why="first")
    built.record(state, room, refreshed(state, first), why="second")
    with Store(state).builder(), pytest.raises(Busy):
        rollback.go_back(state, room)
    assert built.why(state, room) == "second"


def test_the_command(state: State, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(yamltext.dump(lab().model_dump(mode="json", exclude_defaults=True)))
    first = everything(state)
    built.record(state, lab(), first, why="")
    words = ["rollback", "--lab", str(file), "--state", str(state.root)]
    assert "no build before" in str(CliRunner().invoke(nodisk, words).exception)
    built.record(state, lab(), refreshed(state, first), why="")
    dry = json.loads(CliRunner().invoke(nodisk, [*words, "--dry-run", "-o", "json"]).stdout)
    assert (dry["dry_run"], [one["kind"] for one in dry["changed"]]) == (True, ["image"])
    assert set(dry["changed"][0]) == {"kind", "version", "made", "instead_of"}
    done = CliRunner().invoke(nodisk, words)
    assert (done.exit_code, "image" in done.stdout) == (0, True), done.output
    assert rootfs(state, lab()) == first["image"].file("root.squashfs").sha256
    again = CliRunner().invoke(nodisk, words)
    assert again.exit_code == 0
    assert rootfs(state, lab()) != first["image"].file("root.squashfs").sha256


def record(number: int) -> dict[str, Any]:
    return {"why": str(number), "manifests": {"image": {"key": "k", "files": [number]}}}


@given(st.lists(st.integers(0, 3) | st.just("back"), max_size=12))
def test_two_builds_are_kept_whatever_happens(steps: list[int | str]) -> None:
    value: dict[str, Any] | None = None
    current: int | None = None
    before: int | None = None
    for step in steps:
        if isinstance(step, int):
            if step != current:
                current, before = step, current
            kept = previous.kept(value, record(step))
            value = record(step) | ({"before": kept} if kept is not None else {})
        elif value is not None and before is not None:
            current, before = before, current
            value = previous.swapped(value)
        if value is not None:
            assert value["why"] == str(current)
            assert "before" not in (value.get("before") or {})
            assert (value.get("before") or {}).get("why") == (None if before is None else str(before))


def test_a_release_that_differs_is_seen(state: State) -> None:
    room = lab()
    built.record(state, room, everything(state), why="")
    made = everything(state, 2)
    with Store(state).workspace() as folder:
        (folder / "kubeadm").write_text("x")
        inputs = {"kind": "release", "number": 9}
        content = {"kubeadm": folder / "kubeadm"}
        made["release"] = Store(state).add(
            "release", name="release", version="1.37.0", inputs=inputs, content=content, facts=made["release"].facts
        )
    built.record(state, room, made, why="")
    assert [str(one) for one in rollback.look(state, room).releases] == ["1.37.0", "1.36.1"]
