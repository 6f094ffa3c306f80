"""Which machines a booting one is told to ask for chunks of its image."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx2
import pytest

from nodisk.pki.authority import Authority
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.server.app import application
from nodisk.server.handlers.common import AppState
from nodisk.server.handlers.peers import MOST
from nodisk.server.texts import Texts
from nodisk.spec.model import Lab, Machine
from nodisk.values import Stage

MACHINES = [
    {"name": f"m{n}", "mac": f"52:54:00:77:00:{n:02x}", "address": f"10.77.0.{n}", "role": "control-plane"}
    for n in range(2, 90)
]
LAB = Lab.model_validate(
    {"name": "room", "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"}, "machines": MACHINES, "peers": {}}
)


@dataclass
class Images:
    """In place of the plan: m4 boots another image than the rest."""

    lab: Lab

    def image(self, machine: Machine) -> str:
        return "old" if str(machine.name) == "m4" else "new"


def ask(database: Database, source: str, lab: Lab = LAB) -> httpx2.Response:
    app = application(AppState(cast("Texts", Images(lab)), cast("Authority", None), database))

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.get("/peers", headers={"X-Real-IP": source})

    return asyncio.run(send())


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "nodisk.db")


def told(database: Database, name: str, *stages: Stage) -> None:
    machine = LAB.machine(name)
    assert machine is not None
    for stage in stages:
        database.record(Kind.STAGE, "", source="x", mac=machine.mac, machine=name, stage=stage)


def test_those_that_boot_the_same_image_and_are_further_on(database: Database) -> None:
    told(database, "m2", Stage.IPXE, Stage.KERNEL)
    told(database, "m3", Stage.KERNEL, Stage.ROOTFS, Stage.READY)
    told(database, "m4", Stage.READY)  # of another image
    told(database, "m5", Stage.READY, Stage.DHCP)  # boots again
    told(database, "m6", Stage.KERNEL, Stage.FAILED)
    told(database, "m7", Stage.IPXE)
    answer = ask(database, "10.77.0.7")
    assert answer.status_code == 200
    assert sorted(answer.text.split()) == ["10.77.0.2", "10.77.0.3"]
    assert ask(database, "10.77.0.2").text == "10.77.0.3\n", "nobody is told to ask itself"
    assert ask(database, "10.77.0.4").text == ""


def test_so_many_and_no_more(database: Database) -> None:
    for machine in LAB.machines:
        told(database, str(machine.name), Stage.READY)
    listed = ask(database, "10.77.0.2").text.split()
    assert len(listed) == len(set(listed)) == MOST


@pytest.mark.parametrize("source", ["10.77.0.200", "unix:", "nonsense"])
def test_who_is_no_machine_is_told_nothing(database: Database, source: str) -> None:
    told(database, "m2", Stage.READY)
    assert ask(database, source).status_code == 404


def test_without_peers_in_lab_yaml_there_are_none(database: Database) -> None:
    told(database, "m2", Stage.READY)
    assert ask(database, "10.77.0.7", LAB.model_copy(update={"peers": None})).status_code == 404
