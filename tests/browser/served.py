"""The console as browsers reach it: the real application and records, uvicorn, TLS by the lab's own authority.

Only nginx is not between them: tests/interop/server/test_console.py has it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.shells import Host
from tests.support.waits import LONG

from nodisk.assets.addon_listing import Listed
from nodisk.classes.census import Census, census
from nodisk.classes.headlamp import Entrance
from nodisk.classes.own import Link, Own, Running, Together, Used
from nodisk.classes.record import Account, Class
from nodisk.classes.trouble import Kind as TroubleKind
from nodisk.classes.trouble import Trouble
from nodisk.console import terminal_messages
from nodisk.console.app import application
from nodisk.console.common import Console
from nodisk.console.snapshot import Snapshot
from nodisk.context import LabContext
from nodisk.kube import addon_sets
from nodisk.machines.asked import Api, Asked
from nodisk.pki.authority import Authority
from nodisk.records.console_access import ConsoleRole
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.server.limits import RateLimit
from nodisk.spec.load import load
from nodisk.spec.model import Lab
from nodisk.state import LabState, State
from nodisk.values import Stage

T = TypeVar("T")

LAB = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: 52:54:00:00:00:01, address: 10.77.0.11, role: control-plane, seat: "1,1"}
  - {name: w1, mac: 52:54:00:00:00:02, address: 10.77.0.12, seat: "1,2"}
  - {name: w2, mac: 52:54:00:00:00:03, address: 10.77.0.13, seat: "1,3"}
  - {name: w3, mac: 52:54:00:00:00:04, address: 10.77.0.14, seat: "2,1"}
  - {name: w4, mac: 52:54:00:00:00:05, address: 10.77.0.15}
addons:
  - name: headlamp
backup: {target: backups}
"""
EVIL = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
"""What machines, students and rosters may say of themselves."""
AWAY = Asked(Api.AWAY, {}, "API does not answer")


@dataclass(frozen=True, slots=True)
class Served:
    """A console that is being served."""

    base: str
    key_hash: str
    lab: Lab
    state: LabState
    database: Database
    console: Console
    """The one that is served, by a thread of its own."""
    shells: Host
    """Students' terminals."""

    server: uvicorn.Server

    def connections(self) -> set[Any]:
        """Connections that are open now."""
        return set(self.server.server_state.connections)

    def within(self, act: Callable[[], T]) -> T:
        """Do that in the loop that serves, while nothing else happens there; the caller's thread is another."""

        async def run() -> T:
            return act()

        loop: asyncio.AbstractEventLoop = next(iter(self.connections())).loop
        return asyncio.run_coroutine_threadsafe(run(), loop).result(LONG)

    def link(self, name: str = "anna", role: ConsoleRole = ConsoleRole.ADMIN) -> str:
        """A link to sign in by, as ``nodisk console invite`` prints it."""
        return f"{self.base}/sign-in?code={self.database.console.invite(name, role, seconds=3600)}"

    def report(self, name: str, stage: Stage, detail: str = "", *, boot_id: str = "1") -> None:
        """What a machine reports of its boot."""
        machine = next(one for one in self.lab.machines if str(one.name) == name)
        self.database.record(
            Kind.STAGE, detail, source="10.77.0.99", mac=machine.mac, machine=name, boot_id=boot_id, stage=stage
        )


def as_tests_have_it(console: Console) -> None:
    """What the API would say, which nobody runs here; nor is there a server that could read lab.yaml again."""
    console.together, console.census, console.addons = _together, _census, _addons
    console.own, console.key, console.headlamp = _own, _key, _headlamp
    console.reload = _no_server


@contextmanager
def served_in(
    folder: Path,
    text: str = LAB,
    *,
    answer: Asked = AWAY,
    clock: Callable[[], float] = time.time,
    prepare: Callable[[Console], None] = as_tests_have_it,
) -> Iterator[Served]:
    """A console of that lab.yaml, on a free port of loopback; ``answer``: what the API says of the nodes."""
    (folder / "lab.yaml").write_text(text)
    lab, state = load(folder / "lab.yaml"), State(folder / "state").lab("room")
    Authority(state, lab).ensure()
    context = LabContext(lab, folder / "lab.yaml", state, None)
    stop: list[Callable[[], None]] = []
    consoles: list[Console] = []
    shells = Host()
    servers: list[uvicorn.Server] = []
    failed: list[BaseException] = []

    def run() -> None:
        with Database(state.database, now=clock) as database:
            # All browsers of the tests are one address, which signs in more often than anybody. What becomes of those
            # who guess is in tests/unit/console/test_attacks.py.
            tries = RateLimit(burst=1000, per_second=1000)
            snapshot = Snapshot(context, ask=lambda _: answer, clock=clock)
            console = Console(lab, database, snapshot, tries=tries, all_tries=tries)
            console.terminals.pods = shells
            consoles.append(console)
            prepare(console)
            server = uvicorn.Server(
                uvicorn.Config(
                    application(console),
                    ssl_certfile=state.pki / "server.crt",
                    ssl_keyfile=state.pki / "server.key",
                    log_config=None,
                    lifespan="off",
                    ws="websockets-sansio",
                    ws_max_size=terminal_messages.MOST,
                    ws_per_message_deflate=False,
                    timeout_graceful_shutdown=3,
                )
            )

            servers.append(server)

            def end() -> None:
                console.stopping.set()
                server.should_exit = True

            stop.append(end)
            ready.set()
            server.run(sockets=[listener])

    def guarded() -> None:
        try:
            run()
        except BaseException as error:  # raised by the test's own thread, below
            failed.append(error)
        finally:
            ready.set()

    ready = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, Database(state.database, now=clock) as database:
        serving = threading.Thread(target=guarded, name="console")
        serving.start()
        try:
            ready.wait()
            base = f"https://127.0.0.1:{listener.getsockname()[1]}"
            yield Served(
                base, _key_hash(state.pki / "server.crt"), lab, state, database, consoles[0], shells, servers[0]
            )
        finally:
            for end in stop:
                end()
            serving.join()
            shells.close()
    for error in failed:
        raise error


def _no_server() -> None:
    """There is none that could read lab.yaml again; tests/interop has one."""


def _failing(_: LabContext, found: Class) -> tuple[Trouble, ...]:
    """Nobody runs an API here; tests/api has what a real one says. An attacker chooses the image's name."""
    namespace = found.namespace(found.students[0])
    return (Trouble(namespace, "deployment/web", TroubleKind.IMAGE, f"the image {EVIL} can't be pulled", "a typo?", 2),)


def _together(context: LabContext, found: Class) -> Together:
    return Together(_failing(context, found), {one.key: (Used("Pods", "2", "10"),) for one in found.students})


def _own(_: LabContext, found: Class, student: Account) -> Own:
    """What students call their things is theirs to choose."""
    pods = (Running("web-1", "Ready", 0), Running(EVIL, "ImagePullBackOff", 2))
    return Own((Used("Pods", "2", "10"),), pods, (Link("web", "http://10.77.0.12:30080/"),), _failing(_, found))


def _key(_: LabContext, __: Class, student: Account) -> str:
    return f"kind: Config # {student.label}\n"


def _headlamp(_: LabContext, found: Class | None, account: Account | None) -> Entrance:
    """tests/api has what a real API server makes; the token is as long as its tokens are, and one word."""
    spaces = () if found is None or account is None else tuple(map(found.namespace, found.students))
    forward = "" if spaces else "kubectl --namespace kube-system port-forward service/headlamp 8080:80"
    ends = datetime(2026, 11, 30, 10, tzinfo=UTC)
    return Entrance("eyJ" + "a" * 900, ends, spaces, "http://10.77.0.12:30466/", forward)


def _census(_: LabContext) -> Census:
    """A node is called as its machine calls itself."""
    machine = {"metadata": {"name": EVIL}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    pod = {"metadata": {"name": EVIL, "namespace": "kube-system"}, "status": {"phase": "Pending"}}
    return census([machine], [pod], [], "cp1 leads")


def _addons(*_: object) -> tuple[Listed, ...]:
    """What a file of theirs says is their author's."""
    fine = addon_sets.Row("headlamp", addon_sets.State.APPLIED, "headlamp 0.40.0")
    broken = addon_sets.Row("web", addon_sets.State.BROKEN, "web.yaml", f"add-on web: {EVIL}")
    return (Listed(fine, "1 of 1 mirrored"), Listed(broken, ""))


def _key_hash(certificate: Path) -> str:
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
