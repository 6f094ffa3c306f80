"""The labs that ``nodisk lab bench`` makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nodisk import files
from nodisk.assets import build, built
from nodisk.bench import boots, temporary
from nodisk.errors import Busy, UsageError
from nodisk.machines.virtual import Virtual
from nodisk.plan.facts import AssetRef, ReleaseFacts
from nodisk.spec.load import parse
from nodisk.spec.model_kubernetes import Source
from nodisk.state import State
from nodisk.values import KubeVersion

LAB = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines: [{name: cp1, mac: "52:54:00:77:00:0b", address: 10.77.0.11, role: control-plane}]
"""


@pytest.mark.parametrize(("source", "version"), [("debian", "1.20.2"), ("upstream", "1.36.1")])
def test_both_labs_have_the_release_that_was_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, version: str
) -> None:
    release = ReleaseFacts(KubeVersion.parse(version), source, (), AssetRef("kubeadm", "0" * 64, 1))
    monkeypatch.setattr(built, "facts", lambda *_: (None, release))
    settled = temporary.settled(parse(LAB, file=tmp_path / "lab.yaml"), State(tmp_path))
    text = json.dumps(settled.model_dump(mode="json", exclude_defaults=True))
    again = parse(text, file=tmp_path / "lab.yaml").kubernetes
    assert (again.source, again.version) == (Source(source), release.version)


def test_what_lab_yaml_names_stays(tmp_path: Path) -> None:
    lab = parse(LAB + "kubernetes: {source: debian}\n", file=tmp_path / "lab.yaml")
    assert temporary.settled(lab, State(tmp_path)) is lab


@pytest.mark.parametrize("name", ["room-floor", "room-bench"])
def test_a_lab_of_the_users_with_such_a_name_stays(tmp_path: Path, name: str) -> None:
    state = State(tmp_path)
    (state.lab(name).root / "etcd").mkdir(parents=True)
    with pytest.raises(UsageError, match=f"is the state of a lab {name}"):
        boots.measure(parse(LAB, file=tmp_path / "lab.yaml"), state, within=1)
    assert (state.lab(name).root / "etcd").exists()


def test_two_benches_of_one_lab(tmp_path: Path) -> None:
    state = State(tmp_path)
    with files.lock(state.lab("room").root / "bench.lock", "it"), pytest.raises(Busy, match="nodisk lab bench of room"):
        boots.measure(parse(LAB, file=tmp_path / "lab.yaml"), state, within=1)


def test_what_a_killed_bench_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it makes now bears the mark, so that the next may remove it."""
    state = State(tmp_path)
    left = state.lab("room-floor").root
    files.write(left / "made-by-lab-bench", "")
    files.write(left / "etcd" / "old", "")
    for step in ("check", "start"):
        monkeypatch.setattr(Virtual, step, lambda *_: None)
    monkeypatch.setattr(build, "build", lambda *_, **__: None)
    with temporary.lab(temporary.like(parse(LAB, file=tmp_path / "lab.yaml"), "floor"), state) as virtual:
        assert virtual.state.root == left
        assert (left / "made-by-lab-bench").exists()
        assert not (left / "etcd").exists()
    assert not left.exists()
