"""The NFS server's configuration, compared to the letter."""

from __future__ import annotations

import os
from pathlib import Path

from nodisk.plan.daemons_ganesha import Export, ganesha
from nodisk.spec.load import parse

HERE = Path(__file__).parent
LAB = """
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}
  - {name: w1, mac: 52:54:00:77:00:15, address: 10.77.0.21}
"""


def test_configuration() -> None:
    base = Path("/var/lib/nodisk/labs/room/storage")
    exports = [Export(number, base / "mounted" / f"k8s-jan-{number}", f"{number:032x}") for number in (1, 7)]
    lab = parse(LAB, file=Path("lab.yaml"))
    text = ganesha(lab, exports, root=base / "root", recovery=base / "recovery")
    golden = HERE / "ganesha.txt"
    if os.environ.get("NODISK_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
