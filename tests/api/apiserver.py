"""A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager; started in seconds, no machines.

It stands where a lab's own would: certificates by ``nodisk.pki``, RBAC and NodeRestriction on, and the API reached
through the lab's unix socket, as in a virtual lab. Everything is ended by its process id.
"""

from __future__ import annotations

import asyncio
import functools
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tests.support import assets
from tests.support.free_ports import free_port
from tests.support.inside import enter, inside
from tests.support.waits import until

from nodisk import virtual_record
from nodisk.assets import progress, release, release_debian
from nodisk.assets.work import Work
from nodisk.context import LabContext
from nodisk.kube import kubeconfig
from nodisk.kube.client import Client, connect
from nodisk.kube.errors import ApiError
from nodisk.pki import certs, profiles
from nodisk.pki.authority import Authority
from nodisk.spec.load import parse
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.values import KubeVersion

LAB = """\
name: {name}
network:
  subnet: {subnet}.0/24
  server: {subnet}.1
kubernetes:
  source: debian
machines:
  - {{name: cp1, mac: "52:54:00:77:00:0b", address: {subnet}.11, role: control-plane}}
  - {{name: w1, mac: "52:54:00:77:00:15", address: {subnet}.21}}
"""


def binaries() -> Path:
    """The release's programs: $NODISK_TEST_BIN, else the store's; they are built if it has none."""
    if named := os.environ.get("NODISK_TEST_BIN"):
        return Path(named)
    with assets.builder() as store:
        for manifest in store.manifests():
            if manifest.kind == "release" and "kube-apiserver" in release.programs_of(manifest):
                return store.tree(manifest, release.programs_of(manifest))
        with store.builder(), progress.board() as board:
            made = asyncio.run(release_debian.recipe(None).make(Work(assets.state(), store, board)))
        return store.tree(made, release.programs_of(made))


class Forwarder:
    """The lab's ``api.sock``: what nginx is in a lab. ``cut`` makes the API unreachable, ``mend`` brings it back.

    ``break_after(n)`` cuts everything as soon as n more requests have gone through. ``delay`` is what each piece that a
    client sends waits on its way, in seconds; while ``open`` is cleared none gets through.
    """

    def __init__(self, path: Path, port: int, netns: str = "") -> None:
        self._path, self._port, self._netns = path, port, netns
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._left: int | None = None
        self.delay = 0.0
        self.open = threading.Event()
        self.open.set()
        self.connections = 0
        self.mend()

    def mend(self) -> None:
        self._path.unlink(missing_ok=True)
        self._left = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for peer in self._open:
                try:
                    peer.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def break_after(self, records: int) -> None:
        self._left = records

    def _accept(self, listener: socket.socket) -> None:
        if self._netns:
            enter(self._netns)
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                far = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            threading.Thread(target=self._copy, args=(near, far), daemon=True).start()

    def _copy(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            try:
                while True:
                    for source in select.select([near, far], [], [])[0]:
                        data = source.recv(65536)
                        if not data:
                            return
                        if source is near:
                            time.sleep(self.delay)
                            self.open.wait()
                        if source is near and self._left is not None:
                            self._left -= 1
                            if self._left <= 0:
                                self.cut()
                                return
                        (far if source is near else near).sendall(data)
            except OSError:
                return
            finally:
                with self._lock:
                    self._open -= {near, far}


@dataclass
class ControlPlane:
    """The running control plane and the lab whose it is."""

    folder: Path
    bin: Path
    extra: tuple[str, ...] = ()
    """More flags of kube-apiserver."""
    controllers: tuple[str, ...] = ()
    """More flags of kube-controller-manager."""
    name: str = "room"
    subnet: str = "10.77.0"
    """The first three numbers of the lab's addresses."""
    etcd_data: Path | None = None
    """Where etcd keeps its data; None: in ``folder``."""
    netns: str = ""
    """The network namespace in which all of it runs; empty: this process's own."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = State(self.folder / "state")
        self.lab_file = self.folder / "lab.yaml"
        self.lab_file.parent.mkdir(parents=True, exist_ok=True)
        self.lab_file.write_text(LAB.format(name=self.name, subnet=self.subnet))
        self.lab: Lab = parse(self.lab_file.read_text(), file=self.lab_file)
        self.lab_state = self.state.lab(str(self.lab.name))
        self.authority = Authority(self.lab_state, self.lab)
        self.port, self.etcd_port = free_port(), free_port()
        self.kubeconfig = self.folder / "loopback.kubeconfig"

    @property
    def context(self) -> LabContext:
        """As a command of nodisk sees the lab."""
        return LabContext(self.lab, self.lab_file, self.lab_state, "nodisk-test")

    def client(self, *, patience: float = 10) -> Client:
        return connect(self.context, patience=patience)

    def start(self) -> None:
        self.authority.ensure()
        self.lab_state.run.mkdir(parents=True, exist_ok=True)
        virtual_record.write(
            self.lab_state, virtual_record.Record(str(self.lab_file), "nodisk-test", "lab0", self.port, self.port)
        )
        self._certificates()
        document = yaml.safe_load(self.lab_state.admin_kubeconfig.read_text())
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        self.kubeconfig.write_text(yaml.safe_dump(document))
        self._start_etcd()
        self.start_api()
        self.forwarder = Forwarder(self.lab_state.run / "api.sock", self.port, self.netns)
        self._start_controllers()

    def _certificates(self) -> None:
        machine = self.lab.machines[0]
        for name in ("apiserver", "controller-manager", "front-proxy-client"):
            profile = profiles.PROFILES[name]
            key = certs.new_key()
            names = profiles.sans(profile, self.lab, machine)
            request = x509.CertificateSigningRequestBuilder().subject_name(
                certs.subject(profile.common_name, profile.organization)
            )
            if names.names:
                alternatives = [*map(x509.DNSName, names.names), *map(x509.IPAddress, names.addresses)]
                request = request.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            csr = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
            (self.folder / f"{name}.key").write_bytes(certs.key_pem(key))
            (self.folder / f"{name}.crt").write_bytes(self.authority.sign(machine, profile, csr))

    def run(self, name: str, argv: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._in_netns(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _in_netns(self, argv: Sequence[str]) -> list[str]:
        return [*(("ip", "netns", "exec", self.netns) if self.netns else ()), *argv]

    def _start_etcd(self) -> None:
        self.run("etcd", self.etcd_words())

    def etcd_words(self) -> list[str]:
        """etcd's command line."""
        etcd = shutil.which("etcd")
        assert etcd, "etcd is missing: apt-get install etcd-server"
        url = f"http://127.0.0.1:{self.etcd_port}"
        peer = f"http://127.0.0.1:{free_port()}"
        return [
            etcd, f"--data-dir={self.etcd_data or self.folder / 'etcd'}",
            f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        ]  # fmt: skip

    def start_api(self) -> None:
        pki = self.lab_state.pki
        self.run("kube-apiserver", [
            str(self.bin / "kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1", f"--secure-port={self.port}", "--advertise-address=10.77.0.1",
            "--endpoint-reconciler-type=none", f"--tls-cert-file={self.folder / 'apiserver.crt'}",
            f"--tls-private-key-file={self.folder / 'apiserver.key'}", f"--client-ca-file={pki / 'ca.crt'}",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-signing-key-file={pki / 'sa.key'}", f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-cluster-ip-range={self.lab.kubernetes.services}", "--allow-privileged=true",
            # As kubeadm sets them; there is no kube-proxy here, so an aggregated API is found by its endpoints.
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={self.folder / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={self.folder / 'front-proxy-client.key'}", "--enable-aggregator-routing=true",
            *self.extra,
        ])  # fmt: skip
        log = self.folder / "kube-apiserver.log"

        def ready() -> bool:
            assert self.processes["kube-apiserver"].poll() is None, log.read_text()
            try:
                ask = functools.partial(client.request, "GET", "/readyz")
                return bool(inside(self.netns, ask) if self.netns else ask())
            except ApiError:
                return False

        # Not by kubectl, which would take from the API server what it needs to start.
        with Client(kubeconfig.load(self.kubeconfig), patience=0) as client:
            until(ready, seconds=300, every=0.2, why=lambda: log.read_text()[-3000:])

    def _no_second_port(self) -> tuple[str, ...]:
        """Before 1.24 the controller manager listens on 10252 as well, which is one for all that run on this host."""
        said = subprocess.run(
            [str(self.bin / "kube-controller-manager"), "--version"], capture_output=True, text=True, check=True
        )
        return ("--port=0",) if KubeVersion.printed(said.stdout.split()[-1]).line < (1, 24) else ()

    def _start_controllers(self) -> None:
        pki = self.lab_state.pki
        document = yaml.safe_load(self.kubeconfig.read_text())
        document["users"][0]["user"] = {
            "client-certificate": str(self.folder / "controller-manager.crt"),
            "client-key": str(self.folder / "controller-manager.key"),
        }
        path = self.folder / "controller-manager.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        self.run("kube-controller-manager", [
            str(self.bin / "kube-controller-manager"), f"--kubeconfig={path}", "--leader-elect=false",
            "--bind-address=127.0.0.1", f"--secure-port={free_port()}", "--use-service-account-credentials=true",
            *self._no_second_port(),
            f"--service-account-private-key-file={pki / 'sa.key'}", f"--root-ca-file={pki / 'ca.crt'}",
            # No kubelet reports here: after a minute every node would get taints, in the middle of a slow test.
            "--node-startup-grace-period=24h", "--node-monitor-grace-period=24h", *self.controllers,
        ])  # fmt: skip
        with self.client(patience=60) as client:
            until(
                lambda: client.get("rbac.authorization.k8s.io/v1", "ClusterRole", "edit").get("rules"),
                every=0.2,
                why=lambda: "the cluster roles were not aggregated",
            )

    def stop_process(self, name: str, *, how: int = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(timeout=30)

    def stop(self) -> None:
        if hasattr(self, "forwarder"):
            self.forwarder.cut()
        for name in reversed(list(self.processes)):
            self.stop_process(name, how=signal.SIGKILL)

    def kubectl(
        self, *words: str, stdin: str | None = None, check: bool = True, as_in: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``as_in``: the kubeconfig of somebody else than the administrator."""
        argv = self._in_netns([str(self.bin / "kubectl"), f"--kubeconfig={as_in or self.kubeconfig}", *words])
        return subprocess.run(argv, input=stdin, text=True, capture_output=True, check=check, timeout=300)
