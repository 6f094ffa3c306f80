"""What the server found on its host when it last started: ``host.json`` of the lab's state."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from nodisk import files
from nodisk.plan.daemons import Host


def write(host: Host, file: Path) -> None:
    """Record what was found, so that ``nodisk render`` shows the configurations as this host's daemons get them."""
    values = {name: value if value is None else str(value) for name, value in dataclasses.asdict(host).items()}
    files.write(file, json.dumps(values, indent=1) + "\n")


def read(file: Path) -> Host | None:
    """What the server found when it last started; None if it never did, or another version of nodisk wrote it."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        folders = {name: Path(values[name]) for name in ("conf", "run", "data", "pki", "objects", "tftp")}
        module = values["stream_module"]
        return Host(**values | folders | {"stream_module": Path(module) if module else None})
    except (OSError, ValueError, KeyError, TypeError):
        return None
