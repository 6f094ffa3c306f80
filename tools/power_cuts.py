"""Cuts the power of a server's disk again and again: ``python tools/power_cuts.py --count 50 --seed 7`` (root).

Each time, parts of a real server write on an ext4 of their own, whose power is cut at a random moment; then it is
checked, mounted and judged by what had been acknowledged. The parts, one or more by ``--part``: ``files`` (records,
classes, container registry, backups), ``volumes`` (students' storage), ``served`` (``nodisk serve`` itself, with etcd
and an enrolling machine), ``first-start`` (a server that has never run). A line a cut says what was found. Every cut
has a seed of its own (the first one's plus its number): ``--seed 12 --count 1`` repeats the moment of cut 5 of
``--seed 7``. Exit status 1: something was lost.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.power_cut import Disk, disk  # noqa: E402
from tests.support.power_parts import PARTS  # noqa: E402
from tests.support.power_said import Said, parsed  # noqa: E402

from nodisk import run  # noqa: E402 - found by the path above
from nodisk.waiting import Deadline, until  # noqa: E402

SILENT = ("backups",)
"""Those who need not have begun: a backup's beginning says nothing."""


def write_until_cut(place: Disk, parts: Collection[str], seconds: float) -> dict[str, Said]:
    """Let all writers write and cut their power after ``seconds``; returns what they had acknowledged."""
    outputs = {name: place.image.with_name(f"{name}.said") for part in parts for name in PARTS[part].writers}
    with contextlib.ExitStack() as stack:
        for part in parts:
            before = stack.enter_context(PARTS[part].running(place.mount))
            for name in PARTS[part].writers:
                words = [*before, sys.executable, "-m", "tests.support.power_parts", part, name, str(place.mount)]
                stack.enter_context(_child(words, outputs[name]))
        eager = [output for name, output in outputs.items() if name not in SILENT]
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


def once(seed: int, parts: Collection[str]) -> tuple[str, list[str]]:
    """One cut: when, after how many acknowledgements, and what was wrong afterwards."""
    longest = max(PARTS[part].longest for part in parts)
    seconds = random.Random(seed).uniform(0.5, longest)  # noqa: S311 - a moment, no secret
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
    done = ", ".join(f"{len(lines)} {name}" for name, lines in said.items())
    return f"seed {seed}: cut after {seconds:.2f} s and {done}", wrong


def main() -> int:
    """Cut as often as asked; 1 where anything was lost."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=50, help="how often (50)")
    options.add_argument("--seed", type=int, default=0, help="the first cut's seed (0)")
    options.add_argument("--part", action="append", choices=[*PARTS], help="what writes; again for more (all)")
    asked = options.parse_args()
    parts = asked.part or [*PARTS]
    bad = 0
    for seed in range(asked.seed, asked.seed + asked.count):
        about, wrong = once(seed, parts)
        print(f"{about}: {'; '.join(wrong) or 'nothing is lost'}", flush=True)
        bad += bool(wrong)
    print(f"{asked.count} cuts, {bad} of them lost something")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
