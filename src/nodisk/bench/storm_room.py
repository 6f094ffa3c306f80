"""A room without machines: namespaces on one switch, each on a cable of limited speed, and the real nginx.

A cable is limited at both of its ends (``tc``'s token bucket), so up and down are limited apart, as on a wire.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nodisk import ports, run
from nodisk.errors import CommandFailed, TimedOut
from nodisk.machines import processes
from nodisk.waiting import Deadline

LISTED = 48
"""Peers in one answer, as of the server's own."""
SERVER = "10.99.255.1"
_NGINX = """\
daemon off;
user root;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 2048; }}
http {{
    log_format bytes '$body_bytes_sent $uri';
    access_log {folder}/access.log bytes;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    split_clients $remote_addr$msec $list {{
        6.25% 0; 6.25% 1; 6.25% 2; 6.25% 3; 6.25% 4; 6.25% 5; 6.25% 6; 6.25% 7;
        6.25% 8; 6.25% 9; 6.25% 10; 6.25% 11; 6.25% 12; 6.25% 13; 6.25% 14; * 15;
    }}
    server {{
        listen {server}:{port};
        location /assets/ {{ alias {folder}/assets/; }}
        location = /peers {{ alias {folder}/peers/$list; }}
    }}
}}
"""


@dataclass
class StormRoom:
    """The namespaces; ``link`` in bits a second."""

    folder: Path
    machines: int
    link: int
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """Of the namespaces' names: several rooms may be there at once."""
        return f"storm{os.getpid()}"

    def name(self, number: int) -> str:
        """The namespace of a machine, counted from 1; 0: the server's; -1: the switch."""
        return f"{self.prefix}-{'switch' if number < 0 else number}"

    @staticmethod
    def address(number: int) -> str:
        """A machine's address; 0: the server's."""
        return SERVER if number == 0 else f"10.99.{number // 250}.{number % 250 + 1}"

    def make(self) -> None:
        """Lay the cables; ``remove`` undoes what was made."""
        switch, everybody = self.name(-1), range(self.machines + 1)
        names = "".join(f"netns add {self.name(number)}\n" for number in (-1, *everybody))
        run.run(["ip", "-batch", "-"], stdin=names)
        lines = ["link add br0 type bridge", "link set br0 up"]
        for number in everybody:
            lines.append(f"link add p{number} type veth peer name eth0 netns {self.name(number)}")
            lines.append(f"link set p{number} master br0 up")
        run.run(["ip", "-n", switch, "-batch", "-"], stdin="\n".join(lines) + "\n", timeout=300)
        self._limit(switch, [f"p{number}" for number in everybody], self.link)
        for number in everybody:
            own = f"address add {self.address(number)}/16 dev eth0\nlink set lo up\nlink set eth0 up\n"
            run.run(["ip", "-n", self.name(number), "-batch", "-"], stdin=own)
            self._limit(self.name(number), ["eth0"], self.link)

    @staticmethod
    def _limit(namespace: str, devices: list[str], link: int) -> None:
        # A bucket that holds one of the kernel's large packets; a queue as short as a switch's.
        how = f"root tbf rate {link}bit burst 70000 latency 50ms"
        lines = "".join(f"qdisc replace dev {device} {how}\n" for device in devices)
        run.run(["tc", "-n", namespace, "-batch", "-"], stdin=lines, timeout=300)

    def slow_down(self, number: int, by: int) -> None:
        """Limit what a machine sends to a part of its cable's speed."""
        self._limit(self.name(number), ["eth0"], max(self.link // by, 64_000))

    def cut(self, number: int) -> None:
        """Pull a machine's cable out: nobody is told."""
        run.run(["ip", "-n", self.name(-1), "link", "set", f"p{number}", "down"])

    def start(self, number: int, argv: list[str | Path]) -> Path:
        """Start a program on a machine; returns the file with its lines."""
        log = self.folder / f"{number}.log"
        log.unlink(missing_ok=True)
        self.started.append(run.start(argv, log_file=log, netns=self.name(number)))
        return log

    def serve(self, peers: list[int], timeout: float = 30) -> None:
        """Start nginx with a list of peers; raises TimedOut if it does not listen.

        As the server does, it names a few of them by lot: one of 16 lists, another one at each question.
        """
        (self.folder / "peers").mkdir(exist_ok=True)
        for number in range(16):
            chosen = random.sample(peers, min(LISTED, len(peers)))
            lines = "".join(f"{self.address(one)}\n" for one in chosen)
            (self.folder / "peers" / str(number)).write_text(lines)
        for part in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
            (self.folder / part).mkdir(exist_ok=True)
        config = self.folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=self.folder, server=SERVER, port=ports.HTTP))
        self.start(0, ["nginx", "-e", self.folder / "nginx.log", "-c", config])
        deadline = Deadline(timeout)
        while not self._listens():
            if not deadline.pause(0.1):
                raise TimedOut(f"nginx did not listen within {timeout:g} s")

    def _listens(self) -> bool:
        return bool(run.run(["ss", "-Hltn", "sport", "=", f":{ports.HTTP}"], netns=self.name(0)).stdout.strip())

    def given(self) -> int:
        """Bytes of the image that nginx sent since ``end`` was last called."""
        log = self.folder / "access.log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return sum(int(line.split()[0]) for line in lines if "/assets/" in line)

    def processor_seconds(self) -> float:
        """Of all programs in the namespaces, nginx' workers among them."""
        pids = {*(one.pid for one in self.started), *processes.in_namespace(self.name(0))}
        return sum(processes.processor_seconds(pid) for pid in pids)

    def end(self) -> None:
        """End the programs, and forget what nginx gave."""
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.started.clear()
        (self.folder / "access.log").unlink(missing_ok=True)

    def remove(self) -> None:
        """Take everything away again."""
        self.end()
        listed = json.loads(run.run(["ip", "-json", "netns", "list"]).stdout or "[]")
        for one in listed:
            if one["name"].startswith(f"{self.prefix}-"):
                with suppress(CommandFailed):
                    run.run(["ip", "netns", "delete", one["name"]])
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def room(folder: Path, machines: int, link: int) -> Iterator[StormRoom]:
    """A room for a while. ``folder`` must be on a tmpfs or a fast disk: all machines' files are in it."""
    made = StormRoom(folder, machines, link)
    folder.mkdir(mode=0o700, parents=True)
    try:
        made.make()
        yield made
    finally:
        made.remove()


def wait_for(logs: dict[int, Path], seconds: float, started: float) -> dict[int, float]:
    """Seconds after ``started`` (monotonic) at which each program said ``done``; those that never do are left out."""
    found: dict[int, float] = {}
    deadline = Deadline(seconds)
    while True:
        for number, log in logs.items():
            if number not in found and "done " in log.read_text(encoding="utf-8"):
                found[number] = time.monotonic() - started
        if len(found) == len(logs) or not deadline.pause(0.05):
            return found
