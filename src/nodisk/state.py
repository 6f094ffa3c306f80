"""The state directory's layout on the server's disk, known only here.

::

    STATE (default /var/lib/nodisk)
    ├── assets/              the content-addressed store, shared by all labs of this host
    ├── cache/               downloads and build roots; may be deleted at any time
    ├── restoring/           0700: what a restore or its proof has loaded so far; empty while none runs
    ├── set-aside/           0700: what restores have replaced, by lab and time
    └── labs/NAME/
        ├── pki/             0700: CA keys, service-account key, administrator's kubeconfig
        ├── etcd/            0700: etcd's data
        ├── registry/        the container registry's data
        ├── class-registry/  students' images, where lab.yaml has a registry for them: mounted while the server runs
        ├── class-registry.img   the file system of these images (``storage.class_registry``)
        ├── classes/         0700: class records
        ├── storage/         0700: students' volumes (``storage.volumes`` knows what is in it)
        ├── power/           0700: passwords of BMCs and plugs, one file per machine
        ├── ssh/             0700: a virtual lab's own key, where lab.yaml names none
        ├── reports/         earlier reports of verify and bench
        ├── conformance/     runs of Kubernetes' own suite (``conformance.records`` reads and writes them)
        ├── conf/            generated configurations of the daemons
        ├── log/             one file per daemon, one console per virtual machine
        ├── run/             sockets, pid files, locks; empty while nothing runs
        ├── www/             files of this lab only that nginx serves
        ├── mirrored.json    which images of add-ons are mirrored (``assets.mirrored``)
        ├── holds.json       0600: which machines boot an earlier build (``assets.holds``)
        ├── upgrade.json     0600: how far an upgrade is (``upgrade.journal``); there while one is on its way
        └── nodisk.db        SQLite: events, nonces, the armed window, alarms
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nodisk.errors import UsageError

DEFAULT_STATE = Path("/var/lib/nodisk")
_USABLE = re.compile(r"/[A-Za-z0-9._/+-]*")
"""The daemons' configuration files have different quoting rules, or none: these characters are safe in all."""


def check_path(path: Path) -> Path:
    """Return an absolute path if state can be stored below it; raises UsageError if daemons' files couldn't name it.

    nginx, dnsmasq, chronyd and nfs-ganesha read paths below it from their configurations, where a space, a quote or a
    semicolon would end the path or begin something else.
    """
    if _USABLE.fullmatch(str(path)) is None:
        raise UsageError(
            f"{str(path)!r} can't be a state directory: its path may have only ASCII letters, digits and . _ + - /",
            hint="choose another one with --state DIR",
        )
    return path


@dataclass(frozen=True, slots=True)
class State:
    """The state directory of a host."""

    root: Path = DEFAULT_STATE

    @property
    def assets(self) -> Path:
        """The content-addressed store."""
        return self.root / "assets"

    @property
    def cache(self) -> Path:
        """What can be made again: downloads, build roots."""
        return self.root / "cache"

    @property
    def restoring(self) -> Path:
        """What a restore, or the proof of a backup, has loaded so far; 0700."""
        return self.root / "restoring"

    @property
    def set_aside(self) -> Path:
        """What restores have replaced; 0700."""
        return self.root / "set-aside"

    @property
    def labs(self) -> Path:
        """The folder with one folder per lab."""
        return self.root / "labs"

    def lab(self, name: str) -> LabState:
        """The part that belongs to the lab ``name``."""
        return LabState(self, name)

    def each_lab(self) -> list[LabState]:
        """The parts of all labs that this host has had."""
        return [self.lab(path.name) for path in sorted(self.labs.glob("*")) if path.is_dir()]

    def each_virtual(self) -> list[LabState]:
        """The parts of the virtual labs that run, as far as this user may look into them."""
        return [self.lab(path.parent.parent.name) for path in sorted(self.labs.glob("*/run/virtual.json"))]


@dataclass(frozen=True, slots=True)
class LabState:
    """One lab's part of the state directory."""

    state: State
    name: str

    @property
    def root(self) -> Path:
        """The lab's folder."""
        return self.state.labs / self.name

    @property
    def pki(self) -> Path:
        """Keys and certificates; 0700."""
        return self.root / "pki"

    @property
    def etcd(self) -> Path:
        """etcd's data folder; 0700."""
        return self.root / "etcd"

    @property
    def registry(self) -> Path:
        """The container registry's data."""
        return self.root / "registry"

    @property
    def class_registry(self) -> Path:
        """The class registry's data, where the server mounts it."""
        return self.root / "class-registry"

    @property
    def classes(self) -> Path:
        """Class records; 0700."""
        return self.root / "classes"

    @property
    def handouts(self) -> Path:
        """Handouts of classes that were made in the console, a folder for each; 0700."""
        return self.root / "handouts"

    @property
    def storage(self) -> Path:
        """Students' volumes; 0700."""
        return self.root / "storage"

    @property
    def ssh(self) -> Path:
        """A virtual lab's own SSH key (``id_ed25519``), if lab.yaml names none; 0700."""
        return self.root / "ssh"

    @property
    def power(self) -> Path:
        """Passwords of BMCs and smart plugs (``machines.passwords`` reads and writes them); 0700."""
        return self.root / "power"

    @property
    def backup(self) -> Path:
        """The backups' password and record (``records.backups``); what one gathers while it runs; 0700."""
        return self.root / "backup"

    @property
    def built(self) -> Path:
        """Which assets are the lab's (``assets.built`` reads and writes it)."""
        return self.root / "built.json"

    @property
    def mirrored(self) -> Path:
        """Which images of add-ons are mirrored (``assets.mirrored`` reads and writes it)."""
        return self.root / "mirrored.json"

    @property
    def holds(self) -> Path:
        """Which machines boot an earlier build (``assets.holds`` reads and writes it); 0600."""
        return self.root / "holds.json"

    @property
    def upgrade(self) -> Path:
        """How far an upgrade is, while one is on its way (``upgrade.journal`` reads and writes it); 0600."""
        return self.root / "upgrade.json"

    @property
    def menu_password(self) -> Path:
        """The hash of the boot menu's password (``records.menu_password`` reads and writes it); 0600."""
        return self.root / "menu-password.json"

    @property
    def reports(self) -> Path:
        """Reports of verify and bench, for the trend."""
        return self.root / "reports"

    @property
    def conformance(self) -> Path:
        """Runs of Kubernetes' conformance suite, a folder each."""
        return self.root / "conformance"

    @property
    def measuring(self) -> Path:
        """The lock of whoever measures or tests the cluster. Not in ``run``, which goes while somebody may hold it."""
        return self.root / "measure.lock"

    @property
    def isolation(self) -> Path:
        """The result of the latest attempt of a student's pod to reach another's (``records.isolation``)."""
        return self.root / "isolation.json"

    @property
    def conf(self) -> Path:
        """Generated configurations of the daemons."""
        return self.root / "conf"

    @property
    def host(self) -> Path:
        """What the server found on its host when it last started (``records.host`` reads and writes it)."""
        return self.conf / "host.json"

    @property
    def log(self) -> Path:
        """Logs of daemons, consoles of virtual machines."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """Sockets, pid files, locks."""
        return self.root / "run"

    @property
    def www(self) -> Path:
        """Files of this lab only that nginx serves."""
        return self.root / "www"

    @property
    def database(self) -> Path:
        """Events, nonces, the armed window, alarms."""
        return self.root / "nodisk.db"

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for use where the lab's network can be reached; 0600."""
        return self.pki / "admin.kubeconfig"

    @property
    def bench(self) -> Path:
        """Only in a lab that ``nodisk lab bench`` created, and so may remove: the units disabled on its machines."""
        return self.root / "made-by-lab-bench"

    @property
    def emulated(self) -> Path:
        """There while a virtual lab runs without KVM; ``records.virtual_lab`` reads and writes it."""
        return self.run / "emulated"

    @property
    def virtual(self) -> Path:
        """The record of a running virtual lab (absent: none runs); ``virtual_record`` reads and writes it."""
        return self.run / "virtual.json"
