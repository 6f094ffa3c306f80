"""The end of classes goes on, whatever goes wrong with one of them."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.waits import LONG

from nodisk.classes import expiry, plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.context import LabContext
from nodisk.spec.model import Lab
from nodisk.state import State

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "m1", "mac": "52:54:00:77:01:01", "address": "10.77.0.21", "role": "control-plane"}],
    }
)


@pytest.fixture
def context(tmp_path: Path) -> LabContext:
    """Three classes; the files of the first two can't be written."""
    state = State(tmp_path).lab("room")
    for name in ("a", "b", "c"):
        people = [Person("Anna", id="1")]
        planned = plan.merge(None, people, name=name, now=NOW, size=sizes.find("small"), role="edit", teachers=[])
        record.save(state, planned.record)
    (state.classes / ".a.lock").mkdir()
    (state.classes / "b.json").write_bytes(b"\xff")
    return LabContext(LAB, tmp_path / "lab.yaml", state, None)


def test_one_class_that_fails_keeps_no_other_from_its_end(context: LabContext) -> None:
    found = record.need(context.state, "c")
    events = expiry.tick(context, found.expires - timedelta(days=2))
    assert [(event.class_name, event.kind) for event in events] == [("a", "failed"), ("b", "failed"), ("c", "warned")]
    assert "class a could not be ended: Is a directory" in events[0].text
    assert "UnicodeDecodeError" in events[1].text


def test_a_failure_that_stays_is_said_once(context: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    end = record.need(context.state, "c").expires
    ticks, said = threading.Semaphore(0), list[str]()

    def now() -> datetime:
        ticks.release()
        return end - timedelta(days=2)

    monkeypatch.setattr(record, "now", now)
    monkeypatch.setattr(expiry, "EVERY", 0)

    async def run() -> None:
        task = asyncio.create_task(expiry.keep(context, said.append))
        for _ in range(4):
            await asyncio.to_thread(ticks.acquire, timeout=LONG)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())
    assert len([text for text in said if "class a could not be ended" in text]) == 1
    assert len(said) == 3
