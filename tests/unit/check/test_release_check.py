"""What `nodisk check` says of the release, the disk and Butane snippets: the same as the build and the server would."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.spec.labs import lab

from nodisk.assets import built, release_debian, release_upstream
from nodisk.assets.release import facts_to_json
from nodisk.assets.store import Store
from nodisk.check import release, snippets
from nodisk.check.findings import Finding, Level
from nodisk.spec.load import load, parse
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.values import KubeVersion

GIB = 1024**3


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A host that reaches nothing and has plenty of room."""
    monkeypatch.setenv("NODISK_UPSTREAM_KUBERNETES", "http://127.0.0.1:1")
    room(monkeypatch, 100)
    return State(tmp_path / "state")


def room(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, int(gib * GIB)))


def ask(state: State, what: Lab) -> dict[str, Finding]:
    return {finding.check: finding for finding in release.release_and_disk(state, what)}


def read(text: str) -> Lab:
    return parse(text, file="x")


def test_an_official_release_that_cannot_be_had_is_an_error(state: State) -> None:
    found = ask(state, read(lab(kubernetes="  source: upstream")))["release"]
    assert found.level is Level.ERROR
    assert "can't be reached" in found.message
    assert "kubernetes.source" in found.hint


def test_auto_says_what_it_comes_down_to(state: State) -> None:
    found = ask(state, read(lab()))["release"]
    assert found.level is Level.WARNING
    assert found.message.startswith("Kubernetes 1.20.2 from Debian's source (old")
    assert "can't be reached" in found.message
    assert ask(state, read(lab(kubernetes="  source: debian")))["release"].level is Level.OK
    assert not state.root.exists()


def test_a_release_that_was_built_is_told_with_its_reason(state: State) -> None:
    store, room_ = Store(state), read(lab())
    with store.workspace() as folder:
        (folder / "kubectl").write_text("x")
        made = store.add(
            "release",
            name="r",
            version="1.36.1",
            inputs=release_upstream.inputs(KubeVersion(1, 36, 1)),
            content={"kubectl": folder / "kubectl"},
            facts=facts_to_json("upstream", []),
        )
    built.record(state, room_, dict.fromkeys(built.KINDS, made), why="a test")
    found = ask(state, room_)
    assert (found["release"].level, found["disk"].level) == (Level.OK, Level.OK)
    assert found["release"].message.startswith("Kubernetes 1.36.1, the official release: as built before")
    assert "2 GiB needed to run" in found["disk"].message


def test_a_folder_of_the_users_is_read_whole(state: State, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(lab(kubernetes="  source: path\n  path: mine"))
    found = ask(state, load(file))["release"]
    assert found.level is Level.ERROR
    for program in ("kubeadm", "kubelet", "kubectl", "kube-proxy"):
        assert f"{tmp_path / 'mine/bin' / program} is missing" in found.message


def test_a_network_manifest_is_the_one_that_was_looked_at(state: State, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    own = f"  source: debian\n  network_manifest: {{path: own.yaml, sha256: {'a' * 64}}}"
    file.write_text(lab(kubernetes=own).replace("routed", "calico"))
    (tmp_path / "own.yaml").write_text("a: b\n")
    found = ask(state, load(file))["release"]
    assert found.level is Level.ERROR
    assert "has the hash" in found.message


@pytest.mark.parametrize(("gib", "level"), [(7.9, Level.ERROR), (8.1, Level.OK)])
def test_check_and_build_agree_on_the_room_to_compile(
    state: State, monkeypatch: pytest.MonkeyPatch, gib: float, level: Level
) -> None:
    room(monkeypatch, gib)
    assert release_debian.ROOM == 8 * GIB
    assert ask(state, read(lab(kubernetes="  source: debian")))["disk"].level is level


BUTANE = """butane: |
  variant: fcos
  version: {version}
  storage:
    files:
      - path: {path}
        contents: {{inline: mine}}
"""


@pytest.mark.parametrize(
    ("version", "path", "said"),
    [
        ("1.4.0", "/etc/motd", "1 snippet can be merged"),
        ("9.9.9", "/etc/motd", "lab.yaml:{line}: butane"),
        ("1.4.0", "/etc/hostname", "nodisk's own Ignition for this machine sets"),
        ("1.4.0", "etc/motd", "path not absolute"),
    ],
)
def test_snippets(state: State, tmp_path: Path, version: str, path: str, said: str) -> None:
    level = Level.OK if "can be merged" in said else Level.ERROR
    file = tmp_path / "lab.yaml"
    file.write_text(lab(top=BUTANE.format(version=version, path=path)))
    found = snippets.butane(state, load(file), file)
    line = file.read_text().splitlines().index("butane: |") + 1
    assert [finding.level for finding in found] == [level]
    assert said.format(line=line) in found[0].message


def test_without_snippets_there_is_nothing_to_look_at(state: State, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(lab())
    assert [finding.message for finding in snippets.butane(state, load(file), file)] == ["no snippets"]
