"""A lab whose machines are on loopback: one answers ping, one never does."""

from __future__ import annotations

from pathlib import Path

from nodisk.context import LabContext
from nodisk.machines.buttons.linux import Linux
from nodisk.records.database import Database
from nodisk.spec.model import Lab
from nodisk.state import State


def on_loopback(folder: Path) -> LabContext:
    """The lab, with its state in a folder."""
    lab = Lab.model_validate(  # the rules would refuse loopback
        {
            "name": "room",
            "network": {"subnet": "127.0.77.0/24", "server": "127.0.77.1"},
            "machines": [
                {"name": "there", "mac": "52:54:00:00:00:01", "address": "127.0.77.11", "role": "control-plane"},
                {"name": "silent", "mac": "52:54:00:00:00:02", "address": "192.0.2.12"},
            ],
        }
    )
    state = State(folder / "state").lab("room")
    state.root.mkdir(parents=True)
    Database(state.database).close()
    return LabContext(lab, folder / "lab.yaml", state, None)


def one_that_answers(context: LabContext) -> Linux:
    """It answers ping."""
    return Linux(context, context.lab.machines[0])


def silent_one(context: LabContext) -> Linux:
    """It never does."""
    return Linux(context, context.lab.machines[1])
