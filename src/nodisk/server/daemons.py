"""The lab's daemons: their programs, their configurations, and how to probe each."""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
import sys
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from pathlib import Path

from nodisk import files, ports, run
from nodisk.plan import daemons_dnsmasq, daemons_files, daemons_unbound, network
from nodisk.plan.daemons import CLASS_REGISTRY, Host
from nodisk.server import probes
from nodisk.server.supervisor import Daemon
from nodisk.spec.model import Lab

APPARMOR = Path("/sys/kernel/security/apparmor/profiles")
"""The profiles that the kernel has loaded, a line each."""


def write(lab: Lab, host: Host) -> None:
    """Write the configurations, and create the folders that they name."""
    for name, text in daemons_files.configure(lab, host).items():
        files.write(host.conf / name, text)
    students = ((CLASS_REGISTRY, 0o755),) if lab.class_registry is not None else ()
    for folder, mode in (*students, ("etcd", 0o700), ("registry", 0o755), ("log", 0o755), ("www", 0o755)):
        (host.data / folder).mkdir(parents=True, exist_ok=True)
        (host.data / folder).chmod(mode)
    (host.run / "nginx").mkdir(parents=True, exist_ok=True)


def daemons(
    lab: Lab,
    host: Host,
    *,
    etcd_program: Path | str = "etcd",
    on_dnsmasq: Callable[[str], None],
    on_nginx: Callable[[str], None],
    names: bool,
    students: bool = False,
) -> tuple[Daemon, ...]:
    """All daemons of what ``write`` has written; they are stopped from the last to the first. Raises ToolMissing.

    ``names``: also unbound; ``students``: also the registry for their images. ``on_…``: get the lines of those daemons'
    logs for as long as they run, however often this is asked meanwhile.
    """
    server = lab.network.server
    server_tls = ssl.create_default_context(cafile=str(host.pki / "server-ca.crt"))

    async def nginx_answers() -> bool:
        # By way of the application: so its socket, its rights and the route to it are proved too.
        unix = await probes.http_unix(host.run / "http.sock", "/boot.ipxe")
        listening = (ports.HTTP, ports.ENROL, *([ports.API, ports.METRICS] if lab.has_cluster else ()))
        tcp = [await probes.tcp(server, port) for port in listening]
        registry = not lab.has_cluster or await probes.https(server, ports.REGISTRY, "/v2/", server_tls)
        return unix and all(tcp) and registry

    async def dnsmasq_answers() -> bool:
        return await probes.dns(server, f"server.{daemons_dnsmasq.domain(lab)}")

    async def names_answer(address: IPv4Address) -> bool:
        return await probes.dns(address, f"ns.dns.{network.CLUSTER_DOMAIN}", port=ports.NAMES)

    async def chronyd_answers() -> bool:
        return await probes.ntp(server)

    return (
        *(_of_cluster(lab, host, etcd_program, students=students) if lab.has_cluster else ()),
        Daemon(
            "nginx",
            ("nginx", "-c", host.conf / "nginx.conf", "-p", host.run / "nginx"),
            nginx_answers,
            _reads(host, "nginx.conf"),
            leftovers=tuple(host.run / name for name in ("http.sock", "api.sock", "console-tls.sock")),
            on_line=on_nginx,
        ),
        Daemon(
            "dnsmasq",
            ("dnsmasq", "--conf-file=" + str(host.conf / "dnsmasq.conf")),
            dnsmasq_answers,
            _reads(host, "dnsmasq.conf"),
            on_line=on_dnsmasq,
        ),
        # -x: it never touches the host's clock; -d: foreground, log to stderr.
        Daemon(
            "chronyd",
            ("chronyd", "-x", "-d", "-f", host.conf / "chrony.conf"),
            chronyd_answers,
            _reads(host, "chrony.conf"),
            leftovers=(host.run / "chronyd.pid",),
        ),
        *(_of_names(lab, host, names_answer) if names else ()),
    )


def _of_names(lab: Lab, host: Host, answers: Callable[[IPv4Address], Awaitable[bool]]) -> tuple[Daemon, ...]:
    """unbound, and the gate before it where classes' names are kept apart."""
    unbound: tuple[str | Path, ...] = (*_unconfined(), "unbound", "-d", "-c", host.conf / daemons_unbound.CONF)
    inner = IPv4Address(daemons_unbound.LOOPBACK) if lab.isolates_names else lab.network.server
    found = Daemon(
        "unbound",
        unbound,
        functools.partial(answers, inner),
        _reads(host, daemons_unbound.CONF),  # and its zones, which it is told to read again
        leftovers=(host.run / "unbound.sock",),
    )
    if not lab.isolates_names:
        return (found,)
    gate = (sys.executable, "-m", "nodisk.server.names_gate", host.conf / daemons_unbound.GATE)
    # By way of unbound, too: the gate has no names of its own.
    answer = functools.partial(answers, lab.network.server)
    return found, Daemon("names-gate", gate, answer, _reads(host, daemons_unbound.GATE))


def _unconfined() -> tuple[str, ...]:
    """Debian's AppArmor profile for unbound allows it the files of /etc/unbound and no lab's: run it without."""
    with contextlib.suppress(OSError):
        if "unbound " in APPARMOR.read_text(encoding="utf-8", errors="replace"):
            return ("aa-exec", "--profile", "unconfined", "--")
    return ()


def _of_cluster(lab: Lab, host: Host, etcd_program: Path | str, *, students: bool) -> tuple[Daemon, ...]:
    """What only a cluster needs."""
    server = lab.network.server
    etcd_tls = ssl.create_default_context(cafile=str(host.pki / "etcd-ca.crt"))
    etcd_tls.load_cert_chain(host.pki / "etcd-probe.crt", host.pki / "etcd-probe.key")

    async def etcd_answers() -> bool:
        return await probes.https(server, ports.ETCD, "/health", etcd_tls)

    return (
        Daemon(
            "etcd", (etcd_program, "--config-file", host.conf / "etcd.yaml"), etcd_answers, _reads(host, "etcd.yaml")
        ),
        _registry(host, "docker-registry", "registry"),
        *((_registry(host, CLASS_REGISTRY, CLASS_REGISTRY),) if students else ()),
    )


def _registry(host: Host, name: str, kind: str) -> Daemon:
    """docker-registry; ``kind``: the name of its configuration and socket."""
    socket = host.run / f"{kind}.sock"

    async def answers() -> bool:
        return probes.give_to(socket, host.web_user) and await probes.http_unix(socket, "/v2/")

    conf = f"{kind}.yaml"
    argv = ("docker-registry", "serve", host.conf / conf)
    return Daemon(name, argv, answers, _reads(host, conf), leftovers=(socket,))


def _reads(host: Host, name: str) -> tuple[Path, ...]:
    """A daemon's configuration, and the lab's keys and certificates that it names."""
    conf = host.conf / name
    named = re.findall(rf"{re.escape(str(host.pki))}/[\w.-]+", conf.read_text(encoding="utf-8"))
    return conf, *map(Path, dict.fromkeys(named))


def need_programs(lab: Lab, *, names: bool) -> None:
    """Raise ToolMissing for the first program that this host lacks."""
    of_cluster = ("etcd", "docker-registry", "skopeo") if lab.has_cluster else ()
    of_names = ("unbound", "unbound-control") if names else ()
    for tool in (*of_names, *of_cluster, "nginx", "dnsmasq", "chronyd", "setpriv", "unshare", "ss", "ip"):
        run.find(tool)
