"""Records of volumes, without a server: who gets which, what grows, what comes back."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodisk.classes import homes, plan, sizes
from nodisk.classes.roster import Person
from nodisk.errors import EnvironmentProblem, IntegrityError, TimedOut, UsageError
from nodisk.state import LabState, State
from nodisk.storage import filesystem, volumes
from nodisk.storage.volumes import MIB, Report

OWNERS = {"id:1": "k8s-jan", "id:2": "k8s-ewa"}


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    return State(tmp_path).lab("room")


def test_a_volume_each_with_a_path_nobody_can_guess(state: LabState) -> None:
    made = volumes.ensure(state, "k8s", OWNERS, 64 * MIB)
    assert [volume.name for volume in made.values()] == ["k8s-jan-1", "k8s-ewa-2"]
    paths = {volume.path for volume in made.values()}
    assert len(paths) == 2
    assert all(len(path) == 32 and int(path, 16) >= 0 for path in paths)
    assert volumes.ensure(state, "k8s", OWNERS, 64 * MIB) == made
    assert volumes.load_all(state) == list(made.values())
    assert volumes.folder(state).stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in volumes.folder(state).glob("*.json"))
    # A student of the same key in another class is somebody else.
    other = volumes.ensure(state, "net", {"id:1": "net-jan"}, 64 * MIB)
    assert other["id:1"].name == "net-jan-3"


def test_growing_keeping_and_coming_back(state: LabState) -> None:
    made = volumes.ensure(state, "k8s", OWNERS, 64 * MIB)
    grown = volumes.ensure(state, "k8s", OWNERS, 128 * MIB)
    assert {volume.size for volume in grown.values()} == {128 * MIB}
    assert [volume.path for volume in grown.values()] == [volume.path for volume in made.values()]
    with pytest.raises(UsageError, match="a volume can't shrink"):
        volumes.ensure(state, "k8s", OWNERS, 64 * MIB)
    volumes.release(state, [grown["id:1"]], keep=True)
    volumes.release(state, [grown["id:2"]], keep=False)
    assert {key: volume.state for key, volume in volumes.of_class(state, "k8s").items()} == {"id:1": "kept"}
    back = volumes.ensure(state, "k8s", OWNERS, 128 * MIB)
    assert back["id:1"].name == "k8s-jan-1"
    assert back["id:1"].path != made["id:1"].path
    assert back["id:2"].name == "k8s-ewa-3"  # the removed one is still to be deleted


def test_waiting_for_the_server(state: LabState) -> None:
    made = volumes.ensure(state, "k8s", {"id:1": "k8s-jan"}, 64 * MIB).values()
    with pytest.raises(TimedOut, match="has not served k8s-jan-1"):
        volumes.wait(state, made, seconds=0)
    volumes.write_report(state, Report({}, {"": "ganesha.nfsd is missing"}))
    with pytest.raises(EnvironmentProblem, match="is missing"):
        volumes.wait(state, made, seconds=0)
    volumes.write_report(state, Report({"k8s-jan-1": 32 * MIB}, {}))
    with pytest.raises(TimedOut):  # it has not grown yet
        volumes.wait(state, made, seconds=0)
    volumes.write_report(state, Report({"k8s-jan-1": 64 * MIB}, {"k8s-ewa-2": "broken"}))
    volumes.wait(state, made, seconds=0)


def test_a_damaged_record_is_named(state: LabState) -> None:
    volumes.ensure(state, "k8s", {"id:1": "k8s-jan"}, 64 * MIB)
    (volumes.folder(state) / "k8s-jan-1.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"k8s-jan-1\.json is damaged"):
        volumes.load_all(state)


def test_the_arithmetic_of_the_disk(state: LabState) -> None:
    found = plan.merge(
        None,
        [Person("a"), Person("b"), Person("c")],
        name="k8s",
        now=datetime(2026, 11, 1, tzinfo=UTC),
        size=sizes.find("small"),
        role="edit",
        storage="2Gi",
    ).record
    room = homes.room(state, found)
    assert room is not None
    assert room.needed == 3 * filesystem.file_size(2048 * MIB)
    volumes.ensure(state, "net", {"x": "net-x"}, 1024 * MIB)
    more = homes.room(state, found)
    assert more is not None
    assert more.needed == room.needed + filesystem.file_size(1024 * MIB)
    huge = found.model_copy(update={"storage": "1000Ti"})
    none = found.model_copy(update={"storage": None})
    full = homes.room(state, huge)
    assert full is not None
    with pytest.raises(UsageError, match=r"3 × 1024000\.0 GiB"):
        full.refuse()
    assert homes.room(state, none) is None


@pytest.mark.parametrize(("text", "why"), [("1Mi", "use at least 16Mi"), ("much", "not a quantity"), ("-2Gi", "not a")])
def test_sizes_that_are_none(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        homes.size_of(text)
