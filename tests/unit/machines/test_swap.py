"""nodisk machines swap: what is left of the PC that is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from nodisk.commands.adoption import swap
from nodisk.commands.measuring import inventory
from nodisk.errors import UsageError
from nodisk.records.database import Database
from nodisk.values import Mac

OLD, NEW = "52:54:00:98:00:11", "52:54:00:98:00:12"
LAB = f"""\
name: wire
network: {{subnet: 10.98.0.0/24, server: 10.98.0.1}}
machines:
- {{name: cp1, mac: "{OLD}", address: 10.98.0.11, role: control-plane}}
"""


def test_the_old_pc_is_no_unknown_machine_to_adopt(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(LAB)
    with Database(tmp_path / "state/labs/wire/nodisk.db") as database:
        database.sightings.see(Mac.parse(OLD), said={"serial": "A"})
    words = ["cp1", NEW, "--force", "--lab", str(tmp_path / "lab.yaml"), "--state", str(tmp_path / "state")]
    CliRunner().invoke(swap, words, catch_exceptions=False)
    assert NEW in (tmp_path / "lab.yaml").read_text()
    with Database(tmp_path / "state/labs/wire/nodisk.db", reading=True) as database:
        assert database.sightings.all() == []


def words(tmp_path: Path, *given: str) -> list[str]:
    return [*given, "--lab", str(tmp_path / "lab.yaml"), "--state", str(tmp_path / "state")]


def test_what_was_wished_for_the_machine_is_wished_for_the_new_pc(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(LAB)
    path, old, new = tmp_path / "state/labs/wire/nodisk.db", Mac.parse(OLD), Mac.parse(NEW)
    with Database(path) as database:
        database.next_boots.set(old, "disk", once=True)
        database.next_boots.serve(old, begins=True)
        database.next_boots.set(new, "shell", once=False)
        database.inventories.ask(old, until=database.now() + 60, seconds=7)
        database.set_nic(old, "pci:10ec:8168")
    CliRunner().invoke(swap, words(tmp_path, "cp1", NEW, "--force"), catch_exceptions=False)
    with Database(path, reading=True) as database:
        wish = database.next_boots.all()
        assert {mac: (one.entry, one.once, one.served) for mac, one in wish.items()} == {new: ("disk", True, None)}
        assert (database.inventories.wanted(new), database.inventories.wanted(old)) == (7, None)
        assert database.nics() == {}


def test_an_inventory_is_called_off(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(LAB)
    path, old, new = tmp_path / "state/labs/wire/nodisk.db", Mac.parse(OLD), Mac.parse(NEW)

    def cancel(*given: str) -> str:
        done = CliRunner().invoke(inventory, words(tmp_path, "--cancel", *given), catch_exceptions=False)
        return done.output

    assert cancel() == "No machine waits to be measured.\n"
    with Database(path) as database:
        for mac in (old, new):
            database.inventories.ask(mac, until=database.now() + 60, seconds=7)
    assert cancel("cp1", "--dry-run").startswith("would call off the measuring of: cp1\n")
    assert cancel("cp1").startswith("Called off the measuring of: cp1\n")
    assert cancel("cp1") == "None of them waits to be measured.\n"
    with Database(path, reading=True) as database:
        assert (database.inventories.wanted(old), database.inventories.wanted(new)) == (None, 7)
    assert NEW in cancel()
    with pytest.raises(UsageError, match="goes with names"):
        cancel("--unknown")
