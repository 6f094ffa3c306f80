"""The configurations of etcd, the container registry and chrony, and the host facts that all configurations use.

dnsmasq's is in ``daemons_dnsmasq``, nginx' in ``daemons_nginx``. All are pure: data in, text out. Configurations refer
to secrets by file name and never contain them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodisk import ports, yamltext
from nodisk.spec.model import Lab

REGISTRY, CLASS_REGISTRY = "registry", "class-registry"
"""The names of their folders, sockets and configurations."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the server's host provides to the daemons: folders, users, network interface."""

    interface: str
    """The interface that has the server's address."""
    conf: Path
    run: Path
    """Sockets and pid files."""
    data: Path
    """The lab's folder: etcd's, the registry's, chrony's data are below it."""
    pki: Path
    objects: Path
    """The store's files, served as /assets/SHA256/NAME."""
    tftp: Path
    """The folder with the iPXE binaries and nothing else."""
    bios: str = "undionly.kpxe"
    """The binary for BIOS; it drives the NIC from which the firmware booted."""
    uefi: str = "snponly.efi"
    """The one for UEFI on x86-64; snponly.efi drives the NIC that the firmware booted from, ipxe.efi any it knows."""
    arm64: str = "ipxe-arm64.efi"
    """The one for UEFI on 64-bit ARM, which has no image: iPXE says so on the screen."""
    signed: str = "shimx64.efi"
    """The one for UEFI on x86-64 with Secure Boot; it then loads grubx64.efi from the same place."""
    stream_module: Path | None = None
    """nginx' stream module, if it has to be loaded from a file; None: it is built in."""
    web_user: str = "www-data"
    """The user that runs nginx' workers."""
    dns_user: str = "nobody"
    """The user that runs dnsmasq."""
    names_user: str = "nobody"
    """The user that runs unbound."""
    time_user: str = "nobody"
    """The user that runs chronyd."""


def etcd(lab: Lab, host: Host) -> str:
    """etcd's --config-file: one member, mutual TLS, data on the server's disk.

    Only options that 3.4, 3.5 and 3.6 have in common (etcd's own etcd.conf.yml.sample). Kubernetes compacts every five
    minutes itself; the automatic compaction here covers the time when no API server runs.
    """
    server, pki = lab.network.server, host.pki
    tls = {
        "cert-file": str(pki / "etcd-server.crt"),
        "key-file": str(pki / "etcd-server.key"),
        "trusted-ca-file": str(pki / "etcd-ca.crt"),
        "client-cert-auth": True,
    }
    clients = f"https://{server}:{ports.ETCD}"
    peers = f"https://127.0.0.1:{ports.ETCD_PEER}"
    return yamltext.dump(
        {
            "name": "nodisk",
            "data-dir": str(host.data / "etcd"),
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"nodisk={peers}",
            "initial-cluster-token": f"nodisk-{lab.name}",
            "initial-cluster-state": "new",
            "client-transport-security": tls,
            "peer-transport-security": tls,
            "quota-backend-bytes": 2 * 1024**3,
            "auto-compaction-mode": "periodic",
            "auto-compaction-retention": "1h",
            "logger": "zap",
            "log-level": "warn",
        }
    )


def registry(host: Host, name: str = REGISTRY) -> str:
    """A registry's configuration (docker-registry 2.8, distribution 3): a unix socket behind nginx.

    ``name``: of its folder and its socket. The class registry ends uploads that nobody finishes, and remembers nothing
    of what it has: its garbage is collected while it runs (``server.class_registry_garbage``).
    """
    students = name == CLASS_REGISTRY
    purging = {"enabled": True, "age": "2h", "interval": "1h", "dryrun": False}
    return yamltext.dump(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(host.data / name)},
                **({} if students else {"cache": {"blobdescriptor": "inmemory"}}),
                "delete": {"enabled": True},
                **({"maintenance": {"uploadpurging": purging}} if students else {}),
            },
            "http": {"net": "unix", "addr": str(host.run / f"{name}.sock"), "relativeurls": True},
        }
    )


def chrony(lab: Lab, host: Host) -> str:
    """chronyd's configuration: it serves this host's time to the machines and (run with ``-x``) never sets the clock.

    There are no sources, because the host's own time service sets its clock; ``local`` makes chronyd answer anyway.
    There is no command port and no command socket.
    """
    return _lines(
        f"bindaddress {lab.network.server}",
        f"allow {lab.network.subnet}",
        "local stratum 10",
        "cmdport 0",
        "bindcmdaddress /",
        f"pidfile {host.run / 'chronyd.pid'}",
        f"user {host.time_user}",
    )


def _lines(*lines: str) -> str:
    return "\n".join((*lines, ""))
