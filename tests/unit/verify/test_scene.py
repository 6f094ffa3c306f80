"""How long a probe may take."""

from __future__ import annotations

from subprocess import CompletedProcess
from typing import Any, cast

import pytest

from nodisk import run
from nodisk.verify.scene import Scene


@pytest.mark.parametrize(("left", "seconds"), [(float("inf"), 600), (100, 100), (1, 25), (0, 25)])
def test_a_probe_ends_with_its_check(monkeypatch: pytest.MonkeyPatch, left: float, seconds: float) -> None:
    """But not before its wishes had their own time: what they say is the evidence."""
    took: list[float] = []

    def fake(*_: Any, timeout: float, **__: Any) -> CompletedProcess[str]:
        took.append(timeout)
        return CompletedProcess([], 0, '[{"ok": true}]', "")

    monkeypatch.setattr(run, "run", fake)
    context: Any = type("Context", (), {"netns": None})
    scene = Scene(context, cast("Any", None), "id", "space")
    scene.clock.now = lambda: 0.0
    scene.clock.end = left
    assert scene.probe([{"kind": "http", "timeout": 15}]) == [{"ok": True}]
    assert took == [seconds]
