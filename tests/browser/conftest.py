"""One console and its browsers for all tests of a file: a Chromium takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from tests.browser.served import Served, served_in
from tests.support.chromium import chromium


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("console")
    with served_in(folder) as made:
        yield made


@pytest.fixture(scope="module")
def browser(served: Served) -> Iterator[Chrome]:
    with chromium(key_hash=served.key_hash) as driver:
        yield driver


@pytest.fixture(scope="module")
def second(served: Served) -> Iterator[Chrome]:
    with chromium(key_hash=served.key_hash) as driver:
        yield driver


@pytest.fixture(scope="module")
def plain(served: Served) -> Iterator[Chrome]:
    """A browser that runs no script."""
    with chromium(key_hash=served.key_hash, scripts=False) as driver:
        yield driver
