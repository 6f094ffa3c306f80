"""Whole artefacts of three releases, and of none: what every kind of machine gets, compared to the letter.

``NODISK_UPDATE_GOLDEN=1 pytest tests/golden`` writes the files anew; their diff is then what is reviewed.
"""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from nodisk.plan import boot, dhcp_answers, grub, grub_menu, menu, readable, show
from nodisk.plan.dhcp_snippets import Server, snippet
from nodisk.plan.facts import AssetRef, ContainerImage, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.model import Lab
from nodisk.spec.model_class_registry import ClassRegistry
from nodisk.spec.model_kubernetes import Policies
from nodisk.spec.model_peers import Peers
from nodisk.values import KubeVersion, Mac, Size

HERE = Path(__file__).parent

SMALL = """
{"name": "room", "network": {"subnet": "10.77.0.0/27", "server": "10.77.0.1"}, "ssh_keys": ["ssh-ed25519 AAAA teacher"],
 "machines": [
  {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane", "memory": "2GiB"},
  {"name": "w1", "mac": "52:54:00:77:00:15", "address": "10.77.0.21", "memory": "1GiB"}]}
"""
LARGE = """
{"name": "hall", "network": {"subnet": "192.168.8.0/22", "server": "192.168.8.2", "gateway": "192.168.8.1",
                             "dns": ["192.168.8.1", "9.9.9.9"]},
 "ssh_keys": ["ssh-ed25519 AAAA teacher", "ssh-ed25519 BBBB assistant"],
 "machines": [
  {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "192.168.8.11", "role": "control-plane", "memory": "4GiB"},
  {"name": "cp2", "mac": "52:54:00:77:00:0c", "address": "192.168.8.12", "role": "control-plane", "memory": "4GiB"},
  {"name": "w1", "mac": "52:54:00:77:00:15", "address": "192.168.9.21", "memory": "16GiB",
   "labels": {"room": "b12", "example.org/gpu": "none", "node-role.kubernetes.io/worker": ""},
   "taints": [{"key": "example.org/slow", "value": "yes", "effect": "PreferNoSchedule"}]}]}
"""


PLAIN = """
{"name": "shed", "network": {"subnet": "10.79.0.0/27", "server": "10.79.0.1"}, "ssh_keys": ["ssh-ed25519 AAAA teacher"],
 "kubernetes": {"engine": "none"}, "os": {"mirror": "http://10.79.0.1:8000/debian"},
 "machines": [{"name": "p1", "mac": "52:54:00:79:00:15", "address": "10.79.0.21", "memory": "2GiB"}]}
"""


def facts(version: str, registry: str, containerd: str, *others: str) -> Facts:
    def asset(name: str, size: int) -> AssetRef:
        return AssetRef(name, name.encode().hex().ljust(64, "0")[:64], size)

    parts = (("kube-apiserver", 94), ("kube-controller-manager", 86), ("kube-scheduler", 65))
    images = [ContainerImage.of(f"{registry}/{name}:v{version}", size << 20) for name, size in parts]
    for other in others:
        images.append(ContainerImage.of(f"{registry}/{other}", 1 << 20))
    return Facts(
        ca_pem="-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        image=ImageFacts(
            kernel=asset("vmlinuz", 12 << 20),
            initramfs=asset("initramfs", 6 << 20),
            rootfs=asset("root.squashfs", 140 << 20),
            kernel_version="6.12.0-cloud-amd64",
            rootfs_unpacked=420 << 20,
            containerd=containerd,
        ),
        cluster=ReleaseFacts(KubeVersion.parse(version), "upstream", tuple(images), asset("kubeadm", 70 << 20)),
    )


OF_36 = facts("1.36.1", "registry.k8s.io", "2.1.4", "pause:3.10.1", "coredns/coredns:v1.13.1")
CASES = {
    "1.20": (SMALL, facts("1.20.2", "k8s.gcr.io", "1.7.24", "pause:3.2")),
    "1.31": (SMALL, facts("1.31.4", "registry.k8s.io", "1.7.24", "pause:3.10", "coredns/coredns:v1.11.3")),
    "1.36": (LARGE, OF_36),
    "plain": (PLAIN, replace(OF_36, image=replace(OF_36.image, containerd=""), cluster=None)),
}


def compare(name: str, text: str) -> None:
    path = HERE / name
    if os.environ.get("NODISK_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; NODISK_UPDATE_GOLDEN=1 writes it anew"


@pytest.mark.parametrize("release", CASES)
def test_machines(release: str) -> None:
    text, given = CASES[release]
    lab = Lab.model_validate_json(text)
    for machine in lab.machines:
        texts = show.texts(lab, given, machine)
        # The JSON as it is served is the same at every call, byte by byte; what people review is the readable form.
        assert texts == show.texts(Lab.model_validate_json(text), given, machine)
        shown = readable.readable(json.loads(texts["ignition"]))
        compare(f"{release}-{machine.name}.txt", texts["script"] + "\n" + shown)


def test_rules_from_the_server() -> None:
    """What rules from the server, the default, add to a machine."""
    text, given = CASES["1.20"]
    lab = Lab.model_validate_json(text)
    controller = lab.kubernetes.model_copy(update={"policies": Policies.CONTROLLER})
    shown = [
        readable.readable(json.loads(show.texts(one, given, one.machines[-1])["ignition"])).splitlines()
        for one in (lab.model_copy(update={"kubernetes": controller}), lab)
    ]
    compare("policies-w1.diff", "\n".join(difflib.unified_diff(shown[0], shown[1], n=0, lineterm="")) + "\n")


@pytest.mark.parametrize("release", ["1.31", "1.36"])
def test_machines_that_give_images_on(release: str) -> None:
    """What `peers` adds to a machine, with containerd 1 and 2."""
    text, given = CASES[release]
    lab = Lab.model_validate_json(text)
    shown = [
        readable.readable(json.loads(show.texts(one, given, one.machines[-1])["ignition"])).splitlines()
        for one in (lab, lab.model_copy(update={"peers": Peers()}))
    ]
    compare(f"peers-{release}-w1.diff", "\n".join(difflib.unified_diff(shown[0], shown[1], n=0, lineterm="")) + "\n")


def test_machines_that_pull_students_images() -> None:
    """What `class_registry` adds to a machine."""
    text, given = CASES["1.36"]
    lab = Lab.model_validate_json(text)
    shown = [
        readable.readable(json.loads(show.texts(one, given, one.machines[-1])["ignition"])).splitlines()
        for one in (lab, lab.model_copy(update={"class_registry": ClassRegistry(size=Size(20 << 30))}))
    ]
    compare("class-registry-w1.diff", "\n".join(difflib.unified_diff(shown[0], shown[1], n=0, lineterm="")) + "\n")


def test_scripts_of_all() -> None:
    lab = Lab.model_validate_json(LARGE)
    compare("boot.ipxe", boot.entry_script(lab))
    compare("unknown.ipxe", boot.unknown_script(lab, Mac.parse("02:00:00:00:00:99")))
    compare("disk.ipxe", boot.disk_script(lab, lab.machines[0]))
    compare("disk.cfg", grub.disk_script(lab, lab.machines[0]))
    compare("address.ipxe", boot.address_script(lab, lab.machines[0]))
    compare("twin.ipxe", boot.twin_script(lab.machines[0]))
    compare("address-in-use.ipxe", boot.address_in_use_script(lab, lab.machines[0], Mac.parse("02:00:00:00:00:99")))


@pytest.mark.parametrize("server", Server)
def test_dhcp_snippets(server: Server) -> None:
    lab = Lab.model_validate_json(SMALL.replace('"server": "10.77.0.1"', '"server": "10.77.0.1", "dhcp": "none"'))
    programs = {"bios": "undionly.kpxe", "uefi": "snponly.efi", "signed": "shimx64.efi", "arm64": "ipxe-arm64.efi"}
    room = dhcp_answers.room(lab, **programs, reservations=True)
    compare(f"dhcp-{server}.txt", snippet(room, server))


MENU = """
{"default": "lab", "timeout": 10, "entries": [
  {"name": "debian", "title": "Debian's installer", "kernel": "http://192.168.8.3/linux",
   "initrd": "http://192.168.8.3/initrd.gz", "arguments": "priority=low --- quiet"},
  {"name": "windows", "url": "http://192.168.8.3/wds.ipxe"},
  {"name": "rescue", "title": "Rescue system", "url": "http://192.168.8.3/rescue.efi", "password": true}]}
"""


def test_menus() -> None:
    lab = Lab.model_validate({**json.loads(LARGE), "menu": json.loads(MENU)})
    machine = lab.machines[2]
    compare("menu.ipxe", menu.menu_script(lab, machine))
    compare("menu-disk.ipxe", menu.entry_script(lab, machine, "disk"))
    compare("menu-debian.ipxe", menu.entry_script(lab, machine, "debian"))
    compare("menu.cfg", grub_menu.menu_script(lab, machine))
    compare("menu-debian.cfg", grub_menu.entry_script(lab, machine, "debian"))


def test_armed_script() -> None:
    lab = Lab.model_validate_json(SMALL)
    compare("armed.ipxe", boot.machine_script(lab, CASES["1.20"][1], lab.machines[1], "N0nce-" + "x" * 37))
