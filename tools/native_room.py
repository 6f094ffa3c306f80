"""A lab whose machines run at this host's own speed: ``python tools/native_room.py up LAB.yaml``, and ``down`` (root).

For developers who have no KVM. The server is the real one, in the network namespace of a virtual lab. Each machine is
the image's own root (squashfs, overlay in RAM) with its own systemd, in namespaces of this host's kernel, not in QEMU.
It takes the boot script of its MAC as iPXE does, Ignition applies its config, it enrols with its nonce; so containerd,
kubelet, kube-proxy, nftables and control plane are what a PC would run, with what it would be told.

What it is not: a machine. Firmware, loader, kernel, drivers, initramfs and RAM are not the machine's own, and cgroups
are the host's (v1 here; a machine has v2). Its results are never counted as a diskless machine's
(docs/explanation/conformance.md). All other commands work as on a virtual lab: ``nodisk conformance --lab LAB.yaml``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from nodisk import run, virtual_record  # noqa: E402 - found by the path above
from nodisk.assets.store import Store  # noqa: E402
from nodisk.context import LabContext, LabOptions  # noqa: E402
from nodisk.errors import EnvironmentProblem, NodiskError  # noqa: E402
from nodisk.machines import processes  # noqa: E402
from nodisk.machines.segment import Segment  # noqa: E402
from nodisk.machines.virtual import Virtual  # noqa: E402
from nodisk.records import virtual_lab  # noqa: E402
from nodisk.records.database import Database  # noqa: E402
from nodisk.records.nonces import FOREVER  # noqa: E402
from nodisk.spec.model import Machine  # noqa: E402
from nodisk.state import DEFAULT_STATE, State  # noqa: E402
from nodisk.waiting import Deadline, until  # noqa: E402

SCRIPT = Path(__file__).with_name("native_room") / "machine.sh"
CGROUPS = Path("/sys/fs/cgroup")
CONTROLLERS = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "systemd")
KERNEL = {  # what kubelet and /etc/sysctl.d set of the whole kernel, and what a machine would say
    "vm.overcommit_memory": 1,
    "vm.panic_on_oom": 0,
    "kernel.panic": 10,
    "kernel.panic_on_oops": 1,
    "kernel.keys.root_maxkeys": 1000000,
    "kernel.keys.root_maxbytes": 25000000,
    "fs.inotify.max_user_instances": 1024,
    "fs.inotify.max_user_watches": 131072,
}
INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
"""The kernel counts root's of all machines together."""


@dataclass(frozen=True, slots=True)
class Native:
    """One machine."""

    context: LabContext
    machine: Machine

    @property
    def folder(self) -> Path:
        """Where its root is put together; its name marks the processes."""
        return self.context.state.run / "native" / str(self.machine.name)

    @property
    def netns(self) -> str:
        """Its network namespace."""
        return f"{Segment.of(self.context.lab).netns}-{self.machine.name}"

    @property
    def port(self) -> str:
        """Its end of the wire at the bridge."""
        return "n" + str(self.machine.mac).replace(":", "")

    def start(self) -> None:
        """Wire it, take its boot script and config, and start its systemd."""
        self._wire()
        for part in ("root", "lower", "overlay", "sysctl", "cgroup"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        script = self._fetch(f"/boot/{self.machine.mac.hyphened}.ipxe?boot=new")
        found = re.search(r"^kernel \S+ (.*?) \|\|", script, re.MULTILINE)
        if found is None or "nodisk.nonce=" not in found[1]:
            raise NodiskError(f"{self.machine.name} was given no script of an armed lab:\n{script}")
        (self.folder / "cmdline").write_text(found[1] + "\n")
        arguments = dict(word.partition("=")[::2] for word in found[1].split())
        (self.folder / "user.ign").write_text(self._fetch(arguments["ignition.config.url"]))
        link = self.folder / "root.squashfs"
        link.unlink(missing_ok=True)
        link.symlink_to(Store(self.context.state.state).objects / arguments["nodisk.sha256"] / "root.squashfs")
        for key, value in KERNEL.items():
            (self.folder / "sysctl" / key).write_text(f"{value}\n")
        self._cgroups()
        # Not by `ip netns exec`, which lays a /sys without cgroups over this host's.
        words: list[str | Path] = ["nsenter", f"--net=/run/netns/{self.netns}", SCRIPT]
        words += [self.folder, str(self.machine.name), str(self.machine.mac)]
        run.start(words, log_file=self.folder / "boot.log")
        until(lambda: self.first() is not None, Deadline(20), every=0.2)

    def stop(self) -> None:
        """End it as a power cut does, and take its wire and cgroups away."""
        if (first := self.first()) is not None:
            os.kill(first, signal.SIGKILL)  # the kernel ends all others of the machine with it
        processes.end(processes.find([str(SCRIPT), str(self.folder)]))
        if any(entry["name"] == self.netns for entry in json.loads(run.run(["ip", "-j", "netns"]).stdout or "[]")):
            run.run(["ip", "netns", "delete", self.netns])
        for link in (self.folder / "cgroup").glob("*"):
            group = link.resolve()
            if group.exists() and not until(partial(_remove, group), Deadline(20), every=0.2):
                raise NodiskError(f"{group} can't be removed: something of {self.machine.name} is left in it")
            link.unlink()

    def runs(self) -> bool:
        """Whether it has been started."""
        return bool(processes.find([str(SCRIPT), str(self.folder)]))

    def first(self) -> int | None:
        """Its first process, as this host counts; None if there is none."""
        for pid in processes.find([str(SCRIPT), str(self.folder)]):
            if processes.command_line(pid)[0].endswith("unshare"):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                return int(children[0]) if children else None
        return None

    def _wire(self) -> None:
        segment = Segment.of(self.context.lab)
        run.run(["ip", "netns", "add", self.netns])
        nic = ["name", "eth0", "netns", self.netns, "address", str(self.machine.mac)]
        run.run(["ip", "-n", segment.netns, "link", "add", self.port, "type", "veth", "peer", *nic])
        run.run(["ip", "-n", segment.netns, "link", "set", self.port, "master", virtual_lab.BRIDGE, "up"])
        address = f"{self.machine.address}/{segment.server.network.prefixlen}"
        run.run(["ip", "-n", self.netns, "link", "set", "lo", "up"])
        run.run(["ip", "-n", self.netns, "address", "add", address, "dev", "eth0"])
        run.run(["ip", "-n", self.netns, "link", "set", "eth0", "up"])

    def _fetch(self, what: str) -> str:
        url = what if "://" in what else f"http://{self.context.lab.network.server}{what}"
        return run.run(["curl", "--silent", "--show-error", "--fail", "--retry", "5", url], netns=self.netns).stdout

    def _cgroups(self) -> None:
        """A cgroup of its own in each hierarchy, below that of this process."""
        own: dict[str, str] = {}
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own |= {one.removeprefix("name="): path for one in controllers.split(",")}
        for controller in CONTROLLERS:
            group = CGROUPS / controller / own[controller].lstrip("/") / self.netns
            group.mkdir(exist_ok=True)
            if controller == "cpuset":  # nothing runs in a new one until it has some
                for part in ("cpus", "mems"):
                    (group / f"cpuset.{part}").write_text((group.parent / f"cpuset.{part}").read_text())
                (group / "cgroup.clone_children").write_text("1")
            link = self.folder / "cgroup" / controller
            link.unlink(missing_ok=True)
            link.symlink_to(group)


def _remove(top: Path) -> bool:
    """Remove a cgroup with those in it; whether it is gone."""
    try:
        for path, _, _ in os.walk(top, topdown=False):
            Path(path).rmdir()
    except OSError:
        return False
    return True


def up(context: LabContext) -> None:
    """The server, then every machine; what runs already is left alone."""
    if missing := [one for one in CONTROLLERS if not (CGROUPS / one / "tasks").exists()]:
        raise EnvironmentProblem(f"this host has no cgroup v1 hierarchies of their own for {', '.join(missing)}")
    lab, state = context.lab, context.state
    if int(INSTANCES.read_text()) < KERNEL["fs.inotify.max_user_instances"]:
        (state.run / "native").mkdir(parents=True, exist_ok=True)
        (state.run / "native" / "inotify").write_text(INSTANCES.read_text())
        INSTANCES.write_text(str(4 * KERNEL["fs.inotify.max_user_instances"]))
    virtual = Virtual(lab, context.file, state)
    virtual.segment.up()
    virtual.make_ssh_key()
    virtual_lab.note_emulated(state, yes=False)
    virtual.services.start_server()
    ports = virtual.services.start_forwarder()
    record = virtual_record.Record(
        str(context.file), virtual.segment.netns, virtual_lab.BRIDGE, ports["api"], ports["http"]
    )
    virtual_record.write(state, record)
    with Database(state.database) as database:
        database.arm(FOREVER)
    for machine in lab.machines:
        native = Native(context, machine)
        if not native.runs():
            native.stop()
            native.start()
        print(
            f"{machine.name}: its logs are in {native.folder}, a shell in it: nsenter --all --target {native.first()}"
        )


def down(context: LabContext, *, purge: bool) -> None:
    """Every machine, then the server, and this host as it was; with ``purge`` also the lab's state."""

    def cut() -> list[str]:
        natives = [Native(context, machine) for machine in context.lab.machines]
        on = [str(native.machine.name) for native in natives if native.runs()]
        for native in natives:
            native.stop()
        if (before := context.state.run / "native" / "inotify").exists():
            INSTANCES.write_text(before.read_text())
            before.unlink()
        return on

    Virtual(context.lab, context.file, context.state).remains.down(print, purge=purge, cut=cut)


def main() -> None:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["up", "down"])
    parser.add_argument("lab", type=Path)
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE)
    parser.add_argument("--purge", action="store_true", help="with down: remove the lab's state too")
    options = parser.parse_args()
    try:
        context = LabOptions(options.lab.absolute(), State(options.state.absolute())).load()
        if options.what == "up":
            up(context)
        else:
            down(context, purge=options.purge)
    except NodiskError as error:
        sys.exit(f"{error}\n{error.hint or ''}")


if __name__ == "__main__":
    main()
