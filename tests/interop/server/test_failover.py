"""Two control-plane machines behind the API's address: nginx leads around one that is gone.

The backends show the certificates that the machines were really given, so that every answer is one that a kubelet
would believe.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.interop.server.rooms import Room, make_room
from tests.interop.server.test_enrol import Client, unpack
from tests.support.waits import until

from nodisk import run
from nodisk.plan.daemons_nginx import API_CONNECTIONS, LEAVE_ALONE

pytestmark = pytest.mark.interop

CP2 = "  - {name: cp2, mac: 52:54:00:99:00:12, address: 10.99.0.12, role: control-plane, memory: 2GiB}\n"
BACKEND = """\
import http.server, ssl, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[2].encode())

    def log_message(self, *args):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024  # Python's five are too few for many at once: the kernel drops the others

server = Server((sys.argv[1], 6443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("listening", flush=True)
server.serve_forever()
"""


@dataclass
class Hall:
    """A room with two control-plane machines, whose API servers are the test's."""

    room: Room
    folder: Path
    backends: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def enrol(self, name: str) -> None:
        """Get this machine its certificates, as it does when it boots."""
        place = self.folder / name
        place.mkdir()
        client = Client(self.room, name, place)
        status, body = client.enrol(client.boot(), client.requests())
        assert status == 200, body
        (place / "apiserver.crt").write_bytes(unpack(body)["apiserver.crt"])

    def start(self, name: str) -> None:
        place, address = self.folder / name, str(self.room.machine(name).address)
        words: list[str | Path] = [
            sys.executable,
            "-c",
            BACKEND,
            address,
            name,
            place / "apiserver.crt",
            place / "apiserver.key",
        ]
        log = place / "log"
        log.unlink(missing_ok=True)
        self.backends[name] = run.start(words, log_file=log, netns=f"{self.room.name}-{name}")
        within(60, lambda: "listening" in log.read_text())

    def kill(self, name: str) -> None:
        process = self.backends.pop(name)
        process.kill()
        process.wait()

    def link(self, name: str, state: str) -> None:
        """Pull the machine's plug, or put it in: with it down, nobody even refuses a connection."""
        run.run(["ip", "-n", self.room.name, "link", "set", f"p-{name}", state])

    def ask(self, namespace: str = "w1") -> tuple[str, float]:
        """Which machine answered a new connection to the API's address, and after how many seconds."""
        words = ["curl", "-sS", "--max-time", f"{BUSY:g}", "--cacert", str(self.room.state.pki / "ca.crt")]
        words += ["-w", " %{time_total}", "https://10.99.0.1:6443/"]
        done = run.run(words, netns=f"{self.room.name}-{namespace}", check=False)
        if done.returncode:
            return "", 0.0
        name, seconds = done.stdout.split()
        return name, float(seconds)

    def answers(self, count: int) -> tuple[Counter[str], float]:
        """Who answered so many new connections, one after another, and the longest of them in seconds."""
        found = [self.ask() for _ in range(count)]
        return Counter(name for name, _ in found), max(seconds for _, seconds in found)


BUSY = 60.0
"""Seconds that a host with much else to do may take for anything."""


def within(seconds: float, condition: Callable[[], object]) -> float:
    """Wait until it is true; how long that took."""
    began = time.monotonic()
    until(condition, seconds=seconds)
    return time.monotonic() - began


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    room = make_room("full")
    made = Hall(room, tmp_path)
    try:
        room.lab_file.write_text(room.lab_file.read_text() + CP2)
        for machine in room.lab.machines:
            room.plug(str(machine.name), str(machine.mac), str(machine.address))
        room.start()
        room.nodisk("arm", "--for", "10m")
        for name in ("cp1", "cp2"):
            made.enrol(name)
            made.start(name)
        # Until now nobody was there, which nginx remembers for a while: the server itself has asked.
        within(LEAVE_ALONE + BUSY, lambda: set(made.answers(4)[0]) == {"cp1", "cp2"})
        yield made
    finally:
        for process in made.backends.values():
            process.kill()
            process.wait()
        room.close()


def test_the_api_s_address_outlives_a_control_plane_machine(hall: Hall) -> None:
    # New connections take turns; the server's own are among them, and may take the same one's more than once.
    both: Counter[str] = Counter()
    within(BUSY, lambda: both.update([hall.ask()[0]]) or min(both["cp1"], both["cp2"]) >= 4)
    assert set(both) == {"cp1", "cp2"}

    # Its API server dies: the connection is refused, and the other machine gets it at once.
    hall.kill("cp1")
    rest, longest = hall.answers(10)
    assert rest == {"cp2": 10}
    assert longest < 8

    # It comes back, and gets its share again as soon as nginx looks at it again.
    hall.start("cp1")
    within(LEAVE_ALONE + BUSY, lambda: hall.ask()[0] == "cp1")

    # The whole machine vanishes, with nobody there to refuse: only who comes first waits, for a second.
    hall.link("cp2", "down")
    rest, longest = hall.answers(10)
    assert rest == {"cp1": 10}
    assert longest < 8
    hall.link("cp2", "up")
    within(LEAVE_ALONE + BUSY, lambda: hall.ask()[0] == "cp2")


def test_the_api_comes_back_with_the_first_machine(hall: Hall) -> None:
    """The whole control plane is off and on again, as after a power cut: nobody has to tell nginx."""
    hall.kill("cp1")
    hall.kill("cp2")
    assert hall.answers(3)[0] == {"": 3}
    hall.start("cp2")
    within(LEAVE_ALONE + BUSY, lambda: hall.ask()[0] == "cp2")
    assert hall.answers(6)[0] == {"cp2": 6}


HOLD = """\
import socket, sys, time

held = []
for _ in range(int(sys.argv[1])):
    held.append(socket.create_connection(("10.99.0.1", 6443)))
print("held", flush=True)
time.sleep(600)
"""


def test_who_holds_connections_takes_none_from_the_others(hall: Hall) -> None:
    """As a pod might, which comes with its machine's address."""
    log = hall.folder / "hold"
    words = [sys.executable, "-c", HOLD, str(API_CONNECTIONS + 50)]
    holder = run.start(words, log_file=log, netns=f"{hall.room.name}-w1")
    try:
        within(60, lambda: "held" in log.read_text())
        assert hall.ask("w1")[0] == ""
        assert hall.ask("cp1")[0]
    finally:
        holder.kill()
        holder.wait()
    within(60, lambda: hall.ask("w1")[0])


def test_a_connection_that_is_open_stays_with_its_machine(hall: Hall) -> None:
    """What runs over one machine is not disturbed by the other's death (a watch, `kubectl logs -f`)."""
    words = [
        "openssl",
        "s_client",
        "-quiet",
        "-connect",
        "10.99.0.1:6443",
        "-CAfile",
        str(hall.room.state.pki / "ca.crt"),
    ]
    argv = ["ip", "netns", "exec", f"{hall.room.name}-w1", *words, "-verify_return_error"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as connection:
        try:
            assert connection.stdin
            assert connection.stdout
            connection.stdin.write(b"GET / HTTP/1.1\r\nHost: x\r\n")  # not finished: it stays open
            connection.stdin.flush()
            own = f"{hall.room.machine('cp1').address}:6443"

            def through(netns: str = hall.room.name) -> set[str]:
                listed = run.run(["ss", "-Htn", "state", "established", "dport", "=", ":6443"], netns=netns)
                return {line.split()[3] for line in listed.stdout.splitlines()}

            # The connection itself, before anybody else's is taken for it.
            until(lambda: through(f"{hall.room.name}-w1"), every=0.1, why="openssl has no connection")
            # One look that finds one machine: the server's own connections come and go beside ours.
            entry = {f"{hall.room.lab.network.server}:6443"}
            looks: list[set[str]] = []

            def one_machine() -> bool:
                looks.append(through() - entry)
                return len(looks[-1]) == 1

            until(one_machine, every=0.1, why=lambda: looks[-1])
            holder, other = ("cp1", "cp2") if looks[-1] == {own} else ("cp2", "cp1")
            hall.kill(other)
            assert hall.answers(4)[0] == {holder: 4}
            connection.stdin.write(b"\r\n")
            connection.stdin.flush()
            assert connection.stdout.readline().startswith(b"HTTP/1.0 200")
        finally:
            connection.kill()
