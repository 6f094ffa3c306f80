"""One process of the suite: its command line, and what its end means for each spec that it was asked for."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodisk import run
from nodisk.conformance import results, specs
from nodisk.conformance.results import Outcome, Reason, Result
from nodisk.conformance.specs import Spec
from nodisk.errors import IntegrityError, TimedOut

BEGIN = 15 * 60.0
"""Seconds that a process may need before its first spec, which begins once all nodes are ready."""
LIMIT = 20 * 60.0
"""Seconds for one spec. The slowest of 1.20 waits a quarter of an hour before it fails."""
PREPARATION = "BeforeSuite"
"""How the JUnit calls what comes before all specs: it waits for nodes, and for the cluster's own pods."""
FEW_NODES = re.compile(r"Requires at least \d+ nodes")
"""What a spec says that skips itself because it needs more of them."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The programs, and the cluster that they are to test."""

    program: Path
    """``e2e.test``."""
    kubectl: Path
    kubeconfig: Path
    repositories: Path | None
    """The file for KUBE_TEST_REPO_LIST: the registries in which the suite's images are; None: the official ones."""
    netns: str | None = None
    """The network namespace in which the cluster can be reached."""
    stretch: float = 1.0
    """Time-outs are so many times as long as usual."""
    missing: frozenset[str] = frozenset()
    """Images that can't be had here."""

    def argv(self, piece: Sequence[Spec], folder: Path) -> list[str | Path]:
        """The command line that runs these specs and no others, with its JUnit in ``folder``."""
        minutes = 30 * self.stretch
        argv: list[str | Path] = [
            self.program,
            f"--kubeconfig={self.kubeconfig}",
            f"--kubectl-path={self.kubectl}",
            "--provider=skeleton",
            "--disable-log-dump",
            f"--report-dir={folder}",
            f"--ginkgo.focus={specs.focus_of(piece)}",
            "--ginkgo.noColor",
            "--ginkgo.slowSpecThreshold=3600",
            f"--node-schedulable-timeout={minutes:.0f}m",
            f"--system-pods-startup-timeout={minutes:.0f}m",
        ]
        return run.tied(argv)

    def limit(self, piece: Sequence[Spec]) -> float:
        """Seconds after which a process hangs."""
        return (BEGIN + LIMIT * len(piece)) * self.stretch

    def run(self, piece: Sequence[Spec]) -> Ended:
        """Run these specs to their end."""
        with tempfile.TemporaryDirectory(prefix="nodisk-conformance-") as made:
            folder = Path(made)
            environment = {"KUBE_TEST_REPO_LIST": str(self.repositories or ""), "HOME": made}
            argv = self.argv(piece, folder)
            late = ""
            try:
                done = run.run(
                    argv, cwd=folder, env=environment, netns=self.netns, timeout=self.limit(piece), check=False
                )
                log, status = done.stdout + done.stderr, done.returncode
            except TimedOut as error:
                log, status, late = "", -1, error.message
            return ended(piece, _junit(folder), log, late or f"exit status {status}", self.missing)


Read = Callable[[bytes, Collection[str]], Mapping[str, Result]]
"""Reads the results of the named specs out of a JUnit document; raises IntegrityError."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process gave."""

    results: tuple[Result, ...]
    junit: bytes | None
    log: str


def ended(
    piece: Sequence[Spec],
    junit: bytes | None,
    log: str,
    how: str,
    missing: Collection[str] = frozenset(),
    *,
    read: Read = results.parse,
) -> Ended:
    """Each spec's result, whatever the process left: a spec of which its JUnit says nothing is undecided.

    ``how``: the end of the process in words. ``missing``: images that can't be had here; a spec that failed for want of
    one could not run, which is no failure of the cluster. ``read``: for JUnit of another Ginkgo than the first.
    """
    names = [spec.name for spec in piece]
    found: Mapping[str, Result] = {}
    why = f"the suite ended without a result ({how}): {_last(log)}"
    if junit is not None:
        try:
            all_read = dict(read(junit, [*names, PREPARATION]))
            why = f"the suite did not run it ({how}); does its name fit this release?"
            if (prepared := all_read.pop(PREPARATION, None)) is not None and prepared.outcome is Outcome.FAILED:
                why = f"the suite began no spec: {prepared.text}"
            found = {**all_read, **_without_image(all_read, results.unpulled(junit, missing) if missing else {})}
        except IntegrityError as error:
            why = error.message
    skipped = {name: _skipped(one, log) for name, one in found.items() if one.reason is Reason.SUITE}
    all_ = {**found, **skipped}
    return Ended(tuple(all_.get(name) or Result(name, Outcome.UNDECIDED, text=why) for name in names), junit, log)


def _without_image(read: Mapping[str, Result], unpulled: Mapping[str, str]) -> dict[str, Result]:
    """What failed for want of an image, as skipped."""
    return {
        name: Result(name, Outcome.SKIPPED, read[name].seconds, f"no node can pull {image}", Reason.IMAGE)
        for name, image in unpulled.items()
        if name in read and read[name].outcome is Outcome.FAILED
    }


def _junit(folder: Path) -> bytes | None:
    path = folder / "junit_01.xml"
    try:
        with path.open("rb") as file:
            return file.read(results.MAX_JUNIT + 1)
    except OSError:
        return None


def _last(log: str) -> str:
    said = [line.strip() for line in log.splitlines() if line.strip()]
    return said[-1][:300] if said else "it said nothing"


def _skipped(result: Result, log: str) -> Result:
    """Say why: Ginkgo 1 writes a spec's own reason for not running into its log alone."""
    for text in _skips(log):
        flat = " ".join(text.split())
        if all(word in flat for word in result.name.split()):
            reason = Reason.NODES if FEW_NODES.search(text) else Reason.SUITE
            return Result(result.name, Outcome.SKIPPED, result.seconds, _last_words(text), reason)
    return result


def _skips(log: str) -> Iterator[str]:
    """The parts of Ginkgo's log about specs that skipped themselves."""
    for part in log.split("S [SKIPPING]")[1:]:
        yield part.partition("\n------------------------------")[0]


def _last_words(text: str) -> str:
    """The reason: of the indented lines of such a part, the last but the place in the source."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    words = [line for line in said if not re.match(r"(/|_output/|k8s\.io/|test/).*\.go:\d+", line)]
    return words[-1][:300] if words else "the suite did not say why"
