"""``nodisk lab bench --storm N``: N machines fetch one image at the same time, with peers and without.

The real nodisk-peers and the real nginx, in network namespaces whose cables are limited by ``tc``. It is the wire and
the programs that are measured, not the machines: no firmware, no kernel of their own, one host's processors for all.
"""

from __future__ import annotations

import hashlib
import io
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nodisk import ports, run
from nodisk.assets import peers_program
from nodisk.bench.storm_room import SERVER, StormRoom, room, wait_for
from nodisk.errors import EnvironmentProblem
from nodisk.plan import chunks
from nodisk.state import State
from nodisk.waiting import Deadline

CHUNKS = 512
"""About as many as a real image has (146 MB: 557): a smaller file has smaller chunks, so that the room mixes alike."""
SLOW = 20
"""A slow peer sends at this part of its cable's speed."""


@dataclass(frozen=True, slots=True)
class Storm:
    """What is measured."""

    machines: int
    link: int
    """Bits a second, of every cable."""
    size: int
    """Bytes of the image."""
    faulty: int = 0
    """How many of the machines lie, as many send slowly, as many lose their cable on the way."""

    @property
    def once(self) -> float:
        """Seconds that one copy of the image takes on one cable: with peers nothing can be faster."""
        return self.size * 8 / self.link

    @property
    def rounds(self) -> int:
        """How often all of them fetch it."""
        return 3 if self.faulty else 2

    @property
    def step(self) -> int:
        """Bytes of a chunk."""
        step = 4096
        while step * CHUNKS < self.size:
            step *= 2
        return step


@dataclass(frozen=True, slots=True)
class Round:
    """One run's figures."""

    name: str
    asked: int
    """Machines that should get the image."""
    done: int
    first: float | None
    median: float | None
    last: float | None
    """Seconds until so many had it, checked; of those whose cable is whole and not slow. None: none of them had it."""
    last_slow: float | None
    """The same of those that send slowly: their own requests wait behind what they give."""
    copies: float
    """Copies of the image that the server sent."""
    server_link: float | None
    """Share of the server's cable that the image's bytes took until the last machine had it."""
    floor: float
    """Seconds that the cables alone would have needed."""
    processors: float
    """Seconds of processor time of all programs: machines' and nginx'."""
    bad: int
    """Reports of a peer that lied."""


def measure(storm: Storm, state: State, folder: Path, *, within: float, say: Callable[[str], None]) -> list[Round]:
    """Without peers, with peers, and with faulty ones where ``storm`` has any; raises EnvironmentProblem."""
    with room(folder, storm.machines, storm.link) as made:
        program, path, sha256 = prepare(storm, state, made)
        plans = [("server alone", False, 0), ("peers", True, 0)]
        plans += [("peers, some faulty", True, storm.faulty)] if storm.faulty else []
        found = []
        for name, peers, faulty in plans:
            say(f"{name}: {storm.machines} machines")
            found.append(
                one_round(storm, made, (program, path, sha256), name, peers=peers, faulty=faulty, within=within)
            )
    return found


def prepare(storm: Storm, state: State, made: StormRoom) -> tuple[Path, Path, str]:
    """The program, the manifest's file and its hash; puts an image of random bytes where nginx serves it."""
    data = hashlib.shake_128(b"storm").digest(storm.size)  # incompressible, the same each time
    text = chunks.manifest(io.BytesIO(data).read, len(data), step=storm.step)
    manifest = made.folder / chunks.FILE
    manifest.write_text(text, encoding="ascii")
    served = made.folder / "assets" / hashlib.sha256(data).hexdigest() / "root.squashfs"
    served.parent.mkdir(parents=True)
    served.write_bytes(data)
    return program_for_here(state, made.folder), manifest, hashlib.sha256(text.encode()).hexdigest()


def program_for_here(state: State, folder: Path) -> Path:
    """The program that ``nodisk build`` made, or one that this host's compiler makes; raises EnvironmentProblem."""
    built = sorted(state.cache.glob(f"{peers_program.NAME}-*-{peers_program.inputs()}"))
    program = folder / peers_program.NAME
    if built:
        program.write_bytes(built[0].read_bytes())
        program.chmod(0o755)
        return program
    try:
        sources = sorted(peers_program.SOURCES.glob("*.c"))
        run.run(["cc", "-std=c11", "-O2", "-o", program, *sources], timeout=120)
    except EnvironmentProblem as error:
        raise EnvironmentProblem(
            "there is no nodisk-peers to measure", hint="nodisk build with `peers:` in lab.yaml, or install gcc"
        ) from error
    return program


def one_round(
    storm: Storm, made: StormRoom, what: tuple[Path, Path, str], name: str, *, peers: bool, faulty: int, within: float
) -> Round:
    """All machines at once, from nothing."""
    program, manifest, sha256 = what
    everybody = list(range(1, storm.machines + 1))
    liars, slow, dying = (everybody[i * faulty : (i + 1) * faulty] for i in range(3))
    for number in everybody:
        (made.folder / f"{number}.image").unlink(missing_ok=True)
    for number in liars:
        words: list[str | Path] = [
            sys.executable,
            "-m",
            "nodisk.bench.storm_liar",
            made.address(number),
            str(ports.PEERS),
            manifest,
        ]
        made.start(number, words)
    for number in slow:
        made.slow_down(number, SLOW)
    logs = {}
    for number in [one for one in everybody if one not in liars]:
        at = f"{made.address(number)}:{ports.PEERS}"
        image = made.folder / f"{number}.image"
        logs[number] = made.start(number, [program, image, manifest, sha256, SERVER, at, "0"])
    # To start a hundred programs takes a host many seconds. They ask once a second: what they wait for comes now.
    made.serve(everybody if peers else [])
    began = time.monotonic()
    if dying:
        _cut_midway(made, dying, storm.size)
    wanted = {number: log for number, log in logs.items() if number not in dying}
    done = wait_for(wanted, within, began)
    given, processors = made.given(), made.processor_seconds()
    bad = sum(log.read_text(encoding="utf-8").count("bad ") for log in wanted.values())
    made.end()
    times = sorted(after for number, after in done.items() if number not in slow)
    slow_ones = [after for number, after in done.items() if number in slow]
    floor = storm.once if peers else storm.once * len(logs)
    copies = given / storm.size
    share = copies * storm.once / max(done.values()) if done else None
    return Round(
        name,
        asked=len(wanted),
        done=len(done),
        first=times[0] if times else None,
        median=statistics.median(times) if times else None,
        last=times[-1] if times else None,
        last_slow=max(slow_ones, default=None),
        copies=copies,
        server_link=share,
        floor=floor,
        processors=processors,
        bad=bad,
    )


def _cut_midway(made: StormRoom, numbers: list[int], size: int) -> None:
    """Pull cables out when the server has sent about a third of a copy: they hold something by then."""
    deadline = Deadline(60)
    while made.given() < size // 3 and deadline.pause(0.05):
        pass
    for number in numbers:
        made.cut(number)


def to_json(storm: Storm, rounds: list[Round]) -> dict[str, Any]:
    """All figures, for ``--output json``."""
    return {"storm": asdict(storm), "rounds": [asdict(one) for one in rounds]}


def headings() -> list[str]:
    """Of the table."""
    return [
        "",
        "done",
        "first s",
        "median s",
        "last s",
        "of floor",
        "last slow s",
        "copies",
        "server's link",
        "CPU s",
        "lies seen",
    ]


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


def rows(found: list[Round]) -> list[list[str]]:
    """Of the table: one for each round."""
    return [
        [
            one.name,
            f"{one.done}/{one.asked}",
            _shown(one.first),
            _shown(one.median),
            _shown(one.last),
            "-" if one.last is None else f"{one.last / one.floor:.2f} ×",
            _shown(one.last_slow),
            f"{one.copies:.2f}",
            "-" if one.server_link is None else f"{one.server_link:.0%}",
            f"{one.processors:.1f}",
            str(one.bad),
        ]
        for one in found
    ]
