"""``kubernetes: {engine: none}``: a machine boots to plain Debian, nodisk calls it ready, and Ansible works on it.

In a virtual lab without a gateway no machine reaches a Debian mirror: the package that the play installs is made here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver, lab_of_its_own

from nodisk.assets import built
from nodisk.errors import NoCluster
from nodisk.records import running

pytestmark = [pytest.mark.vm, pytest.mark.apart]

LAB = """\
name: vmtest-plain
network: {subnet: 10.92.0.0/24, server: 10.92.0.1}
kubernetes: {engine: none}
os: {kernel: cloud}
machines:
  - {name: p1, mac: "52:54:00:92:00:15", address: 10.92.0.21, memory: 1GiB}
"""
PLAY = """\
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Bring the package
      ansible.builtin.copy: {src: greeting.deb, dest: /var/tmp/greeting.deb, mode: "0644"}
    - name: Install it
      ansible.builtin.apt: {deb: /var/tmp/greeting.deb}
    - name: Run what it brought
      ansible.builtin.command: greeting
      register: said
      changed_when: false
    - name: See that it ran there
      ansible.builtin.assert: {that: said.stdout == "hello from " ~ inventory_hostname}
"""
CONTROL = """\
Package: greeting
Version: 1.0
Architecture: all
Maintainer: nodisk's tests <nobody@example.org>
Description: says where it runs
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """The lab, up, with what ``lab up`` printed in ``up.log`` beside lab.yaml."""
    with lab_of_its_own(tmp_path_factory.mktemp("plain"), LAB) as driver:
        done = driver("lab", "up", "--within", str(BOOT_WITHIN), timeout=BOOT_WITHIN + 1500)
        driver.file.with_name("up.log").write_text(done.stdout + done.stderr)
        yield driver


@pytest.fixture
def ansible(plain: Driver, tmp_path: Path) -> list[str]:
    """Arguments that every Ansible program gets; its inventory is ``nodisk inventory``, its files are in tmp_path."""
    room = tmp_path / "room"
    room.write_text(f'#!/bin/sh\nexec {sys.executable} -m nodisk inventory --lab {plain.file} "$@"\n')
    room.chmod(0o755)
    return ["--inventory", str(room), "--timeout", "120"]


def run(words: list[str], folder: Path) -> str:
    """What a program of Ansible prints; fails the test if it fails."""
    env = {**os.environ, "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(words, cwd=folder, env=env, text=True, capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_it_is_ready_without_a_cluster(plain: Driver) -> None:
    status = plain.status()
    machine = status["machines"]["p1"]
    assert (status["api"], status["counts"]["ready"]) == ("none", 1)
    assert (machine["stage"], machine["node"], machine["certificates_expire"]) == ("ready", "none", None)
    assert list(machine["stages"]) == ["dhcp", "ipxe", "kernel", "rootfs", "config", "os", "enrolled", "ready"]
    assert machine["ram"]["available"] > 400
    printed = plain.file.with_name("up.log").read_text()
    assert "nodisk inventory --list" in printed
    assert "kubectl" not in printed


def test_server_and_machine_run_nothing_of_kubernetes(plain: Driver) -> None:
    context = plain.context()
    ready = running.ready(context.state)
    assert ready is not None
    assert set(ready.daemons) == {"nginx", "dnsmasq", "chronyd"}
    assert set(built.manifests(context.state.state, context.lab)) == {"image", "ipxe"}
    looks = "systemctl --failed --no-legend; command -v kubelet containerd kube-proxy; findmnt -no FSTYPE /; true"
    assert plain("ssh", "p1", looks).stdout.split() == ["overlay"]
    assert plain("kubectl", "get", "nodes", check=False).returncode == NoCluster.exit_code


def test_ansible_pings_and_gathers_facts(ansible: list[str], tmp_path: Path) -> None:
    assert '"ping": "pong"' in run(["ansible", "all", *ansible, "-m", "ping"], tmp_path)
    run(["ansible", "all", *ansible, "-m", "setup", "--tree", str(tmp_path / "facts")], tmp_path)
    facts = json.loads((tmp_path / "facts/p1").read_text())["ansible_facts"]
    told = [facts[f"ansible_{name}"] for name in ("hostname", "distribution", "pkg_mgr")]
    assert told == ["p1", "Debian", "apt"]
    assert facts["ansible_eth0"]["ipv4"]["address"] == "10.92.0.21"


def test_a_playbook_installs_a_package(ansible: list[str], tmp_path: Path) -> None:
    root = tmp_path / "greeting"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(CONTROL)
    program = root / "usr/bin/greeting"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "hello from $(cat /etc/hostname)"\n')
    program.chmod(0o755)
    build = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(tmp_path / "greeting.deb")]
    subprocess.run(build, check=True, capture_output=True)
    (tmp_path / "play.yaml").write_text(PLAY)
    first, second = (run(["ansible-playbook", *ansible, "play.yaml"], tmp_path) for _ in range(2))
    assert "changed=2" in first
    assert "changed=0" in second


def test_the_room_is_on_already(plain: Driver) -> None:
    """``room on`` finds a machine that is ready and answers, without an API to ask, and proves no cluster."""
    told = json.loads(plain("room", "on", "--for", "5m", "--output", "json").stdout)
    assert (told["ready"], told["missing"]) == (["p1"], {})
