"""``nodisk status``: rows from records and the API's words, and the documented shape of its JSON."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodisk import ui
from nodisk.context import LabContext
from nodisk.kube.client import Client
from nodisk.kube.errors import Late, Unreachable
from nodisk.machines import asked, status, status_table
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.load import parse
from nodisk.state import State
from nodisk.values import Stage

LAB = parse(
    """
name: demo
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: 52:54:00:00:00:11, address: 10.77.0.11, role: control-plane}
  - {name: w1, mac: 52:54:00:00:00:21, address: 10.77.0.21}
""",
    file=Path("lab.yaml"),
)
CP1, W1 = LAB.machines
NOW = 1_800_000_000.0
BOOT = "11111111-1111-1111-1111-111111111111"
DOCS = Path(__file__).parents[3] / "docs" / "reference" / "status.md"


@pytest.fixture
def context(tmp_path: Path) -> LabContext:
    return LabContext(LAB, tmp_path / "lab.yaml", State(tmp_path).lab("demo"), None)


@pytest.fixture
def seen(context: LabContext) -> LabContext:
    """cp1 is Ready and told its RAM; w1 failed; an alarm is on record; the lab is armed for 90 seconds."""
    with Database(context.state.database, now=lambda: NOW - 100) as database:
        for stage in (Stage.IPXE, Stage.KERNEL, Stage.ENROLLED, Stage.READY):
            boot = None if stage is Stage.IPXE else BOOT
            database.record(Kind.STAGE, "", source="t", mac=CP1.mac, machine="cp1", boot_id=boot, stage=stage)
        database.record(Kind.STAGE, "rootfs: wrong hash", source="t", mac=W1.mac, machine="w1", stage=Stage.FAILED)
        database.record(Kind.ALARM, "a second use", source="t")
        database.set_ram(CP1.mac, {"total": 1974, "available": 943})
        database.add_traffic(CP1.mac, "vmlinuz", 12)
        database.enrolled(CP1.mac, NOW + 86400, ["ssh-ed25519 A"])
        database.arm(NOW + 90)
    return context


def test_nothing_has_happened_yet(context: LabContext) -> None:
    value = status.to_json(status.collect(context, now=lambda: NOW))
    assert (value["server"], value["armed"], value["alarms"]) == ("stopped", False, 0)
    assert (value["api"], value["api_problem"]) == ("unknown", "away")
    assert [(row["stage"], row["node"]) for row in value["machines"]] == [(None, "unknown")] * 2


@pytest.mark.parametrize(
    ("stage", "later", "warning"),
    [
        (Stage.IPXE, 599, None),
        (Stage.IPXE, 600, "at this stage for 10 min: check its screen; if it hangs, power-cycle it"),
        (Stage.JOINED, 7200, "at this stage for 2 h: check its screen; if it hangs, power-cycle it"),
        (Stage.READY, 7200, None),
    ],
)
def test_a_machine_that_gets_no_further(context: LabContext, stage: Stage, later: float, warning: str | None) -> None:
    with Database(context.state.database, now=lambda: NOW) as database:
        database.record(Kind.STAGE, "", source="t", mac=W1.mac, machine="w1", stage=stage)
    row = status.to_json(status.collect(context, now=lambda: NOW + later))["machines"][1]
    assert row["warning"] == warning


@pytest.mark.parametrize(
    ("asked", "later", "warning"),
    [
        (["firmware"], 119, None),
        (["firmware"], 120, "neither iPXE nor GRUB ever started: TFTP (69/udp) blocked"),
        (["firmware", "iPXE"], 120, "never asked for its boot script: is HTTP (80/tcp) to the server blocked?"),
        (
            ["firmware for which there is no program (architecture 11)"],
            120,
            "it has firmware for which there is no program",
        ),
    ],
)
def test_a_machine_that_fetches_nothing(
    context: LabContext, asked: list[str], later: float, warning: str | None
) -> None:
    with Database(context.state.database, now=lambda: NOW) as database:
        for who in asked:
            database.record(Kind.STAGE, who, source="dnsmasq", mac=W1.mac, machine="w1", stage=Stage.DHCP)
    row = status.to_json(status.collect(context, now=lambda: NOW + later))["machines"][1]
    assert (row["warning"] is None) if warning is None else (warning in row["warning"])


def test_rows(seen: LabContext) -> None:
    found = status.collect(seen, now=lambda: NOW)
    value = status.to_json(found)
    assert value["counts"] == {"machines": 2, "ready": 1, "failed": 1}
    cp1, w1 = value["machines"]
    assert (cp1["stage"], cp1["boot_id"], cp1["ram"]["available"], cp1["loaded"]) == (
        "ready",
        BOOT,
        943,
        {"vmlinuz": 12},
    )
    assert list(cp1["stages"]) == ["ipxe", "kernel", "enrolled", "ready"]
    assert cp1["warning"] == "its certificates expire in 24 hours (valid for 14 days): reboot it"
    assert (w1["stage"], w1["reason"], w1["warning"]) == ("failed", "rootfs: wrong hash", "rootfs: wrong hash")
    line = status_table.summary(found)
    assert line.startswith("demo: 1 of 2 machines ready, 1 failed, server is stopped, API does not answer")
    assert "armed for 90 s" in line
    assert "1 ALARMS" in line
    assert status_table.table(found)[0][:8] == (
        *("cp1", "ready", "100 s ago", "10.77.0.11", "control-plane", "unknown", "", "943 of 1974 MiB"),
    )


def node(ready: str, boot: str) -> asked.NodeView:
    conditions = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}]
    info = {"bootID": boot, "kubeletVersion": "v1.20.2"}
    return asked.view({"status": {"conditions": conditions, "nodeInfo": info}})


@pytest.mark.parametrize(
    ("seen_nodes", "word", "version"),
    [
        ({}, "absent", None),
        ({"cp1": node("True", BOOT)}, "ready", "v1.20.2"),
        ({"cp1": node("False", BOOT)}, "not ready", "v1.20.2"),
        ({"cp1": node("Unknown", BOOT)}, "unknown", "v1.20.2"),
        ({"cp1": node("True", "of the boot before")}, "unknown", "v1.20.2"),
        ({"cp1": asked.view({})}, "unknown", None),
    ],
)
def test_what_the_api_says(
    seen: LabContext, seen_nodes: dict[str, asked.NodeView], word: str, version: str | None
) -> None:
    answer = asked.Asked(asked.Api.ANSWERS, seen_nodes, "API answers")
    row = status.to_json(status.of_records(seen, answer, now=lambda: NOW))["machines"][0]
    assert (row["node"], row["version"]) == (word, version)


def test_every_key_is_documented_and_every_documented_key_is_there(seen: LabContext) -> None:
    value = status.to_json(status.collect(seen, now=lambda: NOW))
    lab, _, machine = DOCS.read_text().partition("Each machine:")

    def documented(text: str) -> set[str]:
        cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}

    assert documented(lab) == set(value)
    assert documented(machine) == set(value["machines"][0])


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (3 * 86400, "3 d")]
)
def test_spans(seconds: float, text: str) -> None:
    assert ui.span(seconds) == text


def test_the_records_are_shown_without_an_answer_that_never_ends(
    monkeypatch: pytest.MonkeyPatch, context: LabContext
) -> None:
    """Whichever way it hangs: nobody waits for the thread that reads it, or its error would be what is found."""
    end = threading.Event()

    @contextlib.contextmanager
    def hanging(*_: object, **__: object) -> Iterator[None]:
        end.wait(60)
        raise Unreachable("no answer")
        yield  # never: what makes it a generator

    monkeypatch.setattr(asked, "connect", hanging)
    found = status.collect(context, now=lambda: NOW, wait=0.2)
    end.set()
    assert found.api is asked.Api.SLOW
    assert "API is slow or stuck: no answer within 0.2 s (to wait longer: --wait 20s)" in status_table.summary(found)
    assert "the server last saw every node Ready" not in status_table.summary(found)
    assert status.to_json(found)["api_problem"] == "slow"
    assert asked.ANSWER_WITHIN < 3


def test_a_slow_api_is_no_fault_of_machines_that_are_ready(
    monkeypatch: pytest.MonkeyPatch, context: LabContext
) -> None:
    def late(*_: object, **__: object) -> Client:
        raise Late("no answer")

    monkeypatch.setattr(asked, "connect", late)
    with Database(context.state.database) as database:
        for machine in LAB.machines:
            database.record(Kind.STAGE, "", source="t", mac=machine.mac, boot_id=BOOT, stage=Stage.READY)
    summary = status_table.summary(status.collect(context, now=lambda: NOW, wait=30))
    assert "no answer within 30 s (to wait longer: --wait 120s), the server last saw every node Ready" in summary
