"""A cable for each test, taken away after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.check.cables import Cable, laid


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    with laid(tmp_path) as made:
        yield made
