"""Inventory boots at the server: who gets one, whose report counts, and what a report may hold."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk import node
from nodisk.check import ram
from nodisk.pki.authority import Authority
from nodisk.plan.facts import AssetRef, Facts, ImageFacts
from nodisk.records import hardware, inventories
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.hardware import Hardware
from nodisk.server.app import application
from nodisk.server.handlers.common import AppState
from nodisk.server.texts import Config, Texts
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.values import Mac

W1, STRANGER = "52:54:00:77:00:15", "02:00:00:00:00:99"
OWN, POOL = "10.77.0.21", "10.77.0.150"
MAC = Mac.parse(W1)
LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "kubernetes": {"engine": "none"},
        "machines": [{"name": "w1", "mac": W1, "address": "10.77.0.21", "memory": "8GiB"}],
    }
)
REPORT: dict[str, Any] = {
    "cpu": "Intel(R) Core(TM) i3-4130 CPU @ 3.40GHz",
    "cores": 2,
    "threads": 4,
    "memory_mib": 3968,
    "firmware": "UEFI",
    "secure_boot": True,
    "disks": [{"name": "sda", "bytes": 500107862016, "model": "ST500DM002", "rotational": True}],
    "nics": [{"name": "eth0", "mac": W1, "driver": "r8169", "id": "pci:10ec:8168", "link": True, "mbps": 1000}],
    "memory_test": {"mib": 3000, "passes": 2, "errors": 0},
    "link": {"bytes": 74000000, "milliseconds": 640},
}


@dataclass
class Server:
    """The application, asked as nginx asks it."""

    app_state: AppState
    now: float = 1000.0

    def ask(self, method: str, path: str, source: str, **how: Any) -> httpx2.Response:
        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(application(self.app_state))
            async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
                headers = {"X-Real-IP": source, **how.pop("headers", {})}
                return await client.request(method, path, headers=headers, **how)

        return asyncio.run(send())

    def boot(self, mac: str, source: str, folder: str = "boot/{}.ipxe") -> str | None:
        """The nonce of its script."""
        script = self.ask("GET", "/" + folder.format(mac.replace(":", "-")), source).text
        found = re.search(r"nodisk\.nonce=(\S+)", script)
        return found and found[1]

    def report(self, mac: str, nonce: str, source: str, body: object = None) -> int:
        content = json.dumps(REPORT if body is None else body).encode()
        headers = {"Nodisk-Nonce": nonce, "Nodisk-Mac": mac}
        return self.ask("POST", "/inventory", source, headers=headers, content=content).status_code

    @property
    def inventories(self) -> inventories.Inventories:
        return self.app_state.database.inventories


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    asset = AssetRef("root", "0" * 64, 100 << 20)
    facts = Facts("CA\n", ImageFacts(asset, asset, asset, "6.12", 300 << 20, ""), None)
    with Database(tmp_path / "nodisk.db", now=lambda: made.now) as database:
        made = Server(AppState(Texts(LAB, facts, {}, {}), cast("Authority", None), database))
        yield made


@pytest.mark.parametrize(("mac", "source"), [(W1, OWN), (STRANGER, POOL)])
def test_a_machine_is_measured_once(server: Server, mac: str, source: str) -> None:
    server.inventories.ask(Mac.parse(mac), until=2000, seconds=7)
    nonce = server.boot(mac, source)
    assert nonce is not None
    config = server.ask("GET", f"/ignition/{mac}", source).json()
    assert {"name": "ssh.socket", "mask": True} in config["systemd"]["units"]
    assert "users" not in str(config)
    env = next(one for one in config["storage"]["files"] if one["path"].endswith("inventory.env"))
    assert "SECONDS_OF_TEST=7" in env["contents"]["source"]
    assert server.ask("POST", "/event", source, data={"mac": mac, "stage": "kernel"}).status_code == 200
    assert server.report(mac, nonce, source) == 200
    assert server.inventories.all()[Mac.parse(mac)].hardware == Hardware.model_validate(REPORT)
    assert server.inventories.links() == {Mac.parse(mac): 925}
    assert server.report(mac, nonce, source) == 403  # used
    assert server.inventories.wanted(Mac.parse(mac)) is None
    told = server.app_state.database.events(kinds=(Kind.STAGE, Kind.NODE))
    assert [(event.kind, event.detail.split(":")[0]) for event in told] == [(Kind.NODE, "measured")]


def test_its_nonce_enrols_nobody(server: Server) -> None:
    server.app_state.database.arm(float("inf"))
    server.inventories.ask(Mac.parse(W1), until=2000, seconds=0)
    nonce = server.boot(W1, "10.77.0.21")
    headers = {"Nodisk-Nonce": nonce or "", "Nodisk-Mac": W1}
    key = "ssh-host-key: ssh-ed25519 " + "A" * 68 + "\n"
    assert server.ask("POST", "/enrol", "10.77.0.21", headers=headers, content=key.encode()).status_code == 403


def test_whose_report_does_not_count(server: Server) -> None:
    server.inventories.ask(Mac.parse(W1), until=2000, seconds=0)
    first, second = server.boot(W1, OWN), server.boot(W1, OWN)
    assert first is not None
    assert second is not None
    assert server.report(W1, first, OWN) == 403  # it asked for its script again
    assert server.report(W1, second, "10.77.0.151") == 403
    assert server.report(STRANGER, second, OWN) == 403
    assert server.ask("GET", f"/ignition/{STRANGER}", POOL).status_code == 404
    server.now += inventories.LIFETIME + 1
    assert server.report(W1, second, OWN) == 403
    assert server.inventories.all() == {}
    assert all("without the nonce" in one.detail for one in server.app_state.database.events(kinds=(Kind.ALARM,)))


def test_another_address_measures_no_machine_of_the_lab(server: Server) -> None:
    server.inventories.ask(Mac.parse(W1), until=2000, seconds=0)
    nonce = server.boot(W1, OWN) or ""
    script = server.ask("GET", f"/boot/{W1}.ipxe", POOL).text
    assert "set ${nic}/ip 10.77.0.21" in script  # it takes its own address, and asks again
    assert "nodisk.nonce" not in script
    assert server.report(W1, nonce, OWN) == 200  # the machine's own nonce was not replaced


def test_a_machine_that_never_reported_comes_back_to_the_lab(server: Server) -> None:
    """Its power went while it was being measured, and the time for that is over when it boots again."""
    server.app_state = replace(
        server.app_state, texts=Texts(LAB, server.app_state.texts.facts, {MAC: Config.of("{}")}, {})
    )
    server.inventories.ask(MAC, until=1010, seconds=0)
    measuring = server.boot(W1, OWN) or ""
    server.now = 1020
    assert server.boot(W1, OWN) is None  # the lab's script; it is not armed
    assert server.ask("GET", f"/ignition/{W1}", OWN).text == "{}"
    assert server.report(W1, measuring, OWN) == 403


def test_nobody_is_measured_who_is_not_to_be(server: Server) -> None:
    server.inventories.ask(Mac.parse(W1), until=2000, seconds=0)
    assert server.boot(STRANGER, POOL) is None
    assert server.boot(W1, "192.168.1.9") is None  # not in the lab's subnet: it could not be told its netmask
    assert server.ask("HEAD", f"/boot/{W1}.ipxe", POOL).status_code == 200
    assert server.inventories.boots(Mac.parse(W1), None) is None
    server.now = 2001
    assert server.boot(W1, "10.77.0.21") is None


@pytest.mark.parametrize(
    "change",
    [
        {"cpu": "x" * 65},
        {"cpu": "\x1b[2J"},
        {"cores": 0},
        {"memory_mib": 1.5},
        {"memory_mib": "4096"},
        {"firmware": "x"},
        {"more": 1},
        {"disks": [REPORT["disks"][0]] * 65},
        {"nics": [{**REPORT["nics"][0], "mac": "x"}]},
        {"memory_test": {"mib": -1, "passes": 0, "errors": 0}},
        {"link": None},
    ],
    ids=str,
)
def test_reports_that_are_refused(server: Server, change: dict[str, Any]) -> None:
    server.inventories.ask(Mac.parse(W1), until=2000, seconds=0)
    nonce = server.boot(W1, OWN) or ""
    assert server.report(W1, nonce, OWN, {**REPORT, **change}) == 400
    assert server.report(W1, nonce, OWN, "x" * (16 << 10)) == 413
    assert server.report(W1, nonce, OWN) == 200  # it was not used up


@given(st.binary(max_size=300) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_bytes_do_more_than_be_refused(body: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"^[\w.]+(the report)?[ \w.]*: \w+$"):
        hardware.parse(body if isinstance(body, bytes) else body.encode())


def test_the_program_reports_what_the_server_takes(tmp_path: Path) -> None:
    """It runs here, with stand-ins for what would change this host or needs a server."""
    (tmp_path / "bin").mkdir()
    for name in ("ip", "mount", "umount", "udevadm", "say"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
    curl = (
        f'#!/bin/sh\ncase "$*" in *inventory*) cat {tmp_path}/work/headers; printf 200 ;; *) echo "1000 0.5" ;; esac\n'
    )
    (tmp_path / "bin/curl").write_text(curl)
    for program in (tmp_path / "bin").iterdir():
        program.chmod(0o755)
    (tmp_path / "inventory.env").write_text(f"SERVER=x\nMAC={W1}\nSECONDS_OF_TEST=0\nDOWNLOAD=http://x/y\n")
    script = node.INVENTORY.read_text(encoding="utf-8")
    for old, new in (
        ("/etc/nodisk", str(tmp_path)),
        ("/usr/lib/nodisk/say", f"{tmp_path}/bin/say"),
        ("/run/nodisk/inventory", f"{tmp_path}/work"),
    ):
        script = script.replace(old, new)
    env = {"PATH": f"{tmp_path}/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    subprocess.run(["dash", "-c", script], env=env, check=True)
    found = hardware.parse((tmp_path / "work/report").read_bytes())
    assert found.threads >= found.cores >= 1
    assert found.memory_mib > 256
    assert (found.memory_test.passes, found.link.bytes, found.link.milliseconds) == (0, 1000, 500)
    assert dict(found.lines())["memory test"] == "not done"
    assert f"Nodisk-Mac: {W1}" in (tmp_path / "work/headers").read_text()


def test_less_ram_than_lab_yaml_says_is_an_error(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert ram.short(LAB, ram.measured(state, LAB)) == []
    with Database(state.lab("room").database) as database:
        database.inventories.ask(Mac.parse(W1), until=1e12, seconds=0)
        nonce = database.inventories.mint(Mac.parse(W1), LAB.machines[0].address)
        report = Hardware.model_validate(REPORT)
        assert database.inventories.take(Mac.parse(W1), nonce, LAB.machines[0].address, report)
    (finding,) = ram.short(LAB, ram.measured(state, LAB))
    assert finding.message == "w1: lab.yaml says 8192 MiB, measured were 3968"
    (budget,) = ram.budgets(state, LAB)
    assert (budget.total, budget.declared) == (3968, True)
    fits = LAB.machines[0].model_copy(update={"memory": None})
    assert ram.budgets(state, LAB.model_copy(update={"machines": (fits,)}))[0].total == 3968
