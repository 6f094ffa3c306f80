"""The fixtures of tests against a real API server; a host without its programs fails here, it doesn't skip."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane, binaries

from nodisk.cluster.client import Client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.api)
            # httpcore leaves the socket of a refused unix connection to the garbage collector
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket.*family=1:ResourceWarning"))


@pytest.fixture(scope="session")
def release_bin() -> Path:
    return binaries()


@pytest.fixture(scope="session")
def plane(release_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path_factory.mktemp("plane"), release_bin)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def client(plane: ControlPlane) -> Iterator[Client]:
    with plane.client() as made:
        yield made
