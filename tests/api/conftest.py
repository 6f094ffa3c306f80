"""The fixtures of tests against a real API server; a host without its programs fails here, it doesn't skip."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane, binaries
from tests.support import assets

from nodisk.classes import accounts, record
from nodisk.conformance.program import Folder
from nodisk.kube.client import Client
from nodisk.storage import volumes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.api)
            # httpcore2 leaves the socket of a refused unix connection to the garbage collector
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket.*family=1:ResourceWarning"))


@pytest.fixture(scope="session")
def release_bin() -> Path:
    return binaries()


@pytest.fixture(scope="package")
def plane(release_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path_factory.mktemp("plane"), release_bin)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def built() -> Folder:
    """Kubernetes' own suite, as nodisk builds it; it is compiled where the store has none."""
    named = os.environ.get("NODISK_TEST_SUITE")
    return Folder(Path(named)) if named else assets.conformance_suite()


@pytest.fixture
def client(plane: ControlPlane) -> Iterator[Client]:
    with plane.client() as made:
        yield made


@pytest.fixture
def no_class_is_left(plane: ControlPlane, client: Client) -> Iterator[None]:
    """After a test, its classes and their storage's records are gone (which takes seconds: see ``forgotten``)."""
    yield
    for found in record.load_all(plane.lab_state):
        accounts.delete(client, found, nullcontext([]))
        record.forget(plane.lab_state, found.name)
    for path in volumes.folder(plane.lab_state).glob("*.json"):
        path.unlink()


@pytest.fixture(scope="package")
def undertaker(plane: ControlPlane) -> Iterator[Callable[[record.Class], None]]:
    """Deletes classes while other tests run: the API server takes six seconds to let a namespace go."""
    with plane.client() as made, ThreadPoolExecutor(2) as pool:
        jobs: list[Future[object]] = []

        def bury(found: record.Class) -> None:
            # What all classes share is not this one's to delete: another test uses it by now.
            jobs.append(pool.submit(accounts.delete, made, found, nullcontext([found])))

        yield bury
        for job in jobs:
            job.result()


@pytest.fixture
def forgotten(plane: ControlPlane, undertaker: Callable[[record.Class], None]) -> Iterator[None]:
    """After a test whose classes have names that no other uses: nodisk knows them no more, and they are going."""
    yield
    for found in record.load_all(plane.lab_state):
        record.forget(plane.lab_state, found.name)
        undertaker(found)
