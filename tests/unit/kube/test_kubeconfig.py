"""Whether there is an administrator's kubeconfig, and for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodisk.errors import EnvironmentProblem
from nodisk.kube import kubeconfig
from nodisk.state import State


def test_none_yet(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="lab room has no administrator's kubeconfig yet"):
        kubeconfig.of_admin(State(tmp_path).lab("room"))


def test_not_for_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(EnvironmentProblem, match="can't be read") as caught:
        kubeconfig.of_admin(State(tmp_path).lab("room"))
    assert caught.value.hint == "run it as root with sudo"
