"""Cuts the power of a server's disk again and again: ``python tools/power_cuts.py --count 50 --seed 7`` (root).

Each time, parts of a real server write on an ext4 of their own, whose power is cut at a random moment; then it is
checked, mounted and judged by what had been acknowledged. The parts, one or more by ``--part``: ``files`` (records,
classes, container registry, backups), ``volumes`` (students' storage), ``served`` (``nodisk serve`` itself, with etcd
and an enrolling machine), ``first-start`` (a server that has never run). A line a cut says what was found. Every cut
has a seed of its own (the first one's plus its number): ``--seed 12 --count 1`` repeats the moment of cut 5 of
``--seed 7``. Exit status 1: something was lost.

``--machine``: the server is a QEMU machine of its own, and machine and disk are killed at once; what the disk had not
been told to flush is gone. It writes ``files`` and ``served`` where no part is named, and needs nbdkit besides. Its
cuts follow each other on one disk: each boot judges the last cut, and then writes until the next.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support import power_image, power_machine  # noqa: E402
from tests.support.power_cut import Disk, disk  # noqa: E402
from tests.support.power_machine import EAGER, JUDGED, SLOWER, Gone, Machine, moment  # noqa: E402
from tests.support.power_parts import PARTS  # noqa: E402
from tests.support.power_said import Said, parsed  # noqa: E402

from nodisk import run  # noqa: E402 - found by the path above
from nodisk.errors import NodiskError  # noqa: E402
from nodisk.state import State  # noqa: E402
from nodisk.waiting import Deadline, until  # noqa: E402

IN_MACHINE = ("files", "served")
"""What writes in a machine unless asked for others."""


def write_until_cut(place: Disk, parts: Sequence[str], seconds: float) -> dict[str, Said]:
    """Let all writers write and cut their power after ``seconds``; returns what they had acknowledged."""
    outputs = {name: place.image.with_name(f"{name}.said") for part in parts for name in PARTS[part].writers}
    with contextlib.ExitStack() as stack:
        for part in parts:
            before = stack.enter_context(PARTS[part].running(place.mount))
            for name in PARTS[part].writers:
                words = [*before, sys.executable, "-m", "tests.support.power_parts", part, name, str(place.mount)]
                stack.enter_context(_child(words, outputs[name]))
        eager = [output for name, output in outputs.items() if name in EAGER]
        if not until(lambda: all(output.stat().st_size for output in eager), Deadline(300), every=0.05):
            sys.exit("a writer writes nothing: start it by itself, python -m tests.support.power_parts PART NAME DISK")
        time.sleep(seconds)
        place.cut()
    return {name: parsed(output.read_text().splitlines(keepends=True)) for name, output in outputs.items()}


@contextlib.contextmanager
def _child(words: list[str], output: Path) -> Iterator[None]:
    with output.open("wb") as out:
        child = subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.kill()
        child.wait()


def once(seed: int, parts: Sequence[str]) -> tuple[str, list[str]]:
    """One cut: when, after how many acknowledgements, and what was wrong afterwards."""
    seconds = moment(seed, parts)
    with tempfile.TemporaryDirectory() as folder, disk(Path(folder), mib=1024) as place:
        # nginx' workers, which are nobody, read below it
        Path(folder).chmod(0o755)
        for part in parts:
            PARTS[part].prepare(place.mount)
        run.run(["sync", "--file-system", place.mount])
        said = write_until_cut(place, parts, seconds)
        place.pull_out()
        wrong = [f"the file system is damaged: {text}"] if (text := place.check()) else []
        place.plug_in()
        for part in parts:
            wrong += PARTS[part].judge(place.mount, said)
    return _about(seed, seconds, said), wrong


def _about(seed: int, seconds: float, said: dict[str, Said]) -> str:
    done = ", ".join(f"{len(lines)} {name}" for name, lines in said.items())
    return f"seed {seed}: cut after {seconds:.2f} s and {done}"


@dataclass(frozen=True, slots=True)
class Left:
    """A cut of a machine that its next boot judges."""

    seed: int
    about: str
    said: dict[str, dict[str, Said]]
    """By part and writer."""
    wrong: list[str]
    """What is known before that boot."""


def cut_machine(server: Machine, seed: int, parts: Sequence[str]) -> Left:
    """Cut the power of a machine that has been told to write. Raises Gone where it doesn't write."""
    server.wait_for_writers(parts)
    seconds = moment(seed, parts, SLOWER)
    time.sleep(seconds)
    server.cut()
    said = server.said(parts)
    wrong = [f"the file system is damaged: {text}"] if (text := server.check()) else []
    return Left(
        seed, _about(seed, seconds, {name: one for its in said.values() for name, one in its.items()}), said, wrong
    )


def in_machine(seeds: Sequence[int], parts: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Cuts of a server that is a machine, as ``once`` tells them. What a cut that lost something left is kept."""
    cache = State().cache
    image = power_image.ensure(cache)
    with (
        tempfile.TemporaryDirectory(prefix="nodisk-power-") as folder,
        power_machine.machine(image, Path(folder)) as server,
    ):
        left: Left | None = None
        for seed in (*seeds, None):
            server.boot({"judge": left and left.said, "write": [] if seed is None else parts})
            if left is not None:
                try:
                    wrong = [*left.wrong, *server.wait("judged", JUDGED)]
                except Gone as error:
                    wrong = [*left.wrong, str(error)]
                    server.renew()
                    if seed is not None:
                        server.boot({"write": parts})
                if wrong:
                    kept = cache / f"power-cut-{left.seed}.img"
                    shutil.move(server.as_cut, kept)
                    wrong.append(f"the disk as it was cut is {kept}")
                yield left.about, wrong
            left = None if seed is None else cut_machine(server, seed, parts)


def main() -> int:
    """Cut as often as asked; 1 where anything was lost."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=50, help="how often (50)")
    options.add_argument("--seed", type=int, default=0, help="the first cut's seed (0)")
    options.add_argument("--part", action="append", choices=[*PARTS], help="what writes; again for more (all)")
    options.add_argument("--machine", action="store_true", help="the server is a QEMU machine (files and served)")
    asked = options.parse_args()
    parts = asked.part or [*(IN_MACHINE if asked.machine else PARTS)]
    seeds = range(asked.seed, asked.seed + asked.count)
    bad = 0
    try:
        for about, wrong in in_machine(seeds, parts) if asked.machine else (once(seed, parts) for seed in seeds):
            print(f"{about}: {'; '.join(wrong) or 'nothing is lost'}", flush=True)
            bad += bool(wrong)
    except NodiskError as error:
        sys.exit(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""))
    print(f"{asked.count} cuts, {bad} of them lost something")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
