"""The fixtures of tests against a real API server; a host without its programs fails here, it doesn't skip."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane, binaries

from nodisk.classes import lifecycle, record
from nodisk.cluster.client import Client
from nodisk.storage import volumes


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


@pytest.fixture
def no_class_is_left(plane: ControlPlane, client: Client) -> Iterator[None]:
    """After a test, its classes and their storage's records are gone."""
    yield
    for found in record.load_all(plane.lab_state):
        lifecycle.delete(client, found, [])
        record.forget(plane.lab_state, found.name)
    for path in volumes.folder(plane.lab_state).glob("*.json"):
        path.unlink()
