"""A full RAM disk, damage on the wire, a server killed mid-boot, a control plane that vanishes, a hang.

Machines arrive all the same: the tests, in this order, leave all three Ready.
"""

from __future__ import annotations

import os
import signal
import time

import pytest
from tests.vm.driver import Driver, server_pid
from tests.vm.faults import assert_found, cut_short, damaged, fault, flip, look, on

from nodisk.assets import built
from nodisk.machines import qemu, qmp
from nodisk.verify.core import Outcome
from nodisk.verify.staging import staged
from nodisk.waiting import Deadline

pytestmark = pytest.mark.vm


def test_a_full_ram_disk(vm: Driver) -> None:
    """Before the next test cuts its power: kubelet keeps new pods off a machine for minutes after the pressure."""
    room = int(on(vm, "w2", "df --output=avail -B1 /var/lib/kubelet").split()[-1])
    fill = f"sudo fallocate -l {room - 1024**2} /var/lib/kubelet/full"
    with (
        staged(vm.context(), "verify") as scene,
        fault(vm, "w2", fill, "sudo rm -f /var/lib/kubelet/full"),
    ):
        deadline = Deadline(900)
        # kubelet looks every ten seconds. A node that is late with its heartbeat meanwhile is another finding.
        while "DiskPressure" not in "\n".join((found := look(scene, "nodes")).evidence) and deadline.pause(2):
            pass
    assert_found(found, evidence="w2: DiskPressure", cause="a RAM disk of w2 is full", look="nodisk ssh w2 df -h")


@pytest.mark.apart
def test_a_ram_disk_with_too_many_files(vm: Driver) -> None:
    """Empty files take no room of it, but memory that nobody counts: a tmpfs has an end of them, and kubelet knows."""
    free = int(on(vm, "w2", "df --output=iavail /var/lib/kubelet").split()[-1])
    fill = f"sudo mkdir /var/lib/kubelet/full && cd /var/lib/kubelet/full && seq {free - 100} | sudo xargs touch"
    with (
        staged(vm.context(), "verify") as scene,
        fault(vm, "w2", fill, "sudo rm -rf /var/lib/kubelet/full"),
    ):
        vm.wait(lambda: look(scene, "nodes").outcome is not Outcome.OK, "kubelet says so")
        found = look(scene, "nodes")
    assert_found(found, evidence="w2: DiskPressure", cause="a RAM disk of w2 is full", look="nodisk ssh w2 df -i")


@pytest.mark.apart
def test_damage_on_the_wire_and_a_server_killed_in_the_middle_of_a_boot(vm: Driver) -> None:
    """What is not whole is never booted and said; once all is mended, the machine arrives by itself."""
    context = vm.context()
    image, _ = built.facts(context.state.state, context.lab)
    before, printed = vm.boot_ids(), len(vm.console("w2"))
    vm("lab", "power", "w2", "cut")

    with damaged(vm, image.initramfs, flip):
        began = time.time()
        vm("lab", "power", "w2", "on")
        reason = vm.await_event("w2", ["failed"], began)
        assert reason.startswith("rootfs: the initramfs came damaged"), reason
        vm("lab", "power", "w2", "cut")

    began = time.time()
    with damaged(vm, image.rootfs, flip):
        # The second damage lies over the first: between them is no moment in which the machine gets a whole file.
        with damaged(vm, image.rootfs, cut_short):
            vm("lab", "power", "w2", "on")

            def tried() -> bool:
                return any(event["detail"].startswith("rootfs: ") for event in vm.events("w2", began))

            vm.wait(tried, "w2 says that the rootfs is too short")
            said = next(e["detail"] for e in vm.events("w2", began) if e["detail"].startswith("rootfs: "))
            assert str(image.rootfs.size) in said
        reason = vm.await_event("w2", ["failed"], began)
        assert reason.startswith("rootfs: SHA-256 of the"), reason
        row = vm.status()["machines"]["w2"]
        assert row["stage"] == "failed"
        assert "rootfs" in row["reason"]
    console = vm.console("w2")[printed:]
    assert "systemd[1]" not in console
    assert "login:" not in console

    # With the wire mended the machine goes on by itself; and then the server dies under it.
    mended = time.time()
    vm.await_event("w2", ["ipxe"], mended)
    os.kill(server_pid(vm), signal.SIGKILL)
    time.sleep(5)  # it asks a server that is not there
    assert vm.status()["server"] == "stopped"
    vm("lab", "up", "--no-proof", "--within", "900", timeout=1000)
    vm.await_ready("w2", before=before)
    assert vm.boot_ids()["w1"] == before["w1"]  # the others never noticed


@pytest.mark.apart
def test_the_control_plane_vanishes_while_a_worker_joins(vm: Driver) -> None:
    before, began = vm.boot_ids(), time.time()
    vm("lab", "power", "w1", "cut")
    vm("lab", "power", "w1", "on")
    vm.await_event("w1", ["os", "enrolled"], began)
    vm("lab", "power", "cp1", "cut")
    vm("lab", "power", "cp1", "on")
    vm.await_ready("cp1", "w1", before=before)


@pytest.mark.apart
def test_a_machine_that_hangs_as_its_kernel_starts(vm: Driver) -> None:
    """Its processors are stopped, as the emulator once stopped them; ``lab up`` switches it off and on."""
    context, began, before = vm.context(), time.time(), vm.boot_ids()
    machine = context.lab.machine("w1")
    assert machine is not None
    vm("lab", "power", "w1", "cut")
    vm("lab", "power", "w1", "on")
    vm.await_event("w1", ["ipxe"], began)
    qmp.execute(qemu.Paths.of(context.state, machine).qmp, "stop")
    done = vm("lab", "up", "--no-proof", "--within", "900", timeout=1000)
    assert "w1 hung while its kernel started; power-cycled it\n" in done.stderr
    assert any(event["detail"].startswith("w1 hung") for event in vm.events("w1", began))
    vm.await_ready("w1", before=before)
