"""Inside the server that is a machine: judges what the last cut left, then writes until the next (``power_machine``).

What there is to do is on the third disk, by ``orders``. Each writer's acknowledgements go straight into a virtio-serial
port of its own: what was written there is with the host before anything that the writer does next is on the disk.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.power_parts import PARTS, Part

from nodisk import run
from nodisk.waiting import Deadline, until

DISK = Path("/srv/cut")
"""The parts' folder, on the disk that is cut."""
ORDERS = Path("/dev/vdc")
REPORTS = "guest"
"""The port on which the guest itself speaks: lines of [WHAT, VALUE]."""
_NEVER = Deadline()
Say = Callable[[str, object], None]


def packed(orders: object) -> bytes:
    """What the guest is to do, as the content of a disk: JSON, filled up to whole sectors."""
    text = json.dumps(orders).encode()
    return text + b"\0" * (-len(text) % 512)


def unpacked(disk: bytes) -> Any:
    """Read it again."""
    return json.loads(disk.rstrip(b"\0"))


def ports(folder: Path = Path("/sys/class/virtio-ports")) -> dict[str, Path]:
    """The device of each virtio-serial port, by the port's name."""
    return {(one / "name").read_text().strip(): Path("/dev") / one.name for one in folder.iterdir()}


def judge(disk: Path, said: Mapping[str, Any], parts: Mapping[str, Part] = PARTS) -> list[str]:
    """What is wrong, a sentence each; ``said``: part → writer → acknowledgements. Judged, the parts' folder goes."""
    wrong: list[str] = []
    for part, its in said.items():
        try:
            wrong += parts[part].judge(disk, its)
        except Exception:  # a judge that stumbles over what it finds has found something
            wrong.append(f"{part} can't be judged: {traceback.format_exc()}")
    shutil.rmtree(disk)
    return wrong


def prepare(disk: Path, names: list[str], parts: Mapping[str, Part] = PARTS) -> None:
    """What is there before anything is cut; it is to be synced then."""
    disk.mkdir(parents=True)
    for name in names:
        parts[name].prepare(disk)


def write(disk: Path, names: list[str], say: Say) -> None:
    """Let all writers write, until the machine is gone; says which one ends first, where one does."""
    to, children = ports(), dict[str, subprocess.Popen[bytes]]()
    with contextlib.ExitStack() as stack:
        # All that runs first: a server that starts beside those who write takes minutes, emulated.
        before = {part: stack.enter_context(PARTS[part].running(disk)) for part in names}
        for part in names:
            for name in PARTS[part].writers:
                words = [*before[part], sys.executable, "-m", "tests.support.power_parts", part, name, str(disk)]
                port = stack.enter_context(to[name].open("wb", buffering=0))
                children[name] = subprocess.Popen(words, stdout=port)
        say("writing", None)
        say("ended", until(lambda: [name for name, one in children.items() if one.poll() is not None], _NEVER, every=1))
        threading.Event().wait()


def main() -> None:
    """Do what was ordered: ``judge`` (by part, what its writers had said) and ``write`` (parts), each if there."""
    orders = unpacked(ORDERS.read_bytes())
    with ports()[REPORTS].open("wb", buffering=0) as port:

        def say(what: str, value: object) -> None:
            port.write(json.dumps([what, value]).encode() + b"\n")

        say("booted", None)
        if orders.get("judge") is not None:
            say("judged", judge(DISK, orders["judge"]))
        if orders.get("write"):
            prepare(DISK, orders["write"])
            run.run(["sync", "--file-system", DISK])
            write(DISK, orders["write"], say)
        threading.Event().wait()


if __name__ == "__main__":
    main()
