"""A room in network namespaces: a server with real daemons, and machines that are a veth and a MAC each."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.support import commands
from tests.support.waits import LONG, until

from nodisk import run, waiting
from nodisk.assets import built, docker_archive, shim
from nodisk.assets.store import Store
from nodisk.records.database import Database
from nodisk.spec.load import load
from nodisk.spec.model import Lab, Machine
from nodisk.state import LabState, State
from nodisk.waiting import Deadline

LAB = """\
name: test
network:
  subnet: 10.99.0.0/24
  server: 10.99.0.1
  dhcp: {dhcp}
kubernetes: {{source: debian, version: 1.20.2}}
machines:
  - {{name: cp1, mac: 52:54:00:99:00:11, address: 10.99.0.11, role: control-plane, memory: 2GiB}}
  - {{name: w1, mac: 52:54:00:99:00:21, address: 10.99.0.21, memory: 1GiB}}
"""
STRANGER = ("52:54:00:99:00:66", "10.99.0.66")
_NUMBERS = itertools.count(1)


@dataclass
class Room:
    """One segment: a namespace for the server, and one for each that talks to it."""

    name: str
    folder: Path
    lab_file: Path
    namespaces: list[str] = field(default_factory=list)
    server: subprocess.Popen[bytes] | None = None

    @property
    def lab(self) -> Lab:
        return load(self.lab_file)

    @functools.cached_property
    def state(self) -> LabState:
        """Of the lab's first name: a test may damage its lab.yaml."""
        return State(self.folder / "state").lab(str(self.lab.name))

    def machine(self, name: str) -> Machine:
        found = self.lab.machine(name)
        assert found is not None
        return found

    def plug(self, name: str, mac: str, address: str | None) -> str:
        """Connect one more namespace to the segment; its card is ``eth0``."""
        namespace = f"{self.name}-{name}"
        run.run(["ip", "netns", "add", namespace])
        self.namespaces.append(namespace)
        port = f"p-{name}"
        run.run(
            ["ip", "-n", self.name, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace]
        )
        run.run(["ip", "-n", self.name, "link", "set", port, "master", "lan", "up"])
        run.run(["ip", "-n", namespace, "link", "set", "eth0", "address", mac, "up"])
        run.run(["ip", "-n", namespace, "link", "set", "lo", "up"])
        if address:
            run.run(["ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "eth0"])
        return namespace

    def words(self, *words: str) -> list[str]:
        options = ["--lab", str(self.lab_file), "--state", str(self.folder / "state")]
        return [sys.executable, "-m", "nodisk", *words, *options]

    def nodisk(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of nodisk, in the server's namespace."""
        return commands.call(self.words(*words)[3:], netns=self.name, check=check, timeout=120)

    def start(self, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """``nodisk serve``; returns when run/ready.json is there."""
        self.server = run.start(self.words("serve"), log_file=self.folder / "serve.log", netns=self.name)
        if wait:
            self.wait_ready()
        return self.server

    def wait_ready(self, seconds: float = LONG) -> dict[str, object]:
        server = self.server
        assert server is not None
        ready = self.state.run / "ready.json"

        def own() -> dict[str, object]:
            try:
                value: dict[str, object] = json.loads(ready.read_text())
            except FileNotFoundError:
                return {}
            return value if value.get("pid") == server.pid else {}

        log = self.folder / "serve.log"
        return until(own, seconds=seconds, why=lambda: f"not ready: {log.read_text()}", process=server)

    def stop(self) -> int:
        assert self.server is not None
        self.server.send_signal(signal.SIGTERM)
        status = self.server.wait(120)
        self.server = None
        return status

    def database(self) -> Database:
        return Database(self.state.database)

    def armed(self) -> bool:
        with self.database() as database:
            return database.armed()

    def curl(self, namespace: str, *words: str) -> str:
        return run.run(["curl", "-sS", "--max-time", f"{LONG:g}", *words], netns=namespace).stdout

    def daemons(self) -> dict[int, str]:
        """Every process in the server's namespace: pid → command line."""
        found = {}
        for pid in run.run(["ip", "netns", "pids", self.name]).stdout.split():
            # A process may end between two looks: no file, or (opened already) nothing to read any more.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def await_none(self) -> None:
        """Wait until the last process of a server that was killed has gone: the kernel takes its time."""
        until(lambda: not self.daemons(), why=self.daemons)

    def unplug(self) -> None:
        """End the server by force, and take the namespaces away; its files stay."""
        if self.server is not None and self.server.poll() is None:
            self.server.kill()
            self.server.wait()
        waiting.until(lambda: not self.daemons(), Deadline(60), every=0.05)  # the namespaces go in any case
        for namespace in [*self.namespaces, self.name]:
            run.run(["ip", "netns", "delete", namespace], check=False)

    def close(self) -> None:
        """``unplug``, and no file is left either."""
        self.unplug()
        shutil.rmtree(self.folder, ignore_errors=True)


IPXE = b"as large as iPXE's programs are" * 8000
"""What a program of iPXE begins with; its name follows."""


def make_store(
    state: State, lab: Lab, *, pause: bytes = b"x" * 1000, programs: Mapping[str, bytes] = MappingProxyType({})
) -> None:
    """A store as ``nodisk build`` leaves it, with small files instead of real ones.

    ``pause``: what the one container image holds; ``programs``: of iPXE, that are to be real.
    """
    store = Store(state)
    with store.builder(), store.workspace() as work:

        def made(name: str, content: bytes) -> Path:
            path = work / name
            path.write_bytes(content)
            return path

        archive = work / "pause.tar"
        unpacked = docker_archive.write(
            archive,
            name="registry.k8s.io/pause:3.2",
            entries=[docker_archive.Entry("pause", pause)],
            config=docker_archive.Config(("/pause",)),
            work=work,
        )
        fake = {name: IPXE + name.encode() for name in ("undionly.kpxe", "snponly.efi", "ipxe-arm64.efi")}
        ipxe = {name: made(name, content) for name, content in {**fake, **programs}.items()}
        image = {
            "vmlinuz": made("vmlinuz", b"kernel" * 1000),
            "initramfs": made("initramfs", b"initramfs" * 1000),
            "root.squashfs": made("root.squashfs", os.urandom(3_000_000)),
        }
        manifests = {
            "image": store.add(
                "image",
                name="test",
                version="1",
                inputs={"test": 1},
                content=image,
                facts={"kernel_version": "6.1.0", "rootfs_unpacked": 5_000_000, "containerd": "1.7.24"},
            ),
            "release": store.add(
                "release",
                name="test",
                version="1.20.2",
                inputs={"test": 2},
                content={"kubeadm": made("kubeadm", b"kubeadm"), "pause.tar": archive},
                facts={
                    "source": "debian",
                    "images": [{"name": "registry.k8s.io/pause:3.2", "unpacked": unpacked, "file": "pause.tar"}],
                },
            ),
            "ipxe": store.add("ipxe", name="iPXE", version="1", inputs={"test": 3}, content=ipxe, facts={}),
            "containers": store.add(
                "containers", name="test", version="1", inputs={"test": 4}, content={}, facts={"images": []}
            ),
        }
        if lab.any_signed_loader:
            signed = {name: made(name, b"a signed " + name.encode()) for name in (shim.SHIM, shim.GRUB)}
            manifests[shim.KIND] = store.add(
                shim.KIND, name="test", version="1", inputs={"test": 5}, content=signed, facts={}
            )
    built.record(state, lab, manifests, why="a test")


def new_name() -> str:
    """A namespace's name that no other test has."""
    return f"nodisk-test-{os.getpid()}-{next(_NUMBERS)}"


def lay_cable(name: str) -> None:
    """The server's namespace, with the segment that machines are plugged into."""
    run.run(["ip", "netns", "add", name])
    run.run(["ip", "-n", name, "link", "set", "lo", "up"])
    run.run(["ip", "-n", name, "link", "add", "lan", "type", "bridge"])
    run.run(["ip", "-n", name, "link", "set", "lan", "up"])
    run.run(["ip", "-n", name, "address", "add", "10.99.0.1/24", "dev", "lan"])


def make_room(
    dhcp: str, *, lab: str = LAB, folder_suffix: str = "", programs: Mapping[str, bytes] = MappingProxyType({})
) -> Room:
    name = new_name()
    folder = Path(tempfile.mkdtemp(prefix=name + "-", suffix=folder_suffix))
    folder.chmod(0o755)
    lab_file = folder / "lab.yaml"
    lab_file.write_text(lab.format(dhcp=dhcp))
    room = Room(name, folder, lab_file)
    lay_cable(name)
    make_store(State(folder / "state"), room.lab, programs=programs)
    return room


@contextlib.contextmanager
def running_room(*, lab: str = LAB, armed: bool = False) -> Iterator[Room]:
    """A room with full DHCP whose server runs, with its machines and a stranger plugged in."""
    made = make_room("full", lab=lab)
    try:
        for machine in made.lab.machines:
            made.plug(str(machine.name), str(machine.mac), str(machine.address))
        made.plug("stranger", *STRANGER)
        made.start()
        if armed:
            made.nodisk("arm")
        yield made
    finally:
        made.close()
