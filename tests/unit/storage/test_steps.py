"""What the server does next for the students' storage: as a table, and whatever the order of events and crashes."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.errors import NodiskError
from nodisk.state import LabState, State
from nodisk.storage import steps, volumes
from nodisk.storage.disks import Disks
from nodisk.storage.steps import Arrange, Mend, Seen, Wait, next_step
from nodisk.storage.volumes import Volume

OLD, NEW = (("a.json", 1),), (("a.json", 2),)


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (Seen(100, OLD, None), Wait(0.5)),
        (Seen(100, OLD, OLD, since=99.75), Wait(0.25)),
        (Seen(100, OLD, OLD, since=99.5), Arrange()),
        (Seen(100, (), (), since=99), Arrange()),
        (Seen(100, OLD, OLD, arranged=OLD), Wait(10)),
        (Seen(100, NEW, OLD, arranged=OLD), Wait(0.5)),
        (Seen(100, NEW, NEW, since=99, arranged=OLD), Arrange()),
        (Seen(100, OLD, OLD, arranged=OLD, failing=True, again=104), Wait(4)),
        (Seen(100, NEW, OLD, arranged=OLD, failing=True, again=104), Wait(0.5)),
        (Seen(100, OLD, OLD, arranged=OLD, failing=True, again=100), Mend()),
        (Seen(100, NEW, NEW, since=99, arranged=OLD, failing=True, again=104), Arrange()),
        (Seen(100, OLD, OLD, arranged=OLD, failing=False, again=90), Wait(10)),
        (Seen(100, OLD, OLD, arranged=OLD, refused=True), Arrange(afresh=True)),
        (Seen(100, OLD, OLD, arranged=OLD, failing=True, again=100, refused=True), Mend()),
    ],
)
def test_next_step(seen: Seen, step: object) -> None:
    assert next_step(seen) == step


class _Full(NodiskError):
    """The disk of the test has no room."""


class _Crash(Exception):
    """The server of the test is killed."""


class _Files(Disks):
    """Volumes that are files and are never mounted: all that decides about deleting is the real thing."""

    full = False
    steps_to_live: int | None = None

    def _mount(self, volume: Volume) -> None:
        if self.steps_to_live is not None:
            if self.steps_to_live == 0:
                raise _Crash
            self.steps_to_live -= 1
        if self.full:
            raise _Full("no space left")
        with volumes.image(self.state, volume).open("ab"):
            pass
        (self.root / volume.path).mkdir(exist_ok=True)


class _Server:
    """The keeper with a clock that is told: what ``next_step`` says is done at once."""

    def __init__(self, state: LabState, disks: _Files, now: float) -> None:
        self.state, self.disks = state, disks
        self.seen = Seen(now, volumes.stamp(state), since=now)
        self.served: tuple[Volume, ...] = ()
        self.problems: dict[str, str] = {}

    def turn(self, now: float) -> float:
        """Look and act; returns how long to wait."""
        stamp = volumes.stamp(self.state)
        since = self.seen.since if stamp == self.seen.stamp else now
        self.seen = replace(
            self.seen, now=now, stamp=stamp, before=self.seen.stamp, since=since, failing=bool(self.problems)
        )
        wanted, removed = steps.sort(volumes.load_all(self.state))
        match next_step(self.seen):
            case Wait(seconds):
                return seconds
            case Mend() if not self.disks.mend(list(self.problems), wanted):
                self.seen = replace(self.seen, again=now + steps.RETRY)
                return 0
        if wanted != self.served or removed:
            self.served = ()
            mounted, self.problems = self.disks.arrange(wanted, removed)
            self.served = tuple(mounted)
        else:
            self.problems = {}
        self.seen = replace(self.seen, arranged=stamp, again=now + steps.RETRY)
        return 0


STUDENTS = ("ann", "ben", "cyd")
EVENTS = st.one_of(
    st.tuples(st.just("ensure"), st.sets(st.sampled_from(STUDENTS), min_size=1)),
    st.tuples(st.just("keep"), st.sets(st.sampled_from(STUDENTS))),
    st.tuples(st.just("remove"), st.sets(st.sampled_from(STUDENTS))),
    st.tuples(st.just("full"), st.booleans()),
    st.tuples(st.just("crash"), st.integers(0, 3)),
    st.tuples(st.just("pass"), st.floats(0, 15)),
)


@given(st.lists(EVENTS, max_size=25))
def test_only_what_is_released_is_deleted_and_it_converges(events: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = State(Path(folder)).lab("room")
        disks, now = _Files(state), 0.0
        server = _Server(state, disks, now)
        released: set[str] = set()
        made: set[str] = set()

        def turn() -> float:
            nonlocal server
            try:
                wait = server.turn(now)
            except _Crash:
                disks.steps_to_live = None
                server, wait = _Server(state, disks, now), 0
            here = {path.stem for path in state.storage.glob("*.img")}
            assert made - released <= here
            made.update(here)
            return wait

        for what, how in events:
            held = volumes.of_class(state, "algebra")
            match what, how:
                case "ensure", set(keys):
                    volumes.ensure(state, "algebra", {key: f"algebra-{key}" for key in keys}, volumes.SMALLEST)
                case "keep" | "remove", set(keys):
                    chosen = [held[key] for key in keys if key in held]
                    volumes.release(state, chosen, keep=what == "keep")
                    if what == "remove":
                        released.update(volume.name for volume in chosen)
                case "full", bool(full):
                    disks.full = full
                case "crash", int(later):
                    disks.steps_to_live = later
                case "pass", float(seconds):
                    now += seconds
            turn()

        disks.full, disks.steps_to_live = False, None
        end = now + 60
        while now < end:
            now += max(turn(), 0.01)
        found = volumes.load_all(state)
        assert set(server.served) == {volume for volume in found if volume.state == "exported"}
        assert server.problems == {}
        assert [volume for volume in found if volume.state == "removed"] == []
        here = {path.stem for path in state.storage.glob("*.img")}
        assert here <= {volume.name for volume in found}
