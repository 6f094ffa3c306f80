"""lab.yaml changes while the room works: what is the same before and after is not touched, and nobody is cut off."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.interop.server.rooms import Room, running_room
from tests.interop.server.test_serve import said
from tests.support.waits import until

from nodisk import run
from nodisk.classes import plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.console import security, terminal_pods
from nodisk.records.door import code_digest
from nodisk.records.events import Kind

pytestmark = pytest.mark.interop

SERVER = "10.99.0.1"
BASE = "https://127.0.0.1:6445"
ROOT = Path(__file__).parents[3]
MORE = "  - {{name: w{0}, mac: '52:54:00:99:00:2{0}', address: 10.99.0.2{0}}}\n"
ALL = {"etcd", "docker-registry", "nginx", "dnsmasq", "chronyd", "unbound"}
BUSY = 5.0
"""Seconds that nginx may take to start anew on a host with much else to do; alone it takes a tenth."""


@pytest.fixture
def served() -> Iterator[Room]:
    """A room of one's own whose server runs, with its machines plugged in."""
    with running_room() as made:
        yield made


@dataclass
class Answers:
    """What a client got that never stopped asking."""

    asked: int = 0
    failed: tuple[str, ...] = ()
    longest: float = 0.0
    """Seconds between two good answers."""


@contextlib.contextmanager
def asking(room: Room, namespace: str, *words: str) -> Iterator[Answers]:
    """Ask again and again during the block; the answers are there after it."""
    program = [sys.executable, "-m", "tests.interop.server.always_asking", *words]
    argv = ["ip", "netns", "exec", namespace, *program]
    found = Answers()
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asks:
        assert asks.stdout is not None
        assert asks.stdout.readline() == "asking\n"
        try:
            yield found
        finally:
            told: dict[str, Any] = json.loads(asks.communicate(timeout=120)[0])
    found.asked, found.failed, found.longest = told["asked"], tuple(told["failed"]), told["longest"]


@contextlib.contextmanager
def everybody(room: Room) -> Iterator[Mapping[str, Answers]]:
    """A machine that boots, a browser at the console, and a program at the registry."""
    ca = str(room.state.pki / "server-ca.crt")
    room.curl(room.name, "--cacert", ca, "--retry", "60", "--retry-all-errors", "--fail", f"{BASE}/sign-in")
    with (
        asking(room, f"{room.name}-w1", f"http://{SERVER}/boot.ipxe") as boots,
        asking(room, room.name, f"{BASE}/sign-in", ca) as looks,
        asking(room, f"{room.name}-w1", f"https://{SERVER}:5000/v2/", ca) as pulls,
    ):
        yield {"boots": boots, "looks": looks, "pulls": pulls}


def pids(room: Room) -> dict[str, int]:
    found = room.wait_ready()["daemons"]
    assert isinstance(found, dict)
    return found


def reload(room: Room) -> set[str]:
    """Reload, and return which daemons were started for it."""
    assert room.server is not None
    before, since = pids(room), room.wait_ready()["since"]
    room.server.send_signal(signal.SIGHUP)
    until(lambda: room.wait_ready()["since"] != since)
    after = pids(room)
    assert after.keys() == before.keys()
    alive = room.daemons()
    assert all(pid in alive for pid in after.values())
    return {name for name, pid in after.items() if pid != before[name]}


def change(room: Room, old: str, new: str) -> None:
    text = room.lab_file.read_text()
    assert old in text
    room.lab_file.write_text(text.replace(old, new))


def add(room: Room, number: int) -> None:
    """One machine more in lab.yaml."""
    room.lab_file.write_text(room.lab_file.read_text() + MORE.format(number))


def ask_name(room: Room, name: str) -> str:
    return run.run(["busybox", "nslookup", name, SERVER], netns=f"{room.name}-w1", check=False).stdout


def test_a_machine_more_starts_dnsmasq_anew_and_nothing_else(served: Room, capsys: pytest.CaptureFixture[str]) -> None:
    room = served
    assert pids(room).keys() == ALL
    with everybody(room) as answers:
        for number in range(2, 6):
            add(room, number)
            assert reload(room) == {"dnsmasq"}
    for who, found in answers.items():
        with capsys.disabled():
            print(f"\n{who}: asked {found.asked} times, at most {found.longest:.2f} s from answer to answer")
        assert found.failed == (), who
        assert found.asked > 10
    assert "10.99.0.22" in ask_name(room, "w2.test.internal")
    assert "dhcp-host=52:54:00:99:00:22,10.99.0.22,w2." in (room.state.conf / "dnsmasq.conf").read_text()
    assert "w2 (worker" in room.curl(
        room.plug("w2", "52:54:00:99:00:22", "10.99.0.22"), f"http://{SERVER}/boot/52-54-00-99-00-22.ipxe"
    )
    assert any("started anew: dnsmasq" in line for line in said(room, Kind.DAEMON))
    assert room.stop() == 0
    assert room.daemons() == {}


def test_what_is_open_stays_open(served: Room) -> None:
    """A page that is live shows the new machine; a connection to the API goes on."""
    room = served
    ca, jar = str(room.state.pki / "server-ca.crt"), str(room.folder / "cookies")
    words = ["--cacert", ca, "--cookie", jar, "--cookie-jar", jar, "--retry", "60", "--retry-all-errors", "--fail"]
    link = json.loads(room.nodisk("console", "--output", "json").stdout)["link"]
    code = parse_qs(urlsplit(link).query)["code"][0]
    room.curl(room.name, *words, "-H", f"Origin: {BASE}", "--data-urlencode", f"code={code}", f"{BASE}/sign-in")

    echo = ["socat", "TCP-LISTEN:6443,bind=10.99.0.11,reuseaddr,fork", "EXEC:cat"]
    backend = run.start(echo, log_file=room.folder / "echo.log", netns=f"{room.name}-cp1")
    live = ["ip", "netns", "exec", room.name, "curl", "-sSN", *words[:4], "--max-time", "120", f"{BASE}/live"]
    api = ["ip", "netns", "exec", f"{room.name}-w1", "socat", "-", f"TCP:{SERVER}:6443"]
    try:
        until(lambda: ":6443" in run.run(["ss", "-Hlnt"], netns=f"{room.name}-cp1").stdout)
        with (
            subprocess.Popen(live, stdout=subprocess.PIPE, text=True) as page,
            subprocess.Popen(api, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as pipe,
        ):
            assert page.stdout is not None
            assert pipe.stdin is not None
            assert pipe.stdout is not None

            def echoed(word: str) -> str:
                print(word, file=pipe.stdin, flush=True)
                assert pipe.stdout is not None
                return pipe.stdout.readline()

            assert page.stdout.readline() == "event: part\n"
            assert echoed("before") == "before\n"
            add(room, 2)
            assert reload(room) == {"dnsmasq"}
            assert any("w2" in line for line in page.stdout)
            assert echoed("after") == "after\n"
            page.terminate()
            pipe.terminate()
    finally:
        backend.kill()
        backend.wait()


def test_a_terminal_stays_connected(served: Room) -> None:
    """Its WebSocket was opened before the reload, and what it says after that is answered: here, that there is none."""
    room = served
    planned = plan.merge(
        None,
        [Person("Jan Kowalski")],
        name="shells",
        now=record.now(),
        size=sizes.find("small"),
        role="edit",
        terminals=True,
    ).record
    record.save(room.state, planned)
    jan = planned.students[0]
    with room.database() as database:
        digest = code_digest("ABCD2345", database.door.salted("shells"))
        database.door.issue("shells", {jan.key: digest}, ends=time.time() + 600)
        token = database.door.enter_first("shells", jan.key, digest, "00:kept", credential=jan.credential)
    assert token is not None
    ca = str(room.state.pki / "server-ca.crt")
    room.curl(room.name, "--cacert", ca, "--retry", "60", "--retry-all-errors", "--fail", f"{BASE}/door")
    url = f"{BASE.replace('https', 'wss')}/door/shells/terminal/socket"
    words = [url, BASE, ca, f"__Host-nodisk-door-test={token}", security.form_token(token)]
    argv = ["ip", "netns", "exec", room.name, sys.executable, "-m", "tests.interop.server.kept_socket", *words]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as terminal:
        assert terminal.stdout is not None
        assert terminal.stdout.readline() == "open\n"
        add(room, 2)
        assert reload(room) == {"dnsmasq"}
        heard = terminal.communicate("now\n", timeout=60)[0].splitlines()
    assert [json.loads(line)["text"] for line in heard][-1] == terminal_pods.NOT_BUILT
    assert "door: shells/jan-kowalski opened a terminal" in " ".join(said(room, Kind.DAEMON))


def test_nothing_changed_and_nothing_is_touched(served: Room) -> None:
    with everybody(served) as answers:
        for _ in range(3):
            assert reload(served) == set()
    assert [found.failed for found in answers.values()] == [(), (), ()]
    assert any("no daemon had to start anew" in line for line in said(served, Kind.DAEMON))


def test_another_port_of_the_console_starts_nginx_anew(served: Room, capsys: pytest.CaptureFixture[str]) -> None:
    room = served
    room.lab_file.write_text(room.lab_file.read_text() + "console: {port: 6450}\n")
    with asking(room, f"{room.name}-w1", f"http://{SERVER}/boot.ipxe") as found:
        assert reload(room) == {"nginx"}
    with capsys.disabled():
        print(f"\nnginx started anew: {len(found.failed)} refused, {found.longest:.2f} s from answer to answer")
    assert found.longest < BUSY
    ca = str(room.state.pki / "server-ca.crt")
    assert "Sign in" in room.curl(room.name, "--cacert", ca, "--fail", f"{BASE.replace('6445', '6450')}/sign-in")
    assert ":6445 " not in run.run(["ss", "-Hlnt"], netns=room.name).stdout


def test_a_rotated_pki_reaches_those_that_have_keys_of_it(served: Room) -> None:
    before, since = pids(served), served.wait_ready()["since"]
    served.nodisk("pki", "rotate", "--yes")
    until(lambda: served.wait_ready()["since"] != since)
    after = pids(served)
    assert {name for name in ALL if before[name] != after[name]} == {"etcd", "nginx"}


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda text: "name: [", "not YAML"),
        (lambda text: text.replace("name: test", "name: other"), "the lab is now named other"),
        (lambda text: text.replace("version: 1.20.2", "version: 1.20.3"), "was not loaded"),
        (lambda text: text + "console: {port: 4711}\n", "127.0.0.1:4711/tcp (nginx: the console) is in use by"),
    ],
    ids=["broken", "another lab", "not built", "a port that is taken"],
)
def test_a_file_that_can_not_be_served_changes_nothing(served: Room, edit: Callable[[str], str], why: str) -> None:
    room = served
    files = {path: path.read_bytes() for path in room.state.conf.iterdir()}
    taker = ["socat", "TCP-LISTEN:4711,bind=127.0.0.1,fork", "OPEN:/dev/null"]
    taken = run.start(taker, log_file=room.folder / "taker.log", netns=room.name)
    try:
        until(lambda: ":4711" in run.run(["ss", "-Hlnt"], netns=room.name).stdout)
        room.lab_file.write_text(edit(room.lab_file.read_text()))
        plan = room.wait_ready()["plan"]
        with everybody(room) as answers:
            assert reload(room) == set()
        assert room.wait_ready()["plan"] == plan
    finally:
        taken.kill()
        taken.wait()
    assert [found.failed for found in answers.values()] == [(), (), ()]
    assert files == {path: path.read_bytes() for path in room.state.conf.iterdir()}
    (problem,) = [line for line in said(room, Kind.DAEMON) if "was not loaded" in line]
    assert why in problem
    assert "w1 (worker" in room.curl(f"{room.name}-w1", f"http://{SERVER}/boot/52-54-00-99-00-21.ipxe")


def test_a_daemon_that_does_not_start_leaves_the_old_one(served: Room) -> None:
    """lab.yaml is fine as far as anybody can see; what is wrong with it, dnsmasq alone says."""
    room = served
    conf = (room.state.conf / "dnsmasq.conf").read_text()
    change(room, "  dhcp: full\n", "  dhcp: full\n  interface: nosuch\n")
    with everybody(room) as answers:
        assert reload(room) == {"dnsmasq"}
    assert [found.failed for found in answers.values()] == [(), (), ()]
    (problem,) = [line for line in said(room, Kind.DAEMON) if "was not loaded" in line]
    assert "dnsmasq ended with status 2" in problem
    assert "nosuch" in problem
    assert (room.state.conf / "dnsmasq.conf").read_text() == conf
    assert SERVER in ask_name(room, "server.test.internal")
    change(room, "  interface: nosuch\n", "")
    add(room, 2)
    assert reload(room) == {"dnsmasq"}
    assert "10.99.0.22" in ask_name(room, "w2.test.internal")


def test_what_dies_after_a_reload_comes_back_as_it_is_now(served: Room) -> None:
    """Also what the reload did not touch, by what the reload said of it."""
    room = served
    add(room, 2)
    assert reload(room) == {"dnsmasq"}
    for name in ("dnsmasq ", "chronyd ", "etcd "):
        victims = [pid for pid, words in room.daemons().items() if name in words and "unshare" not in words]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                run.run(["kill", "-KILL", str(pid)], check=False)
        program = name.strip()
        until(lambda program=program: any(f"{program} is running again" in line for line in said(room, Kind.DAEMON)))  # type: ignore[misc]
    assert "10.99.0.22" in ask_name(room, "w2.test.internal")


def test_asked_many_times_at_once(served: Room) -> None:
    """Each version of lab.yaml may be skipped, but for the last one."""
    room = served
    assert room.server is not None
    for number in range(2, 8):
        add(room, number)
        room.server.send_signal(signal.SIGHUP)
        time.sleep(0.15)  # at other moments of the reload before
    until(lambda: "10.99.0.27" in ask_name(room, "w7.test.internal"))
    assert room.nodisk("status").returncode == 0


def test_ended_while_it_reloads(served: Room) -> None:
    room = served
    assert room.server is not None
    add(room, 2)
    room.server.send_signal(signal.SIGHUP)
    time.sleep(0.3)  # amid it
    assert room.stop() == 0
    assert room.daemons() == {}
    assert not [path.name for path in room.state.run.iterdir() if path.is_socket()]
