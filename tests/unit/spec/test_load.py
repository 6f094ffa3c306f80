"""lab.yaml as people write it: every problem at its line, all at once, in words; and no text breaks the reader."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.spec.labs import KEY, TEN_LINES, lab

from nodisk.errors import NodiskError, SpecError
from nodisk.spec.load import examine, load, parse
from nodisk.spec.model import DhcpMode
from nodisk.spec.model_kubernetes import Source
from nodisk.values import Role

ROOT = Path(__file__).parents[3]


def problems(text: str) -> list[str]:
    found = examine(text, file="lab.yaml")[1]
    return [problem.at("lab.yaml") for problem in found]


def test_ten_lines_are_a_lab() -> None:
    assert len(TEN_LINES.splitlines()) == 10
    read = parse(TEN_LINES, file="lab.yaml")
    assert [str(machine.mac) for machine in read.machines] == ["52:54:00:00:00:01", "52:54:00:00:00:02"]
    assert [machine.role for machine in read.machines] == [Role.CONTROL_PLANE, Role.WORKER]
    assert (read.network.dhcp, read.kubernetes.source) == (DhcpMode.FULL, Source.AUTO)


@pytest.mark.parametrize("name", ["virtual", "room"])
def test_examples(name: str) -> None:
    read = load(ROOT / "examples" / f"{name}.yaml")
    assert str(read.name) == name
    assert len(read.by_role(Role.CONTROL_PLANE)) == 1


def test_every_problem_at_once() -> None:
    text = """\
name: Room_1
netwrok: {}
network:
  subnet: 10.77.0.0/24
  server: 10.77.0.300
  dns: [1.1.1.1, 1.0.0.1, 8.8.8.8, 8.8.4.4]
kubernetes:
  source: debian
  version: 1.36
machines:
  - name: a
    mac: 01:00:5e:00:00:01
    address: 10.77.0.11
    rôle: worker
  - {name: a, mac: "52:54:00:00:00:01", address: 10.77.0.11}
  - {name: b, mac: "52:54:00:00:00:01", address: 10.78.0.11, role: master}
"""
    assert problems(text) == [
        (
            "lab.yaml:1:7: name: 'Room_1' is not a name: at most 63 lower-case letters, digits and hyphens, "
            "with a letter or digit first and last (RFC 1123)"
        ),
        "lab.yaml:2:1: netwrok: unknown key 'netwrok'; did you mean 'network'?",
        "lab.yaml:5:11: network.server: '10.77.0.300' is not an IPv4 address; write it as 10.77.0.1",
        "lab.yaml:6:36: network.dns[3]: 4 DNS servers: Linux asks only three; keep the three best",
        (
            "lab.yaml:9:12: kubernetes.version: Debian's source gives only 1.20.2, not 1.36; "
            "`version: 1.20.2`, or `source: upstream`"
        ),
        "lab.yaml:12:10: machines[0].mac: '01:00:5e:00:00:01' is a multicast address, which no NIC has",
        "lab.yaml:14:5: machines[0].rôle: unknown key 'rôle'; did you mean 'role'?",
        "lab.yaml:15:12: machines[1].name: the name a is also on line 11; every machine has its own name",
        (
            "lab.yaml:15:50: machines[1].address: the address 10.77.0.11 is also on line 13; "
            "every machine has its own address"
        ),
        "lab.yaml:16:20: machines[2].mac: the MAC 52:54:00:00:00:01 is also on line 15; every machine has its own MAC",
        (
            "lab.yaml:16:50: machines[2].address: 10.78.0.11 is outside the subnet 10.77.0.0/24; "
            "choose one in 10.77.0.1 … 10.77.0.254"
        ),
        "lab.yaml:16:68: machines[2].role: 'master' is not one of control-plane, worker; write `control-plane`",
    ]


NO_CONTROL_PLANE = "machines: no machine has the role control-plane; add `role: control-plane` to one"
NO_ROOM = "kubernetes.pods: 10.9.9.0/24 has room for 1 machines (a /24 each), but there are 2; a /23 or larger"


@pytest.mark.parametrize(
    ("machine", "also"),
    [
        ("mac: nonsense", [NO_CONTROL_PLANE, NO_ROOM]),
        ("memory: much", [NO_CONTROL_PLANE, NO_ROOM]),
        ("zzz: 1", [NO_CONTROL_PLANE, NO_ROOM]),
        ("labels: [a]", [NO_CONTROL_PLANE, NO_ROOM]),
        ("role: master", [NO_ROOM]),
        ("rolle: control-plane", [NO_ROOM]),
    ],
)
def test_a_bad_value_in_one_machine_hides_only_what_hangs_on_it(machine: str, also: list[str]) -> None:
    text = lab(kubernetes="  pods: 10.9.9.0/24", w1="name: w1, mac: 525400000002, address: 10.77.0.12, " + machine)
    if machine.startswith("mac"):
        text = text.replace("mac: 525400000002, ", "")
    found = [line.split(" ", 1)[1] for line in problems(text.replace("role: control-plane}", "role: worker}"))]
    assert set(also) <= set(found)
    assert len(found) == len(also) + 1, found


def test_a_machine_that_is_none_may_be_the_control_plane() -> None:
    found = problems(lab().replace("role: control-plane", "role: worker").replace("- {name: w1", "- a word #"))
    assert len(found) == 1
    assert "machines[1]: expected a mapping" in found[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # Structure
        ("", "lab.yaml:1:1: the file is empty; create"),
        ("# nothing\n", "the file is empty"),
        ("- a\n", "a lab is a mapping"),
        (TEN_LINES.replace("name: room\n", ""), "1:1: name: 'name' is missing; a name such as"),
        (
            "name: x\nmachines: [{name: a, mac: 525400000001, address: 10.0.0.1, role: control-plane}]\n",
            "1:1: network: 'network' is missing;",
        ),
        (
            "name: x\nnetwork: {subnet: 10.0.0.0/24, server: 10.0.0.1}\nmachines: []\n",
            "3:11: machines: there are no machines",
        ),
        (lab(top="name: again"), "the key 'name' is here twice, first on line 1; keep one"),
        (TEN_LINES.replace("    role", "\trole"), "7:1: a tab indents this line; YAML wants spaces"),
        (TEN_LINES + "name: [\n", "not YAML: "),
        (TEN_LINES + "os: {kernel: cloud}: x\n", "11:20: not YAML"),
        (TEN_LINES + "---\nname: b\n", "11:1: a second document starts here"),
        (
            TEN_LINES + "virtual: !!python/object/apply:os.system {cpu: id}\n",
            "the tag !!python/object/apply:os.system means",
        ),
        (TEN_LINES + "butane: *nowhere\n", "*nowhere stands for nothing above"),
        (TEN_LINES + "<<: {os: {}}\n", "merge keys are not supported; write the keys out"),
        (TEN_LINES + "? [a, b]\n: c\n", "a key must be a plain word"),
        (TEN_LINES + "virtual: \x01\n", "has no place in YAML"),
        # Keys and kinds
        (lab(top="gateway: 10.77.0.1"), "unknown key 'gateway'; it belongs under network"),
        (lab(machine="labls: {}"), "machines[0].labls: unknown key 'labls'; did you mean 'labels'?"),
        (lab(machine="zzz: 1"), "unknown key 'zzz'; known here: name, mac, address"),
        (lab(top="roles: {workers: {}}"), "roles.workers: 'workers' is not one of control-plane, worker; write `w"),
        (lab(top="roles: {worker: {butan: x}}"), "roles.worker.butan: unknown key 'butan'; did you mean 'butane'?"),
        (lab(network="  dns: 9.9.9.9"), "network.dns: expected a list, not '9.9.9.9'; write [9.9.9.9]"),
        (lab(top="os: trixie"), "os: expected a mapping (`key: value` lines), not 'trixie'"),
        (lab(top="butane: {a: b}"), "butane: expected a string, not a mapping"),
        (lab(machine="cpus: 0"), "machines[0].cpus: '0' is too small; at least 1"),
        (lab(machine="cpus: two"), "machines[0].cpus: 'two' is not a whole number"),
        (lab(machine="labels: {gpu: }"), 'labels.gpu: expected a string, not nothing; write "" for an empty one'),
        (lab(network="  dhcp: proxi"), "'proxi' is not one of full, proxy, none; did you mean 'proxy'?"),
        (lab(w1="name: w1, address: 10.77.0.12"), "machines[1].mac: 'mac' is missing; it is on the PC's label"),
        # Other tools' words
        (lab(network="  router: 10.77.0.9"), "network.router: unknown key 'router'; here it is called `gateway`"),
        (lab(network="  dns_servers: [9.9.9.9]"), "unknown key 'dns_servers'; here it is called `dns`"),
        (lab(network="  nameservers: {addresses: [9.9.9.9]}"), "'nameservers'; here it is called `dns`"),
        (lab(network="  netmask: 255.255.255.0"), "here it is called `subnet`, with its mask: 10.77.0.0/24"),
        (lab(network="  dhcp_range: a"), "unknown key 'dhcp_range'; there is no pool: every machine has its `address`"),
        (lab(network="  vlan: 7"), "unknown key 'vlan'; not set here: the port of the switch decides it"),
        (lab(network="  podCIDR: 10.1.0.0/16"), "'podCIDR'; it is called `pods` and belongs under kubernetes"),
        (lab(machine="gateway: 10.77.0.254"), "machines[0].gateway: unknown key 'gateway'; it belongs under network"),
        (lab(machine="netmask: 255.255.255.0"), "'netmask'; it is called `subnet` and belongs under network"),
        (lab(machine="vcpus: 2"), "machines[0].vcpus: unknown key 'vcpus'; here it is called `cpus`"),
        (lab(machine="ram: 2GiB"), "machines[0].ram: unknown key 'ram'; here it is called `memory`"),
        (lab(machine="disk: 20G"), "machines[0].disk: unknown key 'disk'; machines have no disk to boot from"),
        (lab(top="ssh_authorized_keys: []"), "unknown key 'ssh_authorized_keys'; here it is called `ssh_keys`"),
        (lab(top="router: 10.77.0.9"), "'router'; it is called `gateway` and belongs under network"),
        (lab(top="ip: 10.77.0.9"), "'ip'; it is `address` of a machine, under machines"),
        (lab(top="apiVersion: v1"), "unknown key 'apiVersion'; lab.yaml is no Kubernetes manifest"),
        (lab().replace("machines:", "nodes:"), "nodes: unknown key 'nodes'; here it is called `machines`"),
        (TEN_LINES.replace("  - name: w1", "  - hostname: w1"), "'hostname'; here it is called `name`"),
        (TEN_LINES.replace("    address: 10.77.0.12", "    ip: 10.77.0.12"), "'ip'; here it is called `address`"),
        (TEN_LINES.replace("mac: 52:54:00:00:00:02", "MAC: 525400000002"), "'MAC'; did you mean 'mac'?"),
        (TEN_LINES.replace("mac: 52:54:00:00:00:02", "hwaddr: 525400000002"), "'hwaddr'; here it is called `mac`"),
        (
            TEN_LINES.replace("mac: 52:54:00:00:00:02", "macs: [525400000002, 525400000003]"),
            "'macs'; here it is called `mac`; a machine has one MAC address here: that of the NIC it boots",
        ),
        (
            TEN_LINES.replace("mac: 52:54:00:00:00:02", "mac: [525400000002, 525400000003]"),
            "machines[1].mac: expected a single value, not a list; a machine has one MAC address here: that of the",
        ),
        (
            TEN_LINES.replace("address: 10.77.0.12", "address: [10.77.0.12, 10.77.0.13]"),
            "machines[1].address: expected a single value, not a list; a machine has one address here",
        ),
        (TEN_LINES.replace("name: w1", "name: {w1: x}"), "machines[1].name: expected a string, not a mapping"),
        (TEN_LINES + "    role: [worker]\n", "role: expected a single value, not a list; a machine has one role"),
        (TEN_LINES.replace("control-plane", "master"), "'master' is not one of control-plane, worker; write `control-"),
        (TEN_LINES.replace("control-plane", "control_plane"), "; write `control-plane`"),
        (TEN_LINES.replace("control-plane", "controlplane,etcd"), "; write `control-plane`"),
        (TEN_LINES + "    role: node\n", "'node' is not one of control-plane, worker; write `worker`"),
        (
            TEN_LINES + "roles: {masters: {}}\n",
            "roles.masters: 'masters' is not one of control-plane, worker; write `c",
        ),
        (lab(network="  dhcp: true"), "'true' is not one of full, proxy, none; write `full`"),
        (lab(network="  dhcp: off"), "'off' is not one of full, proxy, none; `proxy` or `none`: with the first"),
        (lab().replace("network: routed", "network: bridge"), "; write `routed`"),
        # Addresses
        (
            lab().replace("gateway: 10.77.0.254", "gateway: 10.77.0.254/24"),
            "network.gateway: '10.77.0.254/24' is an address with a prefix; write 10.77.0.254",
        ),
        (lab(network="  dns: ['2606:4700::1111']"), "network.dns[0]: '2606:4700::1111' is an IPv6 address; nodisk's"),
        (lab().replace("subnet: 10.77.0.0/24", "subnet: 10.77.0.9/24"), "write 10.77.0.0/24"),
        (lab().replace("subnet: 10.77.0.0/24", "subnet: 10.77.0.0/30"), "10.77.0.0/30 is too small for a room"),
        (lab().replace("subnet: 10.77.0.0/24", "subnet: 224.0.0.0/8"), "224.0.0.0/8 is not a usable range for a room"),
        (lab().replace("server: 10.77.0.1", "server: 10.78.0.1"), "network.server: 10.78.0.1 is outside the subnet"),
        (lab().replace("10.77.0.254", "10.77.0.255"), "network.gateway: 10.77.0.255 is the broadcast address"),
        (lab(w1="name: w1, mac: 525400000002, address: 10.77.0.0"), "10.77.0.0 is the subnet itself"),
        (lab(w1="name: w1, mac: 525400000002, address: 10.77.0.1"), "10.77.0.1 is the server's address"),
        (lab(w1="name: w1, mac: 525400000002, address: 10.77.0.254"), "10.77.0.254 is the gateway's address"),
        (
            lab(w1="name: w1, mac: 52-54-00-00-00-01, address: 10.77.0.2"),
            "the MAC 52:54:00:00:00:01 is also on line 11",
        ),
        (lab(network="  interface: en p1"), "network.interface: 'en p1' is not a valid network interface name"),
        (lab(network="  interface: 'eth0,eth1'"), "'eth0,eth1' is not a valid network interface name"),
        (lab(network="  interface: eth*"), "'eth*' is not a valid network interface name"),
        # Ranges
        (lab(kubernetes="  pods: 10.77.0.0/16"), "10.77.0.0/16 overlaps the room's subnet 10.77.0.0/24"),
        (lab(kubernetes="  services: 10.244.1.0/24"), "10.244.1.0/24 overlaps the pods' range 10.244.0.0/16"),
        (lab(kubernetes="  pods: 10.9.9.0/24"), "room for 1 machines (a /24 each), but there are 2; a /23 or larger"),
        (lab(kubernetes="  services: 10.0.0.0/28"), "10.0.0.0/28 has the wrong size for Services"),
        (lab(kubernetes="  pods: 127.0.0.0/16"), "kubernetes.pods: 127.0.0.0/16 is not a usable range for a cluster"),
        (lab(kubernetes="  pods: 240.0.0.0/16"), "kubernetes.pods: 240.0.0.0/16 is not a usable range for a cluster"),
        (
            lab(kubernetes="  services: 224.0.0.0/16"),
            "kubernetes.services: 224.0.0.0/16 is not a usable range for a cluster",
        ),
        (
            lab(kubernetes="  services: 169.254.0.0/16"),
            "kubernetes.services: 169.254.0.0/16 is not a usable range for a cluster",
        ),
        (lab(network="  dns: [9.9.9.9, 127.0.0.1]"), "network.dns[1]: 127.0.0.1 is not a usable DNS server"),
        (lab(network="  dns: [0.0.0.0]"), "network.dns[0]: 0.0.0.0 is not a usable DNS server"),
        # An address outside of the cluster inside of its ranges
        (
            lab(network="  dns: [9.9.9.9, 10.244.7.53]"),
            "6:18: network.dns[1]: 10.244.7.53 is in the pods' range 10.244.0.0/16: no machine could reach it; name",
        ),
        (
            lab(network="  dns: [10.96.0.10]"),
            "6:9: network.dns[0]: 10.96.0.10 is in the Services' range 10.96.0.0/16: no machine could reach it",
        ),
        (
            lab(network="  dns: [172.20.0.1]", kubernetes="  pods: 172.20.0.0/16"),
            "network.dns[0]: 172.20.0.1 is in the pods' range",
        ),
        (lab(top="os: {mirror: 'http://10.96.3.4:3142/debian'}"), "os.mirror: 10.96.3.4 is in the Services' range"),
        (lab().replace("10.77.0.254", "10.244.0.1"), "network.gateway: 10.244.0.1 is outside the subnet"),
        # Roles, names, memory
        (lab().replace("role: control-plane", "role: worker"), "machines: no machine has the role control-plane"),
        (lab(w1="name: server, mac: 525400000002, address: 10.77.0.2"), "the name server is reserved"),
        (lab(machine="memory: 2"), "machines[0].memory: 2 is not enough to boot; with its unit: 2GiB"),
        (
            lab(machine="memory: 2000TiB"),
            "machines[0].memory: 2000Ti is more than any machine can have; check its unit",
        ),
        (lab(machine=f"memory: {'9' * 400}GiB"), "machines[0].memory: '9999"),
        (lab(top='"\\e[31mred": 1'), "?[31mred: unknown key '\\x1b[31mred'"),
        (lab(top=f"{'k' * 1000}: 1"), "kkk…: unknown key 'kkk"),
        # Release and image
        (lab(kubernetes="  version: 1.36.0-rc.1"), "'1.36.0-rc.1' is not a released version of Kubernetes; use a form"),
        (lab(kubernetes="  version: 1.19"), "this nodisk supports 1.20 … 1.37, not 1.19"),
        (lab(kubernetes="  source: path"), "kubernetes.source: source: path needs a folder; add `path:`"),
        (lab(kubernetes="  path: /x"), "kubernetes.path: `path` has no effect with source: auto"),
        (lab(kubernetes="  version: 1.37", top="os: {suite: trixie}"), "1.37 needs containerd 2, which trixie has not"),
        (lab(kubernetes="  source: debian", top="os: {suite: sid}"), "1.20.2 needs containerd 1, which sid has not"),
        (
            lab(top="os: {image: flatcar, packages: [htop]}"),
            "13:13: os.image: flatcar can't be booted by this nodisk: only Debian's image has kubelet",
        ),
        (lab(top="os: {image: fedora-coreos}"), "os.image: fedora-coreos can't be booted by this nodisk"),
        (
            lab().replace("network: routed", "network: cilium"),
            "kubernetes.network: cilium publishes no manifest, so you must provide one; `helm template` writes one",
        ),
        (
            lab(kubernetes=f"  network_manifest: {{path: x.yaml, sha256: {'a' * 64}}}"),
            "kubernetes.network_manifest: a manifest for the pods' network means nothing with network: routed",
        ),
        (
            lab(kubernetes="  network_manifest: {path: x.yaml, sha256: abc}").replace("routed", "calico"),
            "kubernetes.network_manifest.sha256: 'abc' is not a SHA-256 hash; 64 digits",
        ),
        (
            lab(kubernetes="  policies_manifest: {path: x.yaml, sha256: abc}"),
            "kubernetes.policies_manifest.sha256: 'abc' is not a SHA-256 hash; 64 digits",
        ),
        (
            lab(kubernetes=f"  policies_manifest: {{path: x.yaml, sha256: {'a' * 64}}}").replace("routed", "calico"),
            "kubernetes.policies_manifest: calico enforces policies itself",
        ),
        (
            lab(kubernetes=f"  source: debian\n  policies_manifest: {{path: x.yaml, sha256: {'a' * 64}}}"),
            "kubernetes.policies_manifest: Debian's release is too old",
        ),
        (
            lab(kubernetes="  source: upstream\n  isolation: names"),
            "kubernetes.isolation: the official releases bring CoreDNS, which tells every pod all names; remove it",
        ),
        (lab(kubernetes="  isolation: names"), "kubernetes.isolation: `source: auto` may take a release that brings"),
        (
            lab(kubernetes="  source: debian\n  isolation: names").replace("routed", "flannel"),
            "kubernetes.isolation: with flannel the server doesn't see which pod asks for a name",
        ),
        (lab(top="os: {packages: [htop, Vim]}"), "os.packages[1]: 'Vim' is not a Debian package name"),
        (lab(top="os: {mirror: deb.example}"), "os.mirror: 'deb.example' is not a mirror URL"),
        # Keys, labels, snippets
        (lab(top="ssh_keys: [-----BEGIN OPENSSH PRIVATE KEY-----]"), "this is a private key: it must never be here"),
        (lab(top="ssh_keys: [ssh-dss AAAA]"), "'ssh-dss' is not a type of key that SSH still takes"),
        (lab(top="ssh_keys: [ssh-ed25519]"), "ssh_keys[0]: the key itself is missing"),
        (lab(top=f"ssh_keys: [{KEY[:40]}]"), "ssh_keys[0]: the key is cut off"),
        (lab(top=f"ssh_keys: ['{KEY.replace('ssh-ed25519', 'ssh-rsa')}']"), "not of the type ssh-rsa"),
        (
            lab(top=f"ssh_keys: ['from=\"10.0.0.0/8\",no-pty {KEY}']"),
            "ssh_keys[0]: options before a key are not taken: 'from=\"10.0.0.0/8\",no-pty'; begin the line with ssh-ed",
        ),
        (lab(top=f"ssh_keys: ['pc7,10.77.0.9 {KEY}']"), "'pc7,10.77.0.9' stands before the key; begin the line with"),
        (lab(top=f"ssh_keys: [{KEY.split()[1]}]"), "the key's type is missing; copy the whole line of the .pub file"),
        (
            lab(top="ssh_keys: [~/.ssh/id_ed25519.pub]"),
            "'~/.ssh/id_ed25519.pub' is where a key is, not the key itself; copy what `cat ~/.ssh/id_ed25519.pub`",
        ),
        (lab(top="ssh_keys: [id_rsa.pub]"), "'id_rsa.pub' is where a key is, not the key itself"),
        (lab(top="ssh_keys: ['https://github.com/a.keys']"), "copy what `curl https://github.com/a.keys` shows"),
        (lab(top="ssh_keys: ['gh:octocat']"), "'gh:octocat' is where a key is, not the key itself; copy the line"),
        (lab(machine="labels: {-a: b}"), "machines[0].labels.-a: '-a' is no name of a label"),
        (
            lab(machine="labels: {kubernetes.io/hostname: b}"),
            "kubelet itself sets kubernetes.io/hostname; choose another",
        ),
        (lab(machine="labels: {UP/a: b}"), "'UP' before the / is no DNS name"),
        (lab(machine="labels: {a: b c}"), "'b c' is no value of a label"),
        (lab(machine="taints: [{key: a, effect: No}]"), "machines[0].taints[0].effect: 'No' is not one of"),
        (
            lab(machine="taints: [{key: a, effect: NoExecute}, {key: a, effect: NoExecute}]"),
            "machines[0].taints[1]: the taint a:NoExecute is also on line",
        ),
        (lab(machine="butane: just text"), "a Butane snippet is a YAML mapping"),
        (lab(top="butane: |\n  storage:\n    files:\n  - ]\n"), "16:1: butane: the snippet is not YAML"),
    ],
)
def test_one_problem(text: str, said: str) -> None:
    found = problems(text)
    assert any(said in line for line in found), "\n".join(found)
    assert len(found) == 1, "\n".join(found)


def test_a_value_that_is_not_there_is_left_out() -> None:
    read = parse(lab(network="  dns:\n  #  - 9.9.9.9", top="ssh_keys:\nroles:\nos: {packages: }"), file="x")
    assert (read.network.dns, read.ssh_keys, read.roles, read.os.packages) == ((), (), {}, ())


def test_scalars_keep_their_text() -> None:
    read = parse(lab(kubernetes="  version: 1.30", machine="labels: {a: yes, b: 010, c: 1e3, d: ''}"), file="x")
    assert str(read.kubernetes.version) == "1.30"
    assert read.machines[0].labels == {"a": "yes", "b": "010", "c": "1e3", "d": ""}


@pytest.mark.parametrize("word", ["112", "08", "2026", "no", "on", "1e3", "0x1f", "1-30", "2026-01-01", "true", "7d"])
def test_a_name_is_what_was_written(word: str) -> None:
    """Whatever YAML would make of it: it is no number, no date and no truth value."""
    read = parse(lab().replace("name: room", f"name: {word}").replace("name: w1", f"name: {word}"), file="x")
    assert (str(read.name), str(read.machines[1].name)) == (word, word)


def test_aliases_are_followed() -> None:
    read = parse(
        lab(machine="labels: &l {a: b}", w1="name: w, mac: 525400000002, address: 10.77.0.2, labels: *l"), file="x"
    )
    assert read.machines[1].labels == {"a": "b"}


def test_a_path_counts_from_the_files_folder(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(lab(kubernetes="  source: path\n  path: release"))
    assert load(file).kubernetes.path == tmp_path / "release"
    manifest = f"  network_manifest: {{path: c.yaml, sha256: {'a' * 64}}}"
    file.write_text(lab(kubernetes=manifest).replace("routed", "cilium"))
    own = load(file).kubernetes.network_manifest
    assert own is not None
    assert own.path == tmp_path / "c.yaml"
    file.write_text(lab(kubernetes=manifest.replace("network_", "policies_")))
    policies = load(file).kubernetes.policies_manifest
    assert policies is not None
    assert policies.path == tmp_path / "c.yaml"


def test_all_problems_are_one_error() -> None:
    with pytest.raises(SpecError, match=r"^x\.yaml has 2 problems:\nx\.yaml:1:1: .*\nx\.yaml:1:1: ") as caught:
        parse("name: a\n", file="x.yaml")
    assert caught.value.exit_code == 3
    with pytest.raises(SpecError, match="has one problem:"):
        parse(lab(top="x: y"), file="x.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NodiskError, match="No such file") as caught:
        load(tmp_path / "none.yaml")
    assert "nodisk init" in str(caught.value.hint)
    with pytest.raises(NodiskError, match="is not a file"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: room\nnetwork: é\n".encode("latin-1"))
    with pytest.raises(SpecError, match=r"latin\.yaml:2:10: byte 0xe9 is not UTF-8; save the file in UTF-8"):
        load(tmp_path / "latin.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + TEN_LINES.encode())
    assert str(load(tmp_path / "bom.yaml").name) == "room"


BOMBS = {
    "10 MB": "a: b\n" * 2_000_000,
    "one line": "a: " + "b" * 900_000,
    "brackets": "[" * 500_000,
    "braces": "{a: " * 100_000,
    "indentation": "".join(" " * depth + "a:\n" for depth in range(700)),
    "laughs": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)),
    "many keys": "".join(f"k{n}: v\n" for n in range(60_000)),
    "many machines": "machines:\n" + "- {}\n" * 4_000,
    "same keys": "a: b\n" * 20_000,
    "itself": "a: &a [*a]\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_soon(name: str) -> None:
    before = time.process_time()
    found = problems(BOMBS[name])
    assert found
    assert time.process_time() - before < 20  # well under a second here; unbounded work would take hours
    assert max(len(line) for line in found) < 500


@given(st.text(max_size=200))
@settings(max_examples=80, deadline=None)
def test_any_text_gives_a_report(text: str) -> None:
    assert examine(text, file="x")[0] is None


_VALUES = st.recursive(
    st.sampled_from(["", "x", "1", "10.77.0.1", "10.77.0.0/24", "52:54:00:00:00:01", "control-plane", "null", "'q'"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(
            st.sampled_from(
                ["name", "mac", "address", "subnet", "server", "role", "labels", "taints", "key", "worker"]
            ),
            inner,
            max_size=3,
        ).map(lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}")
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "network", "kubernetes", "os", "machines", "roles", "ssh_keys", "butane", "virtual"]),
        _VALUES,
    )
)
@settings(max_examples=80, deadline=None)
def test_any_shape_gives_a_report(document: dict[str, str]) -> None:
    text = "".join(f"{key}: {value}\n" for key, value in document.items())
    lab_read, found = examine(text, file="x")
    assert (lab_read is None) == bool(found)
    assert all(1 <= problem.line <= max(1, len(text.splitlines())) for problem in found)
