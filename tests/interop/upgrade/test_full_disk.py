"""The disk is full at each write of an upgrade: what was kept before stays, and the error says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from nodisk import run
from nodisk.assets import holds
from nodisk.assets.holds import Build
from nodisk.assets.store import Manifest, disk_errors
from nodisk.errors import EnvironmentProblem
from nodisk.plan.facts import AssetRef
from nodisk.state import LabState, State
from nodisk.upgrade import journal
from nodisk.upgrade.journal import Journal
from nodisk.values import Mac

pytestmark = pytest.mark.interop
STEPS = tuple((f"machine-{number}",) for number in range(400))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[LabState]:
    run.run(["mount", "-t", "tmpfs", "-o", "size=256k", "nodisk-test", str(tmp_path)])
    try:
        found = State(tmp_path).lab("room")
        found.root.mkdir(parents=True)
        yield found
    finally:
        run.run(["umount", str(tmp_path)])


def full(state: LabState, act: Callable[[], object]) -> None:
    """Do it while nothing fits any more."""
    ballast = state.root / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    files = sorted(state.root.iterdir())
    with pytest.raises(EnvironmentProblem, match="is full") as caught:
        act()
    assert "run the command again" in str(caught.value.hint)
    assert sorted(state.root.iterdir()) == files
    ballast.unlink()


def test_each_write_of_the_journal(state: LabState) -> None:
    first = Journal("1", STEPS, {step[0]: "0" for step in STEPS})
    full(state, lambda: journal.write(state, first))
    assert journal.read(state) is None
    now = journal.write(state, first)
    for _ in range(3):
        name = now.left[0][0]
        begun = now.begin((name,), {name: "a boot"})
        for after in (begun, begun.end()):
            full(state, partial(journal.write, state, after))
            assert journal.read(state) == now
            now = journal.write(state, after)
    turned = now.turned()
    full(state, lambda: journal.write(state, turned))
    assert journal.read(state) == now


def test_the_record_of_held_machines(state: LabState) -> None:
    names = ("vmlinuz", "initramfs", "root.squashfs")
    refs = tuple(AssetRef(name, f"{number:064x}", 0) for number, name in enumerate(names))
    for ref in refs:
        path = state.state.assets / "objects" / ref.sha256 / ref.name
        path.parent.mkdir(parents=True)
        path.touch()
    build = Build({"image": Manifest("image", "x" * 20000, "1", "k", {}, refs, {}, "")})

    def hold(number: int) -> None:
        with disk_errors(state.root):
            holds.change(state, {Mac(number): build})

    full(state, lambda: hold(2))
    assert holds.read(state).machines == {}
    hold(2)
    full(state, lambda: hold(4))
    assert set(holds.read(state).machines) == {Mac(2)}
