"""A machine's way to its rules: its own script with curl, the real nginx that checks its certificate, nft."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import uvicorn
from tests.interop.server.rooms import Room, running_room
from tests.interop.server.test_enrol import Client, unpack
from tests.support.waits import until

from nodisk import node, run
from nodisk.plan.policies import Cluster
from nodisk.plan.policy_rules import absent, closed, compile_nodes
from nodisk.records import host as host_record
from nodisk.server import probes
from nodisk.server.app import application
from nodisk.server.handlers.common import AppState
from nodisk.server.rulesets import Rulesets

pytestmark = pytest.mark.interop

URL = "https://10.99.0.1:6444/policies"
RANGE = IPv4Network("10.244.21.0/24")


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with running_room() as made:
        yield made


@pytest.fixture
def w1(room: Room, tmp_path: Path) -> Client:
    """A machine that has enrolled; its keys and certificates are in its folder."""
    room.nodisk("arm", "--for", "10m")
    made = Client(room, "w1", tmp_path)
    status, body = made.enrol(made.boot(), made.requests())
    assert status == 200
    for name, content in unpack(body).items():
        (tmp_path / name).write_bytes(content)
    return made


def status(room: Room, who: str, *words: str) -> int:
    trust = ("--cacert", str(room.state.pki / "server-ca.crt"))
    return int(room.curl(f"{room.name}-{who}", *trust, *words, "-o", "/dev/null", "-w", "%{http_code}", URL))


def test_only_a_kubelets_certificate_counts(room: Room, w1: Client) -> None:
    def with_key(profile: str) -> tuple[str, ...]:
        return ("--cert", str(w1.folder / f"{profile}.crt"), "--key", str(w1.folder / f"{profile}.key"))

    forged = ("-H", "Nodisk-Client-Subject: O=system:nodes,CN=system:node:w1")
    assert status(room, "stranger", *forged) == 403
    assert status(room, "w1", *with_key("kube-proxy"), *forged) == 403
    # The server of this room has no cluster to compile for: what the machine has stays.
    assert status(room, "w1", *with_key("kubelet-client")) == 503


@contextlib.contextmanager
def served(room: Room, rulesets: Rulesets) -> Iterator[Callable[[dict[str, str]], None]]:
    """The application in this process, behind the room's own nginx; yields what publishes tables."""

    def leave_old_connections() -> None:
        """nginx keeps those to the application, also where its socket's name leads to another one."""
        os.kill(next(pid for pid, words in room.daemons().items() if words.startswith("nginx: master")), signal.SIGHUP)

    place = host_record.read(room.state.host)
    assert place is not None
    path = place.run / "app.sock"
    kept = path.with_name("app.kept")
    path.rename(kept)
    state = SimpleNamespace(texts=SimpleNamespace(lab=room.lab), rulesets=rulesets)
    config = uvicorn.Config(application(cast(AppState, state)), uds=str(path), log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    def publish(texts: dict[str, str]) -> None:
        loops[0].call_soon_threadsafe(rulesets.publish, texts)

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        until(lambda: server.started)
        probes.give_to(path, place.web_user)
        leave_old_connections()
        yield publish
    finally:
        loops[0].call_soon_threadsafe(rulesets.close)
        server.should_exit = True
        thread.join(60)
        path.unlink(missing_ok=True)
        kept.rename(path)
        leave_old_connections()


@contextlib.contextmanager
def agent(room: Room, w1: Client) -> Iterator[Path]:
    """The machine's script, with its paths moved below the folder; yields its log."""
    folder = w1.folder
    (folder / "nodisk").mkdir()
    (folder / "nodisk/node.env").write_text("NAME=w1\nSERVER=10.99.0.1\n")
    (folder / "nodisk/ca.crt").write_bytes((room.state.pki / "server-ca.crt").read_bytes())
    (folder / "nodisk/policies.nft").write_text(closed(RANGE))
    text = (node.IMAGE / "usr/lib/nodisk/policies").read_text()
    moved = {"/etc/nodisk": "nodisk", "/etc/kubernetes/pki": "", "/run/nodisk/policies": "work"}
    for path, where in moved.items():
        assert path in text
        text = text.replace(path, str(folder / where))
    (folder / "policies").write_text(text)
    run.run(["dash", folder / "policies", "closed"], netns=w1.namespace)
    log = folder / "policies.log"
    running: subprocess.Popen[bytes] = run.start(
        ["dash", folder / "policies", "follow"], log_file=log, netns=w1.namespace
    )
    try:
        yield log
    finally:
        running.kill()
        running.wait()


def table(w1: Client) -> str:
    return run.run(["nft", "list", "table", "ip", "nodisk-policies"], netns=w1.namespace).stdout


def test_a_machine_applies_what_the_server_tells(room: Room, w1: Client) -> None:
    rulesets = Rulesets()
    told: list[tuple[str, str]] = []
    rulesets.applied = lambda name, boot: told.append((name, boot))
    first = compile_nodes(Cluster({}, (), ()), {"w1": RANGE}, "cni0")
    second = {"w1": first["w1"].replace("cni0", "cni1")}
    with served(room, rulesets) as publish, agent(room, w1) as log:
        # It was told why there is nothing yet, and its pods have no traffic.
        until(lambda: "the server answered 503" in log.read_text())
        assert "chain closed" in table(w1)
        publish(first)
        until(lambda: "cni0" in table(w1))
        assert "chain closed" not in table(w1)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        until(lambda: ("w1", boot) in told)
        # What nft refuses changes nothing; and what comes after it is applied.
        publish({"w1": "table ip nodisk-policies\ndelete table ip nodisk-policies\nnonsense\n"})
        until(lambda: "could not be applied" in log.read_text())
        assert "cni0" in table(w1)
        publish(second)
        until(lambda: "cni1" in table(w1))
        publish({"w1": absent()})  # lab.yaml was changed: somebody else enforces them
        until(lambda: "nodisk-policies" not in run.run(["nft", "list", "tables"], netns=w1.namespace).stdout)
        publish(second)
        until(lambda: "nodisk-policies" in run.run(["nft", "list", "tables"], netns=w1.namespace).stdout)
    assert "cni1" in table(w1)


def test_what_was_applied_stays_while_the_server_is_away(room: Room, w1: Client) -> None:
    rulesets = Rulesets()
    first = compile_nodes(Cluster({}, (), ()), {"w1": RANGE}, "cni0")
    with served(room, rulesets) as publish:
        publish(first)
        with agent(room, w1) as log:
            until(lambda: "cni0" in table(w1))
            run.run(["ip", "-n", w1.namespace, "link", "set", "eth0", "down"])
            try:
                run.run(["dash", w1.folder / "policies", "closed"], netns=w1.namespace)  # as its unit does at a restart
                assert "cni0" in table(w1)
            finally:
                run.run(["ip", "-n", w1.namespace, "link", "set", "eth0", "up"])
            assert log.exists()
