"""Which release a build takes: never another one than before without being told, never Debian's for an official one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.waits import LONG

from nodisk.assets import build, built, progress, release_upstream
from nodisk.assets.release import facts_to_json
from nodisk.assets.store import Manifest, Store
from nodisk.assets.work import Work
from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.values import KubeVersion


def lab(os: dict[str, Any] | None = None, **kubernetes: Any) -> Lab:
    return Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "kubernetes": kubernetes,
            "os": os or {},
            "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
        }
    )


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A host that reaches nothing."""
    monkeypatch.setenv("NODISK_UPSTREAM_KUBERNETES", "http://127.0.0.1:1")
    return State(tmp_path / "state")


def stored(state: State, version: str, source: str = "upstream") -> Manifest:
    store = Store(state)
    with store.workspace() as folder:
        (folder / "kubectl").write_text(version)
        inputs = release_upstream.inputs(KubeVersion.parse(version))
        return store.add(
            "release",
            name="r",
            version=version,
            inputs=inputs | {"source": source},
            content={"kubectl": folder / "kubectl"},
            facts=facts_to_json(source, []),
        )


def recorded(state: State, version: str, source: str, what: Lab) -> None:
    made = stored(state, version, source)
    built.record(state, what, dict.fromkeys(built.KINDS, made), why="a test")


def choose(state: State, what: Lab, *, offline: bool = False, refresh: bool = False) -> str:
    work = Work(state, Store(state), progress.Board(None), offline, refresh)
    return str(asyncio.run(build.choose(work, what)).version)


def test_an_official_release_stays_when_only_the_image_changes(state: State) -> None:
    recorded(state, "1.36.1", "upstream", lab())
    for os in ({}, {"packages": ["htop"]}, {"kernel": "cloud"}):
        assert choose(state, lab(os)) == "1.36.1"
    assert choose(state, lab({"packages": ["htop"]}), offline=True) == "1.36.1"


@pytest.mark.parametrize("source", ["upstream", "path"])
@pytest.mark.parametrize("lost", [False, True])
def test_debians_never_takes_the_place_of_another_release(state: State, source: str, lost: bool) -> None:
    recorded(state, "1.36.1", source, lab(source="upstream", version="1.36"))
    if lost:
        (manifest,) = Store(state).manifests()
        Store(state).forget(manifest)
    for refresh in (False, True):
        with pytest.raises(EnvironmentProblem, match=r"built with Kubernetes 1\.36\.1") as caught:
            choose(state, lab(), refresh=refresh)
        assert "source: debian" in str(caught.value.hint)
    assert choose(state, lab(source="debian")) == "1.20.2"


def test_a_refresh_that_reaches_nothing_fails_and_names_the_release(state: State) -> None:
    recorded(state, "1.36.1", "upstream", lab())
    with pytest.raises(EnvironmentProblem, match=r"can't be reached.*1\.36\.1"):
        choose(state, lab(), refresh=True)


def test_a_lab_of_debians_release_goes_on_with_it(state: State) -> None:
    assert choose(state, lab()) == "1.20.2"
    recorded(state, "1.20.2", "debian", lab())
    assert choose(state, lab({"packages": ["htop"]})) == "1.20.2"
    assert choose(state, lab(), refresh=True) == "1.20.2"


def test_offline_the_store_is_looked_into(state: State) -> None:
    with pytest.raises(EnvironmentProblem, match="holds no official release"):
        choose(state, lab(source="upstream"), offline=True)
    for version in ("1.36.1", "1.36.10", "1.35.7", "1.99.0"):
        stored(state, version)
    assert choose(state, lab(source="upstream"), offline=True) == "1.36.10"
    assert choose(state, lab(), offline=True) == "1.36.10"
    assert choose(state, lab(version="1.35"), offline=True) == "1.35.7"
    assert choose(state, lab(version="1.36.1"), offline=True) == "1.36.1"
    with pytest.raises(EnvironmentProblem, match=r"no official release 1\.36\.2"):
        choose(state, lab(version="1.36.2"), offline=True)


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '"x"',
        "{}",
        '{"wishes": {}, "why": "", "assets": []}',
        '{"wishes": [], "why": "", "assets": {"image": "a", "release": "b", "ipxe": "c", "containers": "d"}}',
        '{"wishes": {}, "why": "", "assets": {"image": 1, "release": "b", "ipxe": "c", "containers": "d"}}',
    ],
)
def test_a_damaged_record_is_named_with_what_to_do(state: State, damage: str) -> None:
    path = state.lab("room").root / "built.json"
    path.parent.mkdir(parents=True)
    path.write_text(damage)
    for call in (
        lambda: choose(state, lab()),
        lambda: built.manifests(state, lab()),
        lambda: built.why(state, lab()),
        lambda: built.used(state),
    ):
        with pytest.raises(IntegrityError, match="is not a valid build record") as caught:
            call()
        assert f"rm {path}" in str(caught.value.hint)


def test_an_address_that_is_none_ends_with_a_sentence(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODISK_UPSTREAM_KUBERNETES", "http://[::1")
    with pytest.raises(NodiskError, match="is not a web server URL"):
        choose(state, lab())


def test_of_several_failures_nodisks_own_are_told_together() -> None:
    ours, theirs = NodiskError("ours", hint="do this"), OSError("theirs")
    assert build.root_cause({"ipxe": theirs, "release": ours, "image": ours}) is ours
    assert build.root_cause({"ipxe": theirs}) is theirs
    other = EnvironmentProblem("another", hint="do that")
    both = build.root_cause({"release": ours, "image": ours, "addons": other, "ipxe": theirs})
    assert isinstance(both, NodiskError)
    assert (both.message, both.hint, both.exit_code) == ("ours\nanother", "do this\ndo that", 1)
    same = build.root_cause({"release": other, "addons": EnvironmentProblem("a third")})
    assert isinstance(same, NodiskError)
    assert (same.exit_code, same.hint) == (4, "do that")


def test_what_is_well_goes_on_when_another_asset_cannot_be_had(state: State) -> None:
    """The slow one ends after the other has failed, and its result is there; the failure is told at once."""
    told: list[str] = []
    failed = asyncio.Event()

    class Told(progress.Board):
        def line(self, text: str) -> None:
            told.append(text)
            failed.set()

    async def slow() -> Manifest:
        await failed.wait()
        return stored(state, "1.36.1")

    async def broken() -> Manifest:
        raise EnvironmentProblem("no iPXE here", hint="a way round")

    async def go() -> None:
        work = Work(state, Store(state), Told(None))
        tasks = {"ipxe": asyncio.ensure_future(broken()), "release": asyncio.ensure_future(slow())}
        await build.all_of(work, tasks)

    with pytest.raises(EnvironmentProblem, match="no iPXE here"):
        asyncio.run(asyncio.wait_for(go(), LONG))
    assert told == ["ipxe failed; the other builds continue: no iPXE here"]
    assert [manifest.version for manifest in Store(state).manifests()] == ["1.36.1"]


def test_a_build_that_is_stopped_ends_everything_first(state: State) -> None:
    ended: list[str] = []

    async def endless(name: str) -> Manifest:
        try:
            return await asyncio.Future()
        finally:
            ended.append(name)

    async def go() -> None:
        work = Work(state, Store(state), progress.Board(None))
        tasks = {name: asyncio.ensure_future(endless(name)) for name in ("ipxe", "release")}
        whole = asyncio.ensure_future(build.all_of(work, tasks))
        await asyncio.sleep(0)
        whole.cancel()
        with pytest.raises(asyncio.CancelledError):
            await whole
        assert sorted(ended) == ["ipxe", "release"]

    asyncio.run(go())


def test_newer_than_proved_comes_on_request_and_with_a_word(state: State) -> None:
    stored(state, "1.37.2")
    with pytest.raises(EnvironmentProblem, match=r"only 1\.37\.2, newer than 1\.36") as caught:
        choose(state, lab(source="upstream"), offline=True)
    assert "kubernetes.version: 1.37" in str(caught.value.hint)
    work = Work(state, Store(state), progress.Board(None), offline=True)
    assert asyncio.run(build.choose(work, lab(version="1.37"))).why.endswith(
        "newer than 1.36, the newest line that nodisk has been proved with"
    )
    stored(state, "1.36.9")
    chosen = asyncio.run(build.choose(work, lab()))
    assert (str(chosen.version), "proved" in chosen.why) == ("1.36.9", False)
