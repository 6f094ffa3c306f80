"""A server that is a QEMU machine with a disk, and its power: machine and disk are killed at once.

The disk is nbdkit with its cache filter and ``cache=writeback``: what the guest writes goes into a cache that dies with
nbdkit, and only a flush writes it to the disk's file. QEMU's own cache modes can't lose anything so: what they leave to
the host's page cache outlives QEMU, and what they don't is written at once. ::

    guest ── virtio-blk ── QEMU ── nbd (unix socket) ── nbdkit, its cache ── disk.img     what no flush covered is gone
      └───── virtio-serial ports ── QEMU ── NAME.said                                     what was said stays
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import power_image
from tests.support.power_guest import REPORTS, packed
from tests.support.power_image import Image
from tests.support.power_parts import PARTS
from tests.support.power_said import Said, parsed

from nodisk import run
from nodisk.errors import NodiskError
from nodisk.machines import qemu
from nodisk.machines.qemu import Accelerator
from nodisk.waiting import Deadline, until

SLOWER = 4.0
"""How many times longer than on the host itself all may write: without KVM everything is emulated."""
READY = 1800.0
"""Seconds for a boot, and for all to write: success ends the wait, this only ends a test that has failed."""
JUDGED = 3600.0
EAGER = frozenset(name for part in PARTS.values() for name in part.writers) - {"backups"}
"""Those who must have begun before the power is cut; a backup's beginning says nothing."""
MIB = 2048
KERNEL = "root=/dev/vda rw fastboot init=/sbin/power-guest console=ttyS0 quiet panic=-1"
"""``fastboot``: the kernel replays the journal, as always, and no e2fsck mends before anybody has looked."""


class Gone(NodiskError):
    """The machine has ended, or doesn't answer."""


def moment(seed: int, parts: Sequence[str], slower: float = 1.0) -> float:
    """Seconds after which the power is cut, counted from when all write."""
    return slower * random.Random(seed).uniform(0.5, max(PARTS[part].longest for part in parts))  # noqa: S311


def disk_words(file: Path, socket: Path) -> list[str]:
    """The disk's command line. It caches the file system's own blocks, so nothing is flushed along with a neighbour.

    Behind the cache no flush goes on to the host's disk (``fuamode=discard``): its power stays, and it is slow.
    """
    words = ["nbdkit", "--foreground", "--unix", str(socket)]
    words += ["--filter=cache", "--filter=fua", "file", str(file)]
    words += ["cache=writeback", "cache-min-block-size=4096", "fuamode=discard"]
    return words


def machine_words(image: Image, folder: Path, names: Sequence[str], accel: Accelerator) -> list[str]:
    """QEMU's command line; ``names``: of the serial ports."""
    emulated = accel.emulates
    words = [qemu.PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    words += ["-machine", "q35,graphics=off,vmport=off"]
    # Side by side, as a control plane's processors: a cut's minutes are what count.
    words += ["-accel", (Accelerator.TCG if emulated else accel).value]
    words += ["-cpu", qemu.EMULATED_CPU if emulated else "host"]
    words += ["-smp", "2", "-m", str(MIB)]
    words += ["-kernel", str(image.kernel), "-initrd", str(image.initramfs), "-append", KERNEL]
    words += ["-blockdev", f"driver=nbd,node-name=disk,server.type=unix,server.path={folder / 'disk.sock'}"]
    words += ["-device", "virtio-blk-pci,drive=disk,addr=4,write-cache=on"]
    for slot, name in ((5, "code.squashfs"), (6, "orders")):
        node = name.partition(".")[0]
        words += ["-blockdev", f"driver=file,node-name={node},filename={folder / name},read-only=on"]
        words += ["-device", f"virtio-blk-pci,drive={node},addr={slot}"]
    words += ["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"]
    words += ["-chardev", f"file,id=console,path={folder / 'console.log'}", "-serial", "chardev:console"]
    words += ["-device", "virtio-serial-pci"]
    for name in names:
        words += ["-chardev", f"file,id={name},path={folder / name}.said"]
        words += ["-device", f"virtserialport,chardev={name},name={name}"]
    return words


class Disk:
    """nbdkit, serving a file until it is killed."""

    def __init__(self, file: Path, folder: Path) -> None:
        socket = folder / "disk.sock"
        socket.unlink(missing_ok=True)
        self.process = _tied(disk_words(file, socket), folder / "disk.log", group=0, TMPDIR=str(folder))
        if not until(lambda: socket.exists() or self.process.poll() is not None, Deadline(60), every=0.05):
            raise Gone("the disk doesn't start: " + _end_of(folder / "disk.log"))

    def cut(self) -> None:
        """Kill it, and what was started in its group, by one call; returns when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Machine:
    """The server: boots, does what it was ordered, and is cut, again and again on the same disk."""

    def __init__(self, image: Image, folder: Path) -> None:
        """``folder``: empty; for the disk's file and all that the machine says."""
        self.image, self.folder, self.file = image, folder, folder / "disk.img"
        self.as_cut = folder / "cut.img"
        self._disk: Disk | None = None
        self._qemu: subprocess.Popen[bytes] | None = None
        power_image.pack_code(folder)
        self.renew()

    @property
    def writers(self) -> list[str]:
        """The names of the ports of those who write."""
        return [name for part in PARTS.values() for name in part.writers]

    def renew(self) -> None:
        """Begin again with a disk that has never been cut."""
        self.cut()
        copy(self.image.disk, self.file)

    def boot(self, orders: Mapping[str, Any]) -> None:
        """Start it with orders (``power_guest.main``)."""
        for name in (*self.writers, REPORTS):
            self._said(name).unlink(missing_ok=True)
        (self.folder / "orders").write_bytes(packed(orders))
        self._disk = Disk(self.file, self.folder)
        words = machine_words(self.image, self.folder, [REPORTS, *self.writers], qemu.accelerator())
        self._qemu = _tied(words, self.folder / "qemu.log", group=self._disk.process.pid)

    def wait(self, what: str, seconds: float) -> Any:
        """Wait until the guest has reported it; returns the value. Raises Gone."""
        until(lambda: self._ended() or what in self._reports(), Deadline(seconds), every=0.2)
        reports = self._reports()
        if what not in reports:
            raise Gone(f"the server never says {what!r}: {_end_of(self.folder / 'console.log')}")
        return reports[what]

    def wait_for_writers(self, parts: Sequence[str]) -> None:
        """Wait until everybody who must has said something. Raises Gone."""
        eager = [name for part in parts for name in PARTS[part].writers if name in EAGER]
        self.wait("writing", READY)

        def settled() -> bool:
            return self._ended() or "ended" in self._reports() or all(map(self._begun, eager))

        until(settled, Deadline(READY), every=0.05)
        if silent := [name for name in eager if not self._begun(name)]:
            raise Gone(f"nothing is written by {', '.join(silent)}: {_end_of(self.folder / 'console.log')}")

    def cut(self) -> None:
        """Cut the power of machine and disk."""
        if self._disk is not None:
            self._disk.cut()
        if self._qemu is not None:
            self._qemu.kill()  # it was in the disk's group, unless the disk had ended by itself
            self._qemu.wait()
        self._disk = self._qemu = None

    def said(self, parts: Sequence[str]) -> dict[str, dict[str, Said]]:
        """What the writers of each part had acknowledged, by name."""
        return {part: {name: self._acknowledged(name) for name in PARTS[part].writers} for part in parts}

    def check(self) -> str:
        """What ``e2fsck`` says of a copy of the disk, whose journal it replays; empty: nothing is wrong.

        Another copy, as the disk is now, is ``as_cut`` until the next check.
        """
        checked = self.folder / "checked.img"
        copy(self.file, self.as_cut)
        copy(self.as_cut, checked)
        done = run.run(["e2fsck", "-f", "-p", checked], check=False)
        checked.unlink()
        return "" if done.returncode in (0, 1) else done.stdout + done.stderr

    def _ended(self) -> bool:
        if self._qemu is None or self._disk is None:
            return True
        return self._qemu.poll() is not None or self._disk.process.poll() is not None

    def _said(self, name: str) -> Path:
        return self.folder / f"{name}.said"

    def _begun(self, name: str) -> bool:
        return self._said(name).stat().st_size > 0

    def _acknowledged(self, name: str) -> Said:
        return parsed(self._said(name).read_text().splitlines(keepends=True))

    def _reports(self) -> dict[str, Any]:
        return reports(self._said(REPORTS).read_bytes()) if self._said(REPORTS).exists() else {}


def reports(said: bytes) -> dict[str, Any]:
    """What the guest has reported: the value by what it is, without a line that isn't whole yet."""
    return dict(json.loads(line) for line in said.splitlines(keepends=True) if line.endswith(b"\n"))


@contextlib.contextmanager
def machine(image: Image, folder: Path) -> Iterator[Machine]:
    """A machine for a test, killed at the end; its files stay."""
    made = Machine(image, folder)
    try:
        yield made
    finally:
        made.cut()


def copy(file: Path, to: Path) -> None:
    """Copy a disk, holes included."""
    run.run(["cp", "--sparse=always", file, to])


def _tied(words: Sequence[str], log: Path, *, group: int, **env: str) -> subprocess.Popen[bytes]:
    """Start a program that dies with this one; ``group``: of processes, 0 for a new one."""
    run.find(words[0])  # raises ToolMissing, with the package that brings it
    with log.open("wb") as out:
        return subprocess.Popen(
            [str(word) for word in run.tied([run.find(words[0]), *words[1:]])],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **env},
            process_group=group,
        )


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:] if log.exists() else "it has said nothing"
