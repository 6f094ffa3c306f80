"""Snippets of lab.yaml in a machine's Ignition: merged in order, refused where they clash with nodisk's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodisk.errors import SpecError
from nodisk.plan import snippets
from nodisk.spec.load import load
from nodisk.spec.model import Lab

BASE: dict[str, Any] = {
    "ignition": {"version": "3.3.0"},
    "passwd": {"users": [{"name": "admin", "shell": "/bin/bash", "sshAuthorizedKeys": ["ssh-ed25519 A"]}]},
    "storage": {"files": [{"path": "/etc/hostname", "contents": {"source": "data:,w1"}, "mode": 420}]},
    "systemd": {"units": [{"name": "containerd.service", "dropins": [{"name": "nodisk.conf", "contents": "[Unit]"}]}]},
}

LAB = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
butane: |
  variant: fcos
  version: 1.4.0
  storage:
    files:
      - path: /etc/motd
        mode: 0644
        contents: {inline: lab}
roles:
  worker:
    butane: |
      variant: fcos
      version: 1.4.0
      storage:
        files:
          - path: /etc/motd
            contents: {inline: worker}
machines:
  - {name: cp1, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}
  - name: w1
    mac: "52:54:00:00:00:02"
    address: 10.77.0.12
    butane: |
      variant: fcos
      version: 1.2.0
      passwd:
        users:
          - name: admin
            ssh_authorized_keys: [ssh-ed25519 B]
      systemd:
        units:
          - name: containerd.service
            dropins:
              - {name: mine.conf, contents: "[Service]"}
"""


def lab(tmp_path: Path, text: str) -> Lab:
    (tmp_path / "lab.yaml").write_text(text)
    return load(tmp_path / "lab.yaml")


def test_without_snippets_nothing_changes(tmp_path: Path) -> None:
    room = lab(
        tmp_path,
        LAB.partition("butane")[0]
        + LAB[LAB.index("machines:") : LAB.index("    butane: |\n      variant: fcos\n      version: 1.2.0")],
    )
    assert snippets.apply(room, room.machines[1], BASE) == BASE


def test_lab_role_and_machine_are_merged_in_this_order(tmp_path: Path) -> None:
    room = lab(tmp_path, LAB)
    config = snippets.apply(room, room.machines[1], BASE)
    assert config["ignition"] == {"version": "3.3.0"}
    assert config["storage"]["files"] == [
        {"path": "/etc/hostname", "contents": {"source": "data:,w1"}, "mode": 420},
        {"path": "/etc/motd", "contents": {"compression": "", "source": "data:,worker"}, "mode": 420},
    ]
    assert config["passwd"]["users"][0]["sshAuthorizedKeys"] == ["ssh-ed25519 A", "ssh-ed25519 B"]
    assert [one["name"] for one in config["systemd"]["units"][0]["dropins"]] == ["nodisk.conf", "mine.conf"]


def test_the_control_plane_gets_only_what_is_its_own(tmp_path: Path) -> None:
    room = lab(tmp_path, LAB)
    config = snippets.apply(room, room.machines[0], BASE)
    assert config["storage"]["files"][1]["contents"]["source"] == "data:,lab"
    assert config["systemd"] == BASE["systemd"]


@pytest.mark.parametrize(
    ("snippet", "said"),
    [
        ("storage: {files: [{path: /etc/hostname, contents: {inline: x}}]}", "file /etc/hostname: nodisk's own"),
        ("storage: {links: [{path: /etc/hostname, target: /x}]}", "sets now a link too"),
        (
            "passwd: {users: [{name: admin, shell: /bin/sh}]}",
            "user admin: nodisk's own Ignition for this machine sets shell",
        ),
        (
            "systemd: {units: [{name: containerd.service, dropins: [{name: nodisk.conf, contents: '[Service]'}]}]}",
            "drop-in containerd.service nodisk.conf",
        ),
    ],
)
def test_a_clash_names_both(tmp_path: Path, snippet: str, said: str) -> None:
    text = LAB.replace(
        "  storage:\n    files:\n      - path: /etc/motd\n        mode: 0644\n        contents: {inline: lab}\n",
        f"  {snippet}\n",
    )
    room = lab(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        snippets.apply(room, room.machines[0], BASE, where=snippets.in_file(tmp_path / "lab.yaml"))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/lab.yaml:3: butane: ")


def test_every_problem_with_its_line(tmp_path: Path) -> None:
    text = LAB.replace("mode: 0644", "mode: 99999").replace(
        "          - path: /etc/motd", "          - path: etc/motd\n            mdoe: 0644"
    )
    room = lab(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        snippets.apply(room, room.machines[1], BASE, where=snippets.in_file(tmp_path / "lab.yaml"))
    lines = str(caught.value).splitlines()
    assert f"{tmp_path}/lab.yaml:9: butane: $.storage.files.0.mode: illegal file mode" in lines
    assert f"{tmp_path}/lab.yaml:18: roles.worker.butane: $.storage.files.0.path: path not absolute" in lines
    assert f"{tmp_path}/lab.yaml:19: roles.worker.butane: $.storage.files.0.mdoe: unused key mdoe" in lines


def test_a_spec_that_the_machines_can_not_read(tmp_path: Path) -> None:
    room = lab(tmp_path, LAB.replace("version: 1.2.0", "version: 1.5.0"))
    with pytest.raises(SpecError, match=r"machines\[1\]\.butane: it needs Ignition 3\.4\.0, but .* up to 3\.3\.0"):
        snippets.apply(room, room.machines[1], BASE)


def test_what_only_the_sum_gets_wrong(tmp_path: Path) -> None:
    snippet = "storage: {links: [{path: /srv/a, target: /x}]}"
    text = LAB.replace(
        "  storage:\n    files:\n      - path: /etc/motd\n        mode: 0644\n        contents: {inline: lab}\n",
        f"  {snippet}\n",
    )
    text = text.replace("path: /etc/motd", "path: /srv/a/motd")
    room = lab(tmp_path, text)
    with pytest.raises(SpecError, match="file path includes link in config"):
        snippets.apply(room, room.machines[1], BASE)
