"""Every kind of NIC of a virtual machine: QEMU's arguments for it, and what stands in its way."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodisk.errors import EnvironmentProblem
from nodisk.machines import nics
from nodisk.spec.model import Firmware, Lab, Nic
from nodisk.spec.model_os import Kernel


def make_lab(nic: Nic, *, kernel: Kernel = Kernel.GENERIC, firmware: Firmware = Firmware.BIOS, mac: str = "") -> Lab:
    own = mac or ("40:54:00:09:00:0b" if nic is Nic.USB_NET else "52:54:00:09:00:0b")
    machine = {"name": "cp1", "mac": own, "address": "10.9.0.11", "role": "control-plane", "nic_model": nic}
    return Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.9.0.0/24", "server": "10.9.0.1"},
            "os": {"kernel": kernel},
            "virtual": {"firmware": firmware},
            "machines": [machine],
        }
    )


def words(lab: Lab) -> list[str]:
    return nics.arguments(lab, lab.machines[0])


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """iPXE's own image is installed."""
    image = tmp_path / "ipxe.lkrn"
    image.touch()
    monkeypatch.setattr(nics, "IPXE_KERNEL", image)
    return image


def test_a_nic_with_an_option_rom_boots_by_it() -> None:
    assert words(make_lab(Nic.E1000E)) == ["-device", "e1000e,netdev=net0,mac=52:54:00:09:00:0b,bootindex=1"]


def test_ovmf_boots_virtio_by_itself_and_others_by_their_rom() -> None:
    assert words(make_lab(Nic.VIRTIO, firmware=Firmware.UEFI))[-1].endswith(",romfile=")
    assert "romfile" not in words(make_lab(Nic.E1000, firmware=Firmware.UEFI))[-1]


def test_a_nic_without_an_option_rom_boots_from_ipxes_own_medium(installed: Path) -> None:
    assert words(make_lab(Nic.USB_NET)) == [
        *("-device", "qemu-xhci"),
        *("-device", "usb-net,netdev=net0,mac=40:54:00:09:00:0b,bootindex=1"),
        *("-kernel", str(installed)),
        *("-append", "dhcp && chain http://10.9.0.1/boot.ipxe || reboot"),
    ]


def test_every_nic_is_described() -> None:
    assert set(nics.KINDS) == set(Nic)
    for nic in set(Nic) - {Nic.IGB}:
        nics.check(make_lab(nic))


@pytest.mark.parametrize(
    ("lab", "said"),
    [
        (make_lab(Nic.E1000, kernel=Kernel.CLOUD), "cp1: the cloud kernel has no driver for e1000"),
        (make_lab(Nic.USB_NET, mac="52:54:00:09:00:0b"), "cp1: QEMU gives every usb-net a MAC that begins with 40:"),
        (make_lab(Nic.TULIP, firmware=Firmware.UEFI), "cp1: QEMU's tulip has no option ROM, so UEFI can't boot"),
        (make_lab(Nic.IGB), "cp1: QEMU's igb has no option ROM, and iPXE sees no link on it"),
    ],
)
def test_what_stands_in_the_way_is_said(lab: Lab, said: str) -> None:
    with pytest.raises(EnvironmentProblem, match=said):
        nics.check(lab)


def test_ipxes_image_is_asked_for_where_it_is_needed(installed: Path) -> None:
    installed.unlink()
    nics.check(make_lab(Nic.E1000))
    with pytest.raises(EnvironmentProblem, match="iPXE's own image is not installed") as problem:
        nics.check(make_lab(Nic.TULIP))
    assert problem.value.hint == "apt-get install --no-install-recommends ipxe"


def test_the_hint_for_usb_is_a_mac_that_will_do() -> None:
    with pytest.raises(EnvironmentProblem) as problem:
        nics.check(make_lab(Nic.USB_NET, mac="52:54:00:09:00:0b"))
    assert problem.value.hint == 'mac: "40:54:00:09:00:0b"'
