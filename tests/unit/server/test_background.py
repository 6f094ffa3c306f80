"""What the server does beside serving: nothing of it ends unseen."""

from __future__ import annotations

import asyncio
import errno
import json
from pathlib import Path

import pytest
from tests.support.waits import until_async

from nodisk.errors import NodiskError
from nodisk.pki.authority import Authority
from nodisk.plan.facts import ContainerImage
from nodisk.server import background, seed
from nodisk.spec.model import Lab
from nodisk.state import LabState, State

LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "127.0.0.0/24", "server": "127.0.0.1"},
        "machines": [{"name": "m1", "mac": "52:54:00:77:01:01", "address": "127.0.0.21", "role": "control-plane"}],
    }
)


def test_a_task_that_fails_is_said_and_started_again() -> None:
    errors: list[Exception] = [
        NodiskError("the API is away"),
        NodiskError("the API is away"),
        OSError(errno.ENOSPC, "No space left on device", "/x"),
        ValueError("seven"),
    ]
    said: list[str] = []

    async def work() -> None:
        if errors:
            raise errors.pop(0)

    asyncio.run(background.keep("ending classes", work, said.append, pauses=(0,)))
    assert said == [
        "ending classes failed and will be retried: the API is away",
        "ending classes failed and will be retried: No space left on device: /x",
        "ending classes failed and will be retried: ValueError: seven",
    ]


def test_it_goes_on_where_nobody_can_be_told_and_ends_when_cancelled() -> None:
    tries: list[int] = []

    def mute(_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def work() -> None:
        tries.append(1)
        raise RuntimeError

    async def run() -> None:
        task = asyncio.create_task(background.keep("it", work, mute, pauses=(0,)))
        await until_async(lambda: len(tries) >= 5, every=0, why="it is not tried again")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    made = State(tmp_path).lab("room")
    Authority(made, LAB).ensure()
    return made


def test_a_registry_that_is_away_is_a_problem_of_each_image(state: LabState, tmp_path: Path) -> None:
    """127.0.0.1:5000 refuses the connection; the damaged archive is no reason to leave out the next one."""
    archive = tmp_path / "objects" / "00ff" / "a.tar"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"this is no tar")
    state.registry.mkdir(parents=True)
    (state.registry / seed.PUSHED).write_text(json.dumps({"there:1": "00ff/a.tar"}))
    images = [(ContainerImage.of(f"example.org/{name}:1", 1), archive) for name in ("there", "new")]
    count, problems = asyncio.run(seed.seed(LAB, state, images))
    assert count == 0
    assert [text.partition(": ")[0] for text in problems] == [
        "example.org/there:1 could not be pushed",
        "example.org/new:1 could not be pushed",
    ]
    assert "ConnectError" in problems[0]
    assert "ReadError" in problems[1]


def test_what_could_not_be_pushed_is_tried_again(state: LabState, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(1, ["a: no", "b: no"]), (0, ["a: no"]), (1, [])]
    said: list[str] = []

    async def answer(*_: object) -> tuple[int, list[str]]:
        return answers.pop(0)

    monkeypatch.setattr(seed, "seed", answer)
    monkeypatch.setattr(seed, "RETRY", (0,))
    asyncio.run(seed.fill(LAB, state, [], said.append))
    assert [text.partition(" in ")[0] for text in said] == [
        "registry: 1 images added",
        "registry: a: no",
        "registry: b: no",
        "registry: 1 images added",
    ]
