"""``nodisk serve`` itself under a power cut: started for real in a network namespace, with its state on the disk.

While its power is cut, a machine enrols again and again, and etcd and a student's volume are written. Then it must
start by itself on what is left, with the same keys, still armed, and count no nonce twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
from tests.interop.server import rooms
from tests.support import power_etcd, power_nfs
from tests.support.inside import inside
from tests.support.machine_csr import csr
from tests.support.power_said import Said, acknowledge

from nodisk import ports
from nodisk.assets.container_images import MANIFESTS
from nodisk.errors import NodiskError
from nodisk.pki import profiles
from nodisk.pki.authority import Authority
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.nonces import FOREVER
from nodisk.spec.load import load
from nodisk.state import LabState, State
from nodisk.waiting import Deadline, until

SERVER = "10.99.0.1"
MACHINE = "w1"
STARTS = 600.0
"""Seconds within which the server must be ready: it takes ten, and a host with much else to do takes minutes."""
REFUSED = (403, 410)
IMAGE = "/v2/pause/manifests/3.2"
PUBLIC = ("ca.crt", "etcd-ca.crt", "front-proxy-ca.crt", "server-ca.crt", "sa.pub")
"""What a lab's machines and students trust: it must stay."""


def folder_of(disk: Path) -> Path:
    """Where the served lab is on the disk."""
    return disk / "served"


def state_of(disk: Path) -> LabState:
    """The lab's state."""
    return State(folder_of(disk) / "state").lab("test")


def prepare(disk: Path, *, keys: bool = True) -> None:
    """A lab that was built, with its keys (or as it is before its first start); armed."""
    folder = folder_of(disk)
    folder.mkdir(parents=True)
    (folder / "lab.yaml").write_text(rooms.LAB.format(dhcp="full"))
    lab = load(folder / "lab.yaml")
    rooms.make_store(State(folder / "state"), lab)
    if keys:
        Authority(state_of(disk), lab).ensure()
    power_nfs.ensure(state_of(disk))
    with Database(state_of(disk).database) as database:
        database.arm(FOREVER)


@contextlib.contextmanager
def served(disk: Path, *, wait: bool = True) -> Iterator[rooms.Room]:
    """The server, running in a segment of its own with the machine plugged in; killed at the end, files stay.

    ``wait``: until it is ready, else it has only been started.
    """
    folder = folder_of(disk)
    room = rooms.Room(rooms.new_name(), folder, folder / "lab.yaml")
    room.state  # noqa: B018 - read while lab.yaml can be
    machine = room.machine(MACHINE)
    try:
        rooms.lay_cable(room.name)
        room.plug(MACHINE, str(machine.mac), str(machine.address))
        # A server that was cut has left it, and in a machine that has booted again the next one may have its pid.
        (room.state.run / "ready.json").unlink(missing_ok=True)
        room.start(wait=False)
        if wait:
            room.wait_ready(STARTS)
        yield room
    finally:
        room.unplug()


def write_etcd(disk: Path) -> None:
    """In the machine's namespace: the etcd that the server runs is written."""
    power_etcd.write(power_etcd.Etcd(SERVER, state_of(disk).pki))


def write_nfs(disk: Path) -> None:
    """In the machine's namespace: a student's volume is written."""
    power_nfs.write(SERVER, state_of(disk))


def write_enrolments(disk: Path) -> None:
    """In the machine's namespace: it boots and enrols, and again."""
    pki = state_of(disk).pki
    acknowledge("keys", *_keys(pki))
    with _client(pki) as http:
        while True:
            nonce = _boot(disk, http)
            if nonce is None:
                raise AssertionError("the lab isn't armed")
            if _enrol(disk, http, nonce) == httpx2.codes.OK:
                acknowledge("enrolled", nonce)


def _keys(pki: Path) -> list[str]:
    return [hashlib.sha256((pki / name).read_bytes()).hexdigest() for name in PUBLIC]


def _client(pki: Path) -> httpx2.Client:
    trusted = ssl.create_default_context(cafile=str(pki / "server-ca.crt"))
    return httpx2.Client(verify=trusted, timeout=20, trust_env=False)


def _boot(disk: Path, http: httpx2.Client) -> str | None:
    machine = load(folder_of(disk) / "lab.yaml").machine(MACHINE)
    assert machine is not None
    script = http.get(f"http://{SERVER}/boot/{machine.mac.hyphened}.ipxe").raise_for_status().text
    found = re.search(r"nodisk\.nonce=(\S+)", script)
    return found and found[1]


def _enrol(disk: Path, http: httpx2.Client, nonce: str) -> int:
    """The status of the answer to a request with new keys."""
    lab = load(folder_of(disk) / "lab.yaml")
    machine = lab.machine(MACHINE)
    assert machine is not None
    body = "".join(f"profile: {one.name}\n{csr(lab, machine, one)}" for one in profiles.allowed(machine.role))
    headers = {"Nodisk-Nonce": nonce, "Nodisk-Mac": machine.mac.hyphened, "Content-Type": "text/plain"}
    return http.post(f"https://{SERVER}:{ports.ENROL}/enrol", content=body, headers=headers).status_code


def judge(disk: Path, said: dict[str, Said]) -> Iterator[str]:
    """Starts the server again, and asks it from the machine's place."""
    state = state_of(disk)
    with Database(state.database) as database:
        before = max((event.id for event in database.events()), default=0)
        armed = database.armed()
    if not armed:
        yield "the served lab isn't armed any more"
    power_nfs.forget_report(state)
    try:
        with served(disk) as room:
            place = f"{room.name}-{MACHINE}"
            yield from power_etcd.judge(power_etcd.Etcd(SERVER, state.pki, place), said["etcd"])
            yield from power_nfs.judge(state, said["nfs"])
            yield from inside(place, lambda: list(_ask(disk, said["enrolments"])))
    except NodiskError as error:
        yield f"the lab's etcd doesn't answer: {error}"
    except AssertionError as error:
        yield f"nodisk serve doesn't start again: {error}"
        return
    with Database(state.database) as database:
        for event in database.events(after=before, kinds=(Kind.DAEMON,)):
            if re.search(r"ended \(status|could not|not recorded|students' storage: (?!1 volumes)", event.detail):
                yield f"nodisk serve says after its start: {event.detail}"


def _ask(disk: Path, said: Said) -> Iterator[str]:
    pki = state_of(disk).pki
    yield from ("a key of the lab has changed" for one in said if one[0] == "keys" and one[1:] != _keys(pki))
    used = [one[1] for one in said if one[0] == "enrolled"]
    with _client(pki) as http:
        for nonce in used[-5:]:
            if (status := _enrol(disk, http, nonce)) not in REFUSED:
                yield f"a used nonce of {MACHINE} is answered {status}"
        new = _boot(disk, http)
        if new is None or (status := _enrol(disk, http, new)) != httpx2.codes.OK:
            yield f"{MACHINE} can't enrol any more: {'it got no nonce' if new is None else status}"
        yield from _image(http)
    with Database(state_of(disk).database) as database:
        machine = load(folder_of(disk) / "lab.yaml").machine(MACHINE)
        if used and (machine is None or database.enrolment(machine.mac) is None):
            yield f"{MACHINE}'s enrolment is forgotten"


def _image(http: httpx2.Client) -> Iterator[str]:
    """The image with which the server fills its registry is there soon, and whole."""
    base = f"https://{SERVER}:{ports.REGISTRY}"
    how = {"Accept": ", ".join(MANIFESTS)}
    if not until(lambda: http.get(base + IMAGE, headers=how).status_code == httpx2.codes.OK, Deadline(60), every=0.2):
        yield "the server doesn't fill its registry"
        return
    manifest = json.loads(http.get(base + IMAGE, headers=how).content)
    for part in [manifest["config"], *manifest["layers"]]:
        blob = http.get(f"{base}/v2/pause/blobs/{part['digest']}")
        if f"sha256:{hashlib.sha256(blob.content).hexdigest()}" != part["digest"]:
            yield f"the registry answers {blob.status_code} for a part of the server's own image"
