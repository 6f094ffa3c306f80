"""The NIC of a virtual machine, as QEMU's arguments (pure): which NICs there are, and how each boots the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodisk.errors import EnvironmentProblem
from nodisk.spec.model import Firmware, Lab, Machine, Nic
from nodisk.spec.model_os import Kernel

# Debian's package ipxe: iPXE with all its drivers as a Linux kernel image, which a stick or QEMU boots.
IPXE_KERNEL = Path("/usr/lib/ipxe/ipxe.lkrn")

USB_MAC = "40:"
"""QEMU's usb-net replaces the first byte of the MAC that it is given (hw/usb/dev-network.c)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What QEMU needs to know of one kind of NIC."""

    rom: bool = True
    """Whether Debian's ipxe-qemu has an option ROM for it; without one, no firmware boots from it."""
    cloud: bool = False
    """Whether Debian's cloud kernel has a driver for it."""
    dark: bool = False
    """Whether iPXE, which would boot it instead, sees no link on QEMU's (2019's and 1.21 on QEMU 10.0's)."""
    bus: tuple[str, ...] = ()
    """A device that it hangs on, as QEMU's arguments."""


KINDS: Mapping[Nic, Kind] = {
    Nic.VIRTIO: Kind(cloud=True),
    Nic.E1000: Kind(),
    Nic.E1000E: Kind(),
    Nic.IGB: Kind(rom=False, dark=True),
    Nic.RTL8139: Kind(),
    Nic.VMXNET3: Kind(cloud=True),
    Nic.PCNET: Kind(),
    Nic.TULIP: Kind(rom=False),
    Nic.USB_NET: Kind(rom=False, bus=("-device", "qemu-xhci")),
}


def arguments(lab: Lab, machine: Machine) -> list[str]:
    """The machine's NIC on the network ``net0``, and what boots it where no option ROM does."""
    kind, uefi = KINDS[machine.nic_model], lab.firmware(machine) is not Firmware.BIOS
    # Without virtio's option ROM OVMF boots by its own PXE client, as a UEFI PC does; for others it has no driver.
    # SeaBIOS always needs iPXE's.
    rom = ",romfile=" if uefi and machine.nic_model is Nic.VIRTIO else ""
    words = [*kind.bus, "-device", f"{machine.nic_model},netdev=net0,mac={machine.mac},bootindex=1{rom}"]
    if not kind.rom:
        # Not one round of DHCP too few: the NIC of a machine without a server waits, as one with an option ROM does.
        script = f"dhcp && chain http://{lab.network.server}/boot.ipxe || reboot"
        words += ["-kernel", str(IPXE_KERNEL), "-append", script]
    return words


def check(lab: Lab) -> None:
    """Raise EnvironmentProblem where a machine's NIC can't boot: on this host, with this firmware, or this kernel."""
    for machine in lab.machines:
        if problem := _problem(lab, machine):
            raise EnvironmentProblem(f"{machine.name}: {problem[0]}", hint=problem[1])


def _problem(lab: Lab, machine: Machine) -> tuple[str, str] | None:
    """What stands in the way of a machine's NIC, and what to do."""
    nic, kind = machine.nic_model, KINDS[machine.nic_model]
    if lab.os.kernel is Kernel.CLOUD and not kind.cloud:
        return f"the cloud kernel has no driver for {nic}", "os: {kernel: generic}"
    if nic is Nic.USB_NET and not str(machine.mac).startswith(USB_MAC):
        text = f"QEMU gives every {nic} a MAC that begins with {USB_MAC}, not {machine.mac}"
        return text, f'mac: "{USB_MAC}{str(machine.mac)[len(USB_MAC) :]}"'
    return None if kind.rom else _problem_without_rom(lab, machine)


def _problem_without_rom(lab: Lab, machine: Machine) -> tuple[str, str] | None:
    nic, kind = machine.nic_model, KINDS[machine.nic_model]
    if kind.dark:
        text = f"QEMU's {nic} has no option ROM, and iPXE sees no link on it, so nothing can boot from it"
        return text, f"nic_model: {Nic.E1000E}"
    if lab.firmware(machine) is not Firmware.BIOS:
        return f"QEMU's {nic} has no option ROM, so UEFI can't boot from it", "virtual: {firmware: bios}"
    if not IPXE_KERNEL.exists():
        text = f"QEMU's {nic} has no option ROM, and iPXE's own image is not installed ({IPXE_KERNEL})"
        return text, "apt-get install --no-install-recommends ipxe"
    return None
