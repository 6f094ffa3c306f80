"""QEMU's arguments: the machine that lab.yaml describes, without a disk, and nothing of another lab's."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodisk.machines import qemu
from nodisk.machines.qemu import Accelerator, Paths
from nodisk.spec.model import Firmware, Lab, Virtual
from nodisk.state import State


def make_lab(**more: object) -> Lab:
    return Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.9.0.0/24", "server": "10.9.0.1"},
            "machines": [
                {"name": "cp1", "mac": "52:54:00:09:00:0b", "address": "10.9.0.11", "role": "control-plane"},
                {"name": "w1", "mac": "52:54:00:09:00:15", "address": "10.9.0.21", "memory": "1536MiB", "cpus": 3},
            ],
            **more,
        }
    )


STATE = State(Path("/s")).lab("room")


def words(lab: Lab, place: int = 0, accel: Accelerator = Accelerator.TCG) -> list[str]:
    return qemu.arguments(STATE, lab, lab.machines[place], tap="tap7", accel=accel)


def value(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


def test_whole_command_line() -> None:
    paths = Paths.of(STATE, make_lab().machines[1])
    assert words(make_lab(), 1) == [
        "qemu-system-x86_64",
        *("-name", "guest=nodisk-room/w1"),
        "-daemonize",
        *("-pidfile", "/s/labs/room/run/machines/w1.pid"),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "q35,graphics=off,vmport=off"),
        *("-accel", "tcg,thread=multi"),
        *("-cpu", qemu.EMULATED_CPU),
        *("-smp", "3"),
        *("-m", "1536"),
        *("-boot", "order=n,strict=on,reboot-timeout=2000"),
        *("-netdev", "tap,id=net0,ifname=tap7,script=no,downscript=no"),
        *("-device", "virtio-net-pci,netdev=net0,mac=52:54:00:09:00:15,bootindex=1"),
        *("-object", "rng-random,id=rng0,filename=/dev/urandom"),
        *("-device", "virtio-rng-pci,rng=rng0"),
        "-chardev",
        f"socket,id=serial0,path={paths.serial},server=on,wait=off,logfile={paths.console},logappend=on",
        *("-serial", "chardev:serial0"),
        *("-chardev", f"socket,id=qmp0,path={paths.qmp},server=on,wait=off"),
        *("-mon", "chardev=qmp0,mode=control"),
    ]


def test_memory_defaults_follow_the_role() -> None:
    assert value(words(make_lab(), 0), "-m") == "2048"
    assert value(words(make_lab(machines=[make_lab().machines[0].model_copy(update={"memory": None})])), "-m") == "2048"


def test_no_disk_of_any_kind() -> None:
    for firmware in Firmware:
        argv = words(make_lab(virtual=Virtual(firmware=firmware)))
        drives = [argv[place + 1] for place, word in enumerate(argv) if word == "-drive"]
        assert all(drive.startswith("if=pflash") for drive in drives)
        assert not {"-hda", "-cdrom", "-kernel", "-blockdev"} & set(argv)


@pytest.mark.parametrize("firmware", [Firmware.SECURE_BOOT, Firmware.SECURE_BOOT_HTTP])
def test_secure_boot_keeps_its_variables_from_the_system(firmware: Firmware) -> None:
    argv = words(make_lab(virtual=Virtual(firmware=firmware)))
    assert value(argv, "-machine").endswith(",smm=on")
    assert "driver=cfi.pflash01,property=secure,value=on" in argv
    assert f"if=pflash,format=raw,unit=0,readonly=on,file={qemu.OVMF_SECURE_CODE}" in argv
    assert value(argv, "-device").endswith(",romfile="), "an option ROM that nobody signed would be refused"


def test_uefi_boots_by_its_own_pxe() -> None:
    argv = words(make_lab(virtual=Virtual(firmware=Firmware.UEFI)))
    assert value(argv, "-device").endswith(",romfile=")
    assert f"if=pflash,format=raw,unit=0,readonly=on,file={qemu.OVMF_CODE}" in argv


def test_uefi_that_boots_by_http_does_not_try_pxe_before() -> None:
    no_pxe = [f"name=opt/org.tianocore/{version}PXESupport,string=n" for version in ("IPv4", "IPv6")]
    for firmware, said in (
        (Firmware.UEFI_HTTP, no_pxe),
        (Firmware.SECURE_BOOT_HTTP, no_pxe),
        (Firmware.UEFI, []),
        (Firmware.SECURE_BOOT, []),
    ):
        argv = words(make_lab(virtual=Virtual(firmware=firmware)))
        assert [argv[place + 1] for place, word in enumerate(argv) if word == "-fw_cfg"] == said, firmware


def test_a_machine_may_have_firmware_of_its_own() -> None:
    lab = make_lab(virtual=Virtual(firmware=Firmware.UEFI))
    cp1, w1 = lab.machines
    mixed = lab.model_copy(update={"machines": (cp1, w1.model_copy(update={"firmware": Firmware.BIOS}))})
    assert "-drive" in words(mixed, 0)
    assert "-drive" not in words(mixed, 1)
    assert not value(words(mixed, 1), "-device").endswith(",romfile="), "SeaBIOS boots by iPXE's ROM"


def test_cpu_is_the_hosts_under_kvm_and_the_labs_if_it_says_so() -> None:
    assert value(words(make_lab(), accel=Accelerator.KVM), "-cpu") == "host"
    assert value(words(make_lab(virtual=Virtual(cpu="Nehalem"))), "-cpu") == "Nehalem"


@pytest.mark.parametrize(
    ("cpuinfo", "kvm", "expected"),
    [
        ("flags\t\t: fpu vmx sse\n", "/dev/null", Accelerator.KVM),
        ("flags\t\t: fpu svm sse\n", "/dev/null", Accelerator.KVM),
        ("flags\t\t: fpu sse\nvmx flags\t: vnmi\n", "/dev/null", Accelerator.TCG),
        ("flags\t\t: fpu vmx sse\n", "/dev/nonexistent", Accelerator.TCG),
    ],
)
def test_kvm_needs_the_processor_and_the_device(cpuinfo: str, kvm: str, expected: Accelerator) -> None:
    assert qemu.accelerator(cpuinfo, Path(kvm), lambda: (10, 0)) is expected


@pytest.mark.parametrize(
    ("release", "expected"), [((8, 1), "multi"), ((8, 0), "single"), ((7, 2), "single"), (None, "single")]
)
def test_old_emulators_run_a_machine_s_processors_in_turn(release: tuple[int, ...] | None, expected: str) -> None:
    """Else the guest's kernel meets a breakpoint that it has taken away."""
    accel = qemu.accelerator("flags: fpu", Path("/nonexistent"), lambda: release)
    assert accel.emulates
    assert value(words(make_lab(), 1, accel), "-accel") == f"tcg,thread={expected}"
    assert value(words(make_lab(), 0, accel), "-accel") == "tcg,thread=multi", "a lab waits for its control plane"


def test_this_host_s_emulator_says_its_release() -> None:
    found = qemu.installed()
    assert found is not None
    assert found >= (7, 2)


def test_names_of_two_labs_never_meet() -> None:
    one, other = make_lab(name="a"), make_lab(name="a-b")
    machine = one.machines[0].model_copy(update={"name": "b-c"})
    assert qemu.identity(one, machine) != qemu.identity(other, machine.model_copy(update={"name": "c"}))


def test_a_comma_in_a_path_is_doubled() -> None:
    argv = qemu.arguments(
        State(Path("/a,b")).lab("room"), make_lab(), make_lab().machines[0], tap="t", accel=Accelerator.TCG
    )
    assert "path=/a,,b/labs/room/run/machines/cp1.qmp" in next(
        word for word in argv if word.startswith("socket,id=qmp0")
    )
