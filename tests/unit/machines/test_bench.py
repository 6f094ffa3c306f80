"""The labs that ``nodisk lab bench`` makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nodisk.assets import built
from nodisk.machines import bench
from nodisk.plan.facts import AssetRef, ReleaseFacts
from nodisk.spec.load import parse
from nodisk.spec.model import Source
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
    settled = bench._settled(parse(LAB, file=tmp_path / "lab.yaml"), State(tmp_path))
    text = json.dumps(settled.model_dump(mode="json", exclude_defaults=True))
    again = parse(text, file=tmp_path / "lab.yaml").kubernetes
    assert (again.source, again.version) == (Source(source), release.version)


def test_what_lab_yaml_names_stays(tmp_path: Path) -> None:
    lab = parse(LAB + "kubernetes: {source: debian}\n", file=tmp_path / "lab.yaml")
    assert bench._settled(lab, State(tmp_path)) is lab
