"""unbound as a lab's server runs it, in a network namespace of its own, with a dnsmasq that knows one name.

Where the lab keeps classes' names apart, the names' gate is before it, and the namespace has all pods' addresses.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waits import until

from nodisk import files, ports, run
from nodisk.plan import daemons_unbound
from nodisk.plan.daemons import Host
from nodisk.plan.daemons_files import usual_host
from nodisk.server import names
from nodisk.spec.model import Lab

OUTSIDE, OUTSIDE_ADDRESS = "www.example.com", "192.0.2.53"


@dataclass
class Resolver:
    """A running one."""

    lab: Lab
    host: Host
    netns: str
    processes: dict[str, subprocess.Popen[bytes]]

    def ask(self, *questions: str, source: str = "", tcp: bool = False) -> set[str]:
        """``name TYPE`` each: all answers, as ``name. TYPE data``; ``source``: the address to ask from."""
        words = [*self._kdig(source), "+noall", "+answer", *(["+tcp"] if tcp else [])]
        for question in questions:
            words += question.split()
        said = run.run(words, netns=self.netns, timeout=60).stdout
        rows = [line.split(None, 4) for line in said.splitlines() if line and not line.startswith(";")]
        return {f"{name} {kind} {data}" for name, _, _, kind, data in rows}

    def status(self, question: str, *, source: str = "") -> str:
        """``NOERROR``, ``NXDOMAIN`` …"""
        words = [*self._kdig(source), *question.split()]
        said = run.run(words, netns=self.netns, timeout=60).stdout
        return said.partition("status: ")[2].partition(";")[0]

    def _kdig(self, source: str) -> list[str]:
        words = ["kdig", f"@{self.lab.network.server}", "-p", str(ports.NAMES)]
        words += ["+retry=0", "+time=20"]  # a busy host needs its time
        return [*words, "-b", source] if source else words

    def start(self, name: str, *argv: str | Path) -> None:
        self.processes[name] = run.start(list(argv), log_file=self.host.run / f"{name}.log", netns=self.netns)

    def start_unbound(self) -> None:
        self.start("unbound", "unbound", "-d", "-c", self.host.conf / daemons_unbound.CONF)
        words = ["kdig", f"@{self.lab.network.server}", "-p", str(ports.NAMES), "+time=1", "+retry=0", "version.x"]
        until(
            lambda: run.run(words, netns=self.netns, check=False).returncode == 0,
            why=lambda: f"unbound does not answer: {(self.host.run / 'unbound.log').read_text()}",
            process=self.processes["unbound"],
        )

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def resolver(lab: Lab, server: str | None = None, *more: str) -> Iterator[Resolver]:
    """Run it, with a folder of its own: pytest's are closed to the user that unbound becomes.

    ``server``: a namespace that has the server's address; None: one that is made for it. ``more``: of dnsmasq.
    """
    folder = Path(tempfile.mkdtemp(prefix="nodisk-dns-"))
    folder.chmod(0o711)
    netns = server or folder.name
    host = usual_host(lab, folder, folder)
    made = Resolver(lab, host, netns, {})
    try:
        if server is None:
            run.run(["ip", "netns", "add", netns])
            run.run(["ip", "-n", netns, "link", "set", "lo", "up"])
            run.run(["ip", "-n", netns, "address", "add", f"{lab.network.server}/24", "dev", "lo"])
            run.run(["ip", "-n", netns, "route", "add", "local", str(lab.kubernetes.pods), "dev", "lo"])
        host.run.mkdir(parents=True, exist_ok=True)
        files.write(host.conf / daemons_unbound.CONF, daemons_unbound.unbound(lab, host))
        if lab.isolates_names:
            files.write(host.conf / daemons_unbound.GATE, daemons_unbound.gate(lab, host))
        names.prepare(lab, host)
        run.run(["unbound-checkconf", host.conf / daemons_unbound.CONF])
        made.start(
            "dnsmasq", "dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--no-hosts", "--no-resolv",
            "--bind-interfaces", f"--listen-address={lab.network.server}", "--user=root", "--pid-file",
            f"--host-record={OUTSIDE},{OUTSIDE_ADDRESS}", "--local=//", *more,
        )  # fmt: skip
        if lab.isolates_names:
            made.start("gate", sys.executable, "-m", "nodisk.server.names_gate", host.conf / daemons_unbound.GATE)
        made.start_unbound()
        yield made
    finally:
        for name in list(made.processes):
            made.stop(name)
        if server is None:
            run.run(["ip", "netns", "delete", netns])
        shutil.rmtree(folder)
