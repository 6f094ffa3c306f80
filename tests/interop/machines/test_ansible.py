"""Debian's Ansible reads the room from ``nodisk inventory``, as the how-to says."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from tests.interop.plan.test_readers import ODD

from nodisk import run
from nodisk.machines.inventory import Format

pytestmark = pytest.mark.interop


def room(folder: Path, names: list[str], kind: Format) -> Path:
    """An executable inventory of a lab of these machines."""
    lines = ["name: room", "network: {subnet: 10.77.0.0/24, server: 10.77.0.1}", "machines:"]
    for number, name in enumerate(names):
        role = "control-plane" if number == 0 else "worker"
        bare = '"null"' if name == "null" else name
        lines.append(f"- {{name: {bare}, mac: 525400770{number:03x}, address: 10.77.0.{number + 11}, role: {role}}}")
    lab = folder / "lab.yaml"
    lab.write_text("\n".join(lines) + "\n")
    words = f"{sys.executable} -m nodisk inventory --lab {lab} --state {folder / 'state'} --format {kind}"
    script = folder / "room"
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    script.chmod(0o755)
    return script


def ansible_inventory(script: Path, *words: str) -> str:
    env = {**os.environ, "ANSIBLE_LOCAL_TEMP": str(script.parent / "tmp"), "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1"}
    done = run.run(["ansible-inventory", "--inventory", script, *words], env=env, timeout=120)
    assert "WARNING" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", list(Format))
def test_ansible_reads_every_name(tmp_path: Path, kind: Format) -> None:
    names = ["cp1", *ODD]
    read = json.loads(ansible_inventory(room(tmp_path, names, kind), "--list"))
    assert set(read["_meta"]["hostvars"]) == set(names)
    assert read["_meta"]["hostvars"]["08"]["ansible_host"] == f"10.77.0.{names.index('08') + 11}"
    workers = read["workers" if kind is Format.ANSIBLE else "kube_node"]["hosts"]
    assert sorted(workers) == sorted(ODD)


def test_the_graph_has_kubesprays_groups(tmp_path: Path) -> None:
    graph = ansible_inventory(room(tmp_path, ["cp1", "w1"], Format.KUBESPRAY), "--graph")
    assert "  |--@etcd:\n  |  |--cp1\n" in graph
    cluster = graph[graph.index("  |--@k8s_cluster:") :]
    assert "  |  |--@kube_control_plane:\n  |  |  |--cp1\n" in cluster
    assert "  |  |--@kube_node:\n  |  |  |--w1\n" in cluster
