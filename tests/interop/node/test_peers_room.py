"""A room of machines that give the image to each other: judged by who has it and by what the server sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import commands

from nodisk.bench import storm
from nodisk.bench.storm_room import StormRoom, room
from nodisk.state import State

pytestmark = pytest.mark.interop
MACHINES = 6
PATIENCE = 300.0
PLAN = storm.Storm(MACHINES, link=50_000_000, size=2 << 20)


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StormRoom, tuple[Path, Path, str]]]:
    folder = tmp_path_factory.mktemp("storm")
    with room(folder / "room", MACHINES, PLAN.link) as made:
        yield made, storm.prepare(PLAN, State(folder), made)


def test_from_the_server_alone_each_machine_costs_a_copy(wired: tuple[StormRoom, tuple[Path, Path, str]]) -> None:
    found = storm.one_round(PLAN, *wired, "alone", peers=False, faulty=0, within=PATIENCE)
    assert found.done == found.asked == MACHINES
    assert found.copies == MACHINES


def test_as_a_command(tmp_path: Path) -> None:
    words = ["lab", "bench", "--storm", "3", "--link", "50M", "--size", "1MiB", "-o", "json", "--state", str(tmp_path)]
    done = commands.call(words, timeout=PATIENCE, check=True)
    told = json.loads(done.stdout)
    assert [(one["name"], one["done"]) for one in told["rounds"]] == [("server alone", 3), ("peers", 3)]


def test_from_each_other_the_server_sends_less(wired: tuple[StormRoom, tuple[Path, Path, str]]) -> None:
    found = storm.one_round(PLAN, *wired, "peers", peers=True, faulty=0, within=PATIENCE)
    assert found.done == MACHINES
    assert found.copies < MACHINES - 1


def test_a_liar_a_slow_and_a_dying_one_lose_no_machine(wired: tuple[StormRoom, tuple[Path, Path, str]]) -> None:
    made, what = wired
    found = storm.one_round(PLAN, made, what, "faulty", peers=True, faulty=1, within=PATIENCE)
    assert found.done == found.asked == MACHINES - 2, "all but the liar and the one without a cable"
    wanted = next((made.folder / "assets").rglob("root.squashfs")).read_bytes()
    for number in range(1, MACHINES + 1):
        if number not in {1, 3}:
            assert (made.folder / f"{number}.image").read_bytes() == wanted
