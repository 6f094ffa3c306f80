"""QEMU's arguments for one diskless machine, and which accelerator this host can really use."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nodisk import run
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.machines import nics
from nodisk.spec.model import Firmware, Lab, Machine
from nodisk.state import LabState
from nodisk.values import Role

PROGRAM = "qemu-system-x86_64"

# What a role gets where lab.yaml says nothing, in MiB: the targets of the project for a machine in a room.
DEFAULT_MEMORY = {Role.CONTROL_PLANE: 2048, Role.WORKER: 1024}

# Debian's package ovmf. The variables are copied for each machine: firmware writes them.
OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
# With Secure Boot: a build that keeps its variables from everything but System Management Mode, and variables that hold
# Microsoft's keys, as a PC's do.
OVMF_SECURE_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
OVMF_SECURE_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd")

# QEMU's plain model, and what programs of today use at once where they find it (hashes, TLS, string search): a boot
# then costs a tenth less of the host's processors. `max` costs more than it brings: wide vectors are slow to emulate.
# Without cmpxchg16b, which Linux uses where it finds it: QEMU before 8.0 may take half a pointer for the flags after
# it, and an interrupt at that instruction then crashes the guest's kernel.
EMULATED_CPU = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,-cx16"


class Accelerator(StrEnum):
    """How QEMU runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg,thread=multi"
    """Emulated, each processor by a thread of its own."""
    TCG_IN_TURN = "tcg,thread=single"
    """Emulated, a machine's processors one after the other."""

    @property
    def emulates(self) -> bool:
        """Whether the host's processors don't run the guest's instructions themselves."""
        return self is not Accelerator.KVM

    @property
    def technique(self) -> str:
        """``kvm`` or ``tcg``."""
        return self.value.partition(",")[0]


@dataclass(frozen=True, slots=True)
class Paths:
    """Where one virtual machine's files are."""

    pid: Path
    console: Path
    """The log of its serial console."""
    serial: Path
    """The unix socket of its serial console."""
    qmp: Path
    """The unix socket of QEMU's control protocol."""
    variables: Path
    """UEFI's variables."""

    @classmethod
    def of(cls, state: LabState, machine: Machine) -> Paths:
        """The files of a machine of the lab."""
        folder, name = state.run / "machines", str(machine.name)
        return cls(
            pid=folder / f"{name}.pid",
            console=state.log / f"console-{name}.log",
            serial=folder / f"{name}.serial",
            qmp=folder / f"{name}.qmp",
            variables=folder / f"{name}.efivars",
        )


SOUND = (8, 1)
"""QEMU's first release whose emulated processors can run side by side.

Linux puts a breakpoint in the place of an instruction that it changes. Before this release a processor may translate
the breakpoint while another takes it away, and run into it afterwards: "Oops: int3", and the machine reboots. It takes
hundreds of boots to see it (QEMU's issue 1696). Only a control plane's run side by side all the same.
"""


def accelerator(
    cpuinfo: str | None = None,
    kvm: Path = Path("/dev/kvm"),
    release: Callable[[], tuple[int, ...] | None] | None = None,
) -> Accelerator:
    """KVM only where it really works: the processor has vmx or svm *and* /dev/kvm opens.

    ``/dev/kvm`` alone says little: it exists on hosts whose hypervisor can't run an ordinary guest.
    """
    if _kvm_works(cpuinfo, kvm):
        return Accelerator.KVM
    return Accelerator.TCG if ((release or installed)() or (0,)) >= SOUND else Accelerator.TCG_IN_TURN


@functools.cache
def installed() -> tuple[int, ...] | None:
    """The release of this host's QEMU, such as (7, 2); None: there is none."""
    try:
        said = run.run([PROGRAM, "--version"], timeout=20).stdout
    except NodiskError:
        return None
    found = re.search(r"version (\d+)\.(\d+)", said)
    return None if found is None else (int(found[1]), int(found[2]))


def _kvm_works(cpuinfo: str | None, kvm: Path) -> bool:
    text = Path("/proc/cpuinfo").read_text() if cpuinfo is None else cpuinfo
    flags = {word for line in text.splitlines() if line.startswith("flags") for word in line.split()}
    if not flags & {"vmx", "svm"}:
        return False
    try:
        os.close(os.open(kvm, os.O_RDWR))
    except OSError:
        return False
    return True


def memory_mib(machine: Machine) -> int:
    """How much memory a virtual machine gets."""
    return machine.memory.mib if machine.memory else DEFAULT_MEMORY[machine.role]


def identity(lab: Lab, machine: Machine) -> str:
    """The argument that marks a QEMU process as this machine; ``/`` is in neither name, so it is unambiguous."""
    return f"guest=nodisk-{lab.name}/{machine.name}"


def identifying_words(state: LabState, lab: Lab, machine: Machine) -> tuple[str, ...]:
    """Arguments that only this machine's QEMU has: its name, and a file of this very state directory."""
    return (identity(lab, machine), str(Paths.of(state, machine).pid))


def uefi(firmware: Firmware) -> tuple[Path, Path] | None:
    """UEFI's code and the variables that a machine starts with; None for BIOS."""
    return {
        Firmware.BIOS: None,
        Firmware.UEFI: (OVMF_CODE, OVMF_VARS),
        Firmware.UEFI_HTTP: (OVMF_CODE, OVMF_VARS),
        Firmware.SECURE_BOOT: (OVMF_SECURE_CODE, OVMF_SECURE_VARS),
        Firmware.SECURE_BOOT_HTTP: (OVMF_SECURE_CODE, OVMF_SECURE_VARS),
    }[firmware]


def check_firmware(lab: Lab) -> None:
    """Raise EnvironmentProblem where UEFI is asked for and Debian's ovmf is not installed."""
    for file in (file for machine in lab.machines for file in uefi(lab.firmware(machine)) or ()):
        if not file.exists():
            raise EnvironmentProblem(
                f"UEFI firmware is not installed on this host ({file})",
                hint="apt-get install --no-install-recommends ovmf",
            )


def _accelerator_of(machine: Machine, accel: Accelerator) -> Accelerator:
    # The whole lab waits for its control plane, which needs more than one of the host's processors: in turn, three
    # machines' proof took half as long again. So there the fault stays possible.
    in_turn = accel is Accelerator.TCG_IN_TURN and machine.role is not Role.CONTROL_PLANE
    return accel if in_turn or not accel.emulates else Accelerator.TCG


def arguments(state: LabState, lab: Lab, machine: Machine, *, tap: str, accel: Accelerator) -> list[str]:
    """The command line of one machine: network boot and nothing else, no disk, console on a serial line."""
    paths = Paths.of(state, machine)
    firmware = lab.firmware(machine)
    flash, secure = uefi(firmware), firmware.signed_only
    cpu = lab.virtual.cpu or (EMULATED_CPU if accel.emulates else "host")
    words = [PROGRAM]
    words += ["-name", identity(lab, machine)]
    words += ["-daemonize"]
    words += ["-pidfile", str(paths.pid)]
    words += ["-nodefaults", "-no-user-config", "-display", "none"]
    # graphics=off makes SeaBIOS, and so iPXE, talk on the serial line.
    words += ["-machine", "q35,graphics=off,vmport=off" + (",smm=on" if secure else "")]
    words += ["-accel", _accelerator_of(machine, accel).value]
    words += ["-cpu", cpu]
    words += ["-smp", str(machine.cpus)]
    words += ["-m", str(memory_mib(machine))]
    if secure:
        # Only System Management Mode writes variables: else the booted system could enrol a key of its own.
        words += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        words += ["-global", "ICH9-LPC.disable_s3=1"]
    if flash:
        words += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={flash[0]}"]
        words += ["-drive", f"if=pflash,format=raw,unit=1,file={_value(paths.variables)}"]
    if firmware.by_http:
        # OVMF tries PXE before HTTP, and one order for both is all that QEMU can tell it (OvmfPkg/RUNTIME_CONFIG.md).
        for version in ("IPv4", "IPv6"):
            words += ["-fw_cfg", f"name=opt/org.tianocore/{version}PXESupport,string=n"]
    # Only the network; a machine that finds no server asks again, as PCs in a room do.
    words += ["-boot", "order=n,strict=on,reboot-timeout=2000"]
    words += ["-netdev", f"tap,id=net0,ifname={tap},script=no,downscript=no"]
    words += nics.arguments(lab, machine)
    words += ["-object", "rng-random,id=rng0,filename=/dev/urandom"]
    words += ["-device", "virtio-rng-pci,rng=rng0"]
    console = f"socket,id=serial0,path={_value(paths.serial)},server=on,wait=off"
    words += ["-chardev", f"{console},logfile={_value(paths.console)},logappend=on"]
    words += ["-serial", "chardev:serial0"]
    words += ["-chardev", f"socket,id=qmp0,path={_value(paths.qmp)},server=on,wait=off"]
    words += ["-mon", "chardev=qmp0,mode=control"]
    return words


def _value(path: Path) -> str:
    """A path as the value of a QEMU option: a comma is doubled."""
    return str(path).replace(",", ",,")
