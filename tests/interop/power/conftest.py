"""The lab of ``rooms`` for one test."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.interop.power.rooms import on_loopback, one_that_answers, silent_one

from nodisk.context import LabContext
from nodisk.machines.buttons.linux import Linux


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture
def context(tmp_path: Path) -> LabContext:
    return on_loopback(tmp_path)


@pytest.fixture
def there(context: LabContext) -> Linux:
    return one_that_answers(context)


@pytest.fixture
def silent(context: LabContext) -> Linux:
    return silent_one(context)
