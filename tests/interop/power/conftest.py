"""A lab whose machines are on loopback: one answers ping, one never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodisk.context import LabContext
from nodisk.machines.buttons.linux import Linux
from nodisk.records.database import Database
from nodisk.spec.model import Lab
from nodisk.state import State


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture
def context(tmp_path: Path) -> LabContext:
    lab = Lab.model_validate(  # the rules would refuse loopback
        {
            "name": "room",
            "network": {"subnet": "127.0.77.0/24", "server": "127.0.77.1"},
            "machines": [
                {"name": "there", "mac": "52:54:00:00:00:01", "address": "127.0.77.11", "role": "control-plane"},
                {"name": "silent", "mac": "52:54:00:00:00:02", "address": "192.0.2.12"},
            ],
        }
    )
    state = State(tmp_path / "state").lab("room")
    state.root.mkdir(parents=True)
    Database(state.database).close()
    return LabContext(lab, tmp_path / "lab.yaml", state, None)


@pytest.fixture
def there(context: LabContext) -> Linux:
    return Linux(context, context.lab.machines[0])


@pytest.fixture
def silent(context: LabContext) -> Linux:
    return Linux(context, context.lab.machines[1])
