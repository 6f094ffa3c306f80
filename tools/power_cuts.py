"""Cuts the power of a server's disk again and again: ``python tools/power_cuts.py --count 50 --seed 7`` (root).

Each time, the lab's real records, classes, container registry and backups are written on an ext4 of their own, whose
power is cut at a random moment; then it is checked, mounted and judged by what had been acknowledged. A line a cut says
what was found. Every cut has a seed of its own (the first one's plus its number): ``--seed 12 --count 1`` repeats the
moment of cut 5 of ``--seed 7``. Exit status 1: something was lost.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.power_cut import Disk, disk  # noqa: E402
from tests.support.power_judge import Said, judge, parsed  # noqa: E402
from tests.support.power_writers import WRITERS, prepare  # noqa: E402

from nodisk.waiting import Deadline, until  # noqa: E402 - found by the path above

LONGEST = 20.0
"""Seconds after which the power is cut at the latest, counted from when all write; a backup takes five to ten."""
STARTED = ("records", "classes", "images")
"""Those who must have begun: a backup's beginning says nothing."""


def write_until_cut(place: Disk, seconds: float) -> dict[str, Said]:
    """Let all writers write and cut their power after ``seconds``; returns what they had acknowledged."""
    outputs = {name: place.image.with_name(f"{name}.said") for name in WRITERS}
    children = []
    for name, output in outputs.items():
        with output.open("wb") as out:
            words = [sys.executable, "-m", "tests.support.power_writers", name, str(place.mount)]
            children.append(subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=subprocess.DEVNULL))
    try:
        begun = until(lambda: all(outputs[name].stat().st_size for name in STARTED), Deadline(300), every=0.05)
        if not begun:
            sys.exit("a writer writes nothing: start it by itself, python -m tests.support.power_writers KIND DISK")
        time.sleep(seconds)
        place.cut()
    finally:
        for child in children:
            child.kill()
            child.wait()
    return {name: parsed(output.read_text().splitlines(keepends=True)) for name, output in outputs.items()}


def once(seed: int) -> tuple[str, list[str]]:
    """One cut: when, after how many acknowledgements, and what was wrong afterwards."""
    seconds = random.Random(seed).uniform(0.5, LONGEST)  # noqa: S311 - a moment, no secret
    with tempfile.TemporaryDirectory() as folder, disk(Path(folder), mib=1024) as place:
        prepare(place.mount)
        said = write_until_cut(place, seconds)
        place.pull_out()
        wrong = [f"the file system is damaged: {text}"] if (text := place.check()) else []
        place.plug_in()
        wrong += judge(place.mount, said)
    done = ", ".join(f"{len(lines)} {name}" for name, lines in said.items())
    return f"seed {seed}: cut after {seconds:.2f} s and {done}", wrong


def main() -> int:
    """Cut as often as asked; 1 where anything was lost."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=50, help="how often (50)")
    options.add_argument("--seed", type=int, default=0, help="the first cut's seed (0)")
    asked = options.parse_args()
    bad = 0
    for seed in range(asked.seed, asked.seed + asked.count):
        about, wrong = once(seed)
        print(f"{about}: {'; '.join(wrong) or 'nothing is lost'}", flush=True)
        bad += bool(wrong)
    print(f"{asked.count} cuts, {bad} of them lost something")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
