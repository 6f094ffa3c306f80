"""``nodisk render`` on a real store, PKI and database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nodisk.assets import built
from nodisk.assets.release import ReleaseImage, facts_to_json
from nodisk.assets.store import Manifest, Store
from nodisk.commands.plan import render
from nodisk.errors import EnvironmentProblem, SpecError, UsageError
from nodisk.pki.authority import Authority
from nodisk.plan import daemons_files, ignition, show
from nodisk.plan.facts import ContainerImage
from nodisk.records import host
from nodisk.records.database import Database
from nodisk.spec.load import load, parse
from nodisk.state import State

LAB = """
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}
  - {name: w1, mac: "52:54:00:00:00:02", address: 10.77.0.21, taints: [{key: seat, value: "7", effect: NoSchedule}]}
"""


def add(state: State, kind: str, names: list[str], facts: dict[str, object]) -> Manifest:
    store = Store(state)
    with store.workspace() as folder:
        content = {name: folder / name for name in names}
        for name, path in content.items():
            path.write_text(f"{kind} {name}")
        return store.add(kind, name=kind, version="1.36.1", inputs={"kind": kind}, content=content, facts=facts)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with lab.yaml and a state in which everything is built."""
    (tmp_path / "lab.yaml").write_text(LAB)
    state = State(tmp_path / "state")
    image = {"kernel_version": "6.12.0", "rootfs_unpacked": 9, "containerd": "1.7.24"}
    api = ReleaseImage(ContainerImage.of("registry.k8s.io/kube-apiserver:v1.36.1", 100), "api.tar")
    made = {
        "image": add(state, "image", ["vmlinuz", "initramfs", "root.squashfs"], image),
        "release": add(state, "release", ["kubectl", "kubeadm", "api.tar"], facts_to_json("path", [api])),
        "ipxe": add(state, "ipxe", ["undionly.kpxe"], {}),
        "containers": add(state, "containers", ["echo.tar"], facts_to_json("nodisk", [])),
    }
    built.record(state, load(tmp_path / "lab.yaml"), made, why="a test")
    return tmp_path


def call(room: Path, *words: str) -> Result:
    where = ["--lab", str(room / "lab.yaml"), "--state", str(room / "state")]
    return CliRunner().invoke(render, [*words, *where])


def test_all_texts(room: Path) -> None:
    result = call(room, "w1")
    assert result.exit_code == 0, result.output
    for part in ("script", "cmdline", "ignition", "daemons"):
        assert f"##### {part}\n" in result.output
    assert "===== file /etc/hostname (mode 0644, replaces what is there)\nw1\n" in result.output
    assert "nodisk.nonce" not in result.output


def test_grubs_script_where_lab_yaml_wants_shim(room: Path) -> None:
    refused = call(room, "w1", "--what", "grub")
    assert isinstance(refused.exception, UsageError)
    assert "w1 gets iPXE, not GRUB" in str(refused.exception)
    file, state = room / "lab.yaml", State(room / "state")
    file.write_text(LAB + "secure_boot: true\n")
    made = built.manifests(state, parse(LAB, file=file)) | {"shim": add(state, "shim", ["shimx64.efi"], {})}
    built.record(state, load(file), made, why="a test")
    assert call(room, "w1", "--what", "grub").output.startswith("function nodisk_boot {\n")
    assert "##### grub\n" in call(room, "w1").output


def test_nothing_is_written(room: Path) -> None:
    before = sorted(room.rglob("*"))
    shown = call(room, "w1", "--what", "ignition").output
    assert (
        "/etc/nodisk/ca.crt (mode 0644, replaces what is there)\n(the certificate of the server's CA: nodisk" in shown
    )
    call(room, "w1", "--output", "json")
    call(room, "w1", "--diff")
    assert sorted(room.rglob("*")) == before


def test_the_server_s_ca_as_soon_as_there_is_one(room: Path) -> None:
    authority = Authority(State(room / "state").lab("room"), load(room / "lab.yaml"))
    authority.ensure()
    assert f"/etc/nodisk/ca.crt (mode 0644, replaces what is there)\n{authority.ca_pem}" in call(room, "w1").output


def test_json_is_what_is_served(room: Path) -> None:
    texts = json.loads(call(room, "w1", "--what", "ignition", "--output", "json").output)["texts"]
    assert list(texts) == ["ignition"]
    assert json.loads(texts["ignition"])["ignition"] == {"version": ignition.SPEC}


def test_diff_against_the_last_boot(room: Path) -> None:
    assert isinstance(call(room, "w1", "--diff").exception, EnvironmentProblem)
    lab = load(room / "lab.yaml")
    texts = json.loads(call(room, "w1", "--output", "json").output)["texts"]
    with Database(State(room / "state").lab("room").database) as database:
        database.serve(lab.machines[1].mac, texts)
    (room / "lab.yaml").write_text(LAB.replace('"7"', '"8"'))
    changes = json.loads(call(room, "w1", "--diff", "--output", "json").output)["changed"]["ignition"].splitlines()
    changed = [line for line in changes if line.startswith(("-", "+")) and not line.startswith(("---", "+++"))]
    assert len(changed) == 2
    assert 'value: "7"' in changed[0]
    assert 'value: "8"' in changed[1]


def test_daemons(room: Path) -> None:
    shown = call(room, "w1", "--what", "daemons").output
    assert shown.startswith("===== lines that name w1\n")
    assert "dhcp-host=52:54:00:00:00:02,10.77.0.21,w1.,12h" in shown.partition("=====")[2].partition("===== ")[0]
    assert "===== nginx.conf\n" in shown
    value = json.loads(call(room, "w1", "--what", "daemons", "--output", "json").output)
    assert set(value["texts"]) >= {"dnsmasq.conf", "nginx.conf", "etcd.yaml", "registry.yaml", "chrony.conf"}
    for name, lines in value["naming"].items():
        for number, line in lines:
            assert value["texts"][name].splitlines()[number - 1].strip() == line
    assert [line for _, line in value["naming"]["dnsmasq.conf"]] == [
        "host-record=w1.,w1.room.internal.,10.77.0.21",
        "dhcp-host=52:54:00:00:00:02,10.77.0.21,w1.,12h",
    ]
    assert value["naming"]["nginx.conf"] == [], "nginx balances over the control plane only"
    of_cp1 = json.loads(call(room, "cp1", "--output", "json").output)["naming"]["nginx.conf"]
    assert [line for _, line in of_cp1] == ["server 10.77.0.11:6443 max_fails=1 fail_timeout=2s;"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("host-record=w1.,w1.room.internal.,10.77.0.21", True),
        ("server 10.77.0.21:6443;", True),
        ("dhcp-host=52:54:00:00:00:02,10.77.0.99", True),
        ("host-record=w1-old,10.77.0.99", False),
        ("host-record=w11,10.77.0.210", False),
        ("allow 110.77.0.21", False),
        ("allow 10.77.0.21.7", False),
        ("data-dir: /var/lib/nodisk/labs/w1/etcd", False),
    ],
)
def test_lines_that_name_a_machine(room: Path, line: str, named: bool) -> None:
    machine = load(room / "lab.yaml").machine("w1")
    assert machine
    assert list(show.naming(machine, f"first\n  {line}\n")) == ([(2, line)] if named else [])


def test_daemons_as_the_server_s_host_has_them(room: Path) -> None:
    """Not with the names that lab.yaml alone would give: so a difference is one that was made."""
    lab, state = load(room / "lab.yaml"), State(room / "state").lab("room")
    found = replace(daemons_files.usual_host(lab, state.root, state.state.assets), interface="enp7s0", dns_user="dns")
    host.write(found, state.host)
    assert host.read(state.host) == found
    text = call(room, "w1", "--what", "daemons").output
    assert "interface=enp7s0\n" in text
    assert "user=dns\n" in text
    state.host.write_text('{"interface": "x"}')  # of another version
    assert host.read(state.host) is None
    assert "interface=INTERFACE\n" in call(room, "w1", "--what", "daemons").output


def test_diff_covers_daemons(room: Path) -> None:
    lab = load(room / "lab.yaml")
    texts = json.loads(call(room, "w1", "--output", "json").output)["texts"]
    with Database(State(room / "state").lab("room").database) as database:
        database.serve(lab.machines[1].mac, texts)
    assert call(room, "w1", "--diff").output == "No changes since w1 last booted.\n"
    (room / "lab.yaml").write_text(LAB.replace("10.77.0.11", "10.77.0.12"))
    shown = call(room, "w1", "--diff", "--what", "daemons").output
    assert shown.startswith("##### dnsmasq.conf\n--- dnsmasq.conf as last booted\n")
    assert "\n-        server 10.77.0.11:6443 max_fails=1 fail_timeout=2s;\n" in shown
    assert "\n+        server 10.77.0.12:6443 max_fails=1 fail_timeout=2s;\n" in shown
    assert "ignition" not in shown
    assert "chrony" not in shown


def test_unknown_machine(room: Path) -> None:
    error = call(room, "w9").exception
    assert isinstance(error, UsageError)
    assert error.hint == "did you mean w1?"


@pytest.mark.parametrize(
    ("part", "line", "said"),
    [
        ("storage:\n    disks: [{device: /dev/sda}]", 11, "storage.disks: a diskless machine's disks are not"),
        ("storage:\n    luks: [{name: x, device: /dev/sda}]", 11, "storage.luks: a diskless machine's disks are not"),
        (
            "boot_device: {layout: x86_64, mirror: {devices: [/dev/sda, /dev/sdb]}}",
            10,
            "storage.raid: a diskless machine's disks are not partitioned",
        ),
        ("kernel_arguments:\n    should_exist: [quiet]", 10, "kernel_arguments: the kernel's command line is nodisk's"),
        (
            "storage:\n    files: [{path: /etc/motd, contents: {local: motd}}]",
            11,
            "$.storage.files.0.contents.local: a snippet in lab.yaml can't embed a file or folder of this host; write",
        ),
        (
            "storage:\n    trees: [{local: files}]",
            11,
            "$.storage.trees.0: a snippet in lab.yaml can't embed a file or folder of this host; write",
        ),
    ],
)
def test_what_a_snippet_asks_for_in_vain(room: Path, part: str, line: int, said: str) -> None:
    (room / "lab.yaml").write_text(LAB + f"butane: |\n  variant: fcos\n  version: 1.4.0\n  {part}\n")
    error = call(room, "w1").exception
    assert isinstance(error, SpecError)
    assert f"{room}/lab.yaml:{line}: butane: {said}" in error.message
    assert "files-dir" not in error.message
