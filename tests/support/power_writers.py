"""What writes to a server's disk until its power is cut: records, classes, images, backups; by the lab's own programs.

Each line that is printed is an acknowledgement, a JSON list; what it names must be there when the power comes back.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import httpx2
from tests.support.power_said import acknowledge
from tests.unit.spec.labs import TEN_LINES

from nodisk import files, run
from nodisk.classes import record, sizes
from nodisk.pki.authority import Authority
from nodisk.plan import daemons
from nodisk.plan.daemons_files import usual_host
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.nonces import FOREVER, Claim
from nodisk.spec.load import load
from nodisk.state import LabState, State
from nodisk.values import Mac, Role
from nodisk.waiting import Deadline, until

OCI = "application/vnd.oci.image.manifest.v1+json"
ADDRESS = IPv4Address("10.77.0.12")
MACS = [Mac(0x525400000000 + number) for number in range(1, 9)]


def state_of(disk: Path) -> LabState:
    """The lab's state on the disk."""
    return State(disk / "state").lab("room")


def prepare(disk: Path) -> None:
    """What is there before anything is cut: lab.yaml, keys, an armed lab, the registry's configuration."""
    (disk / "lab.yaml").write_text(TEN_LINES)
    lab, state = load(disk / "lab.yaml"), state_of(disk)
    Authority(state, lab).ensure()
    with Database(state.database) as database:
        database.arm(FOREVER)
    host = usual_host(lab, state.root, disk)
    files.write(host.conf / "registry.yaml", daemons.registry(host))
    host.run.mkdir(parents=True)


def write_records(disk: Path) -> None:
    """Events; and nonces, each used by one request."""
    with Database(state_of(disk).database) as database:
        for number in itertools.count():
            acknowledge("event", database.record(Kind.NODE, f"event {number}", source="test"))
            if number % 5 == 0:
                mac = MACS[number // 5 % len(MACS)]
                nonce = database.mint(mac, Role.WORKER, ADDRESS) or ""
                if database.use(nonce, Claim(mac, Role.WORKER, ADDRESS, "first")).refusal is None:
                    acknowledge("nonce", mac.value, nonce)


def write_classes(disk: Path) -> None:
    """Records of classes: each made, then changed."""
    for number in itertools.count():
        for role in ("edit", "view"):
            now = record.now()
            made = record.Class(
                name=f"c{number}", prefix=f"c{number}-", size_name="small", size=sizes.named()["small"], role=role,
                created=now, expires=now,
            )  # fmt: skip
            record.save(state_of(disk), made)
            acknowledge("class", made.name, role)


@contextlib.contextmanager
def registry(disk: Path) -> Iterator[httpx2.Client]:
    """The lab's registry with the server's own configuration; it dies with this process."""
    state = state_of(disk)
    socket, log = state.run / "registry.sock", disk.with_name("registry.log")
    socket.unlink(missing_ok=True)
    program, conf = str(run.find("docker-registry")), str(state.conf / "registry.yaml")
    words = ["setpriv", "--pdeathsig", "KILL", program, "serve", conf]
    with log.open("wb") as out, subprocess.Popen(words, stdout=out, stderr=out) as child:
        try:
            assert until(socket.exists, Deadline(120), every=0.05), log.read_text()
            transport = httpx2.HTTPTransport(uds=str(socket), retries=10)
            with httpx2.Client(base_url="http://registry", transport=transport, timeout=120) as client:
                yield client
        finally:
            child.kill()


def write_images(disk: Path) -> None:
    """Images of two layers, pushed as every client does it; an answer that is no 201 ends it."""

    def push(client: httpx2.Client, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = client.post("/v2/room/blobs/uploads/").headers["Location"]
        where = httpx2.URL("http://registry").join(begun).copy_merge_params({"digest": digest})
        client.put(where, content=content).raise_for_status()
        acknowledge("blob", digest)
        return {"mediaType": "application/octet-stream", "size": len(content), "digest": digest}

    with registry(disk) as client:
        for number in itertools.count():
            layers = [push(client, os.urandom(1 + secrets.randbelow(400_000))) for _ in range(2)]
            config = push(client, json.dumps({"architecture": "amd64", "os": "linux", "number": number}).encode())
            manifest = {"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": layers}
            body = json.dumps(manifest).encode()
            place = f"/v2/room/manifests/v{number}"
            client.put(place, content=body, headers={"Content-Type": OCI}).raise_for_status()
            acknowledge("image", f"v{number}", hashlib.sha256(body).hexdigest())


def write_backups(disk: Path) -> None:
    """Backups on the same disk, one after the other."""
    options = ["--to", str(disk / "backups"), "--lab", str(disk / "lab.yaml"), "--state", str(disk / "state")]
    words = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        sys.executable,
        "-m",
        "nodisk",
        "backup",
        "create",
        *options,
        "-o",
        "json",
    ]
    while True:
        done = subprocess.run(words, text=True, capture_output=True, check=True)
        acknowledge("backup", json.loads(done.stdout)["id"])


WRITERS: dict[str, Callable[[Path], None]] = {
    "records": write_records,
    "classes": write_classes,
    "images": write_images,
    "backups": write_backups,
}
