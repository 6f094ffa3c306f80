"""nodisk machines swap: what is left of the PC that is gone."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from nodisk.commands.adoption import swap
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
