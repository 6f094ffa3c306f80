"""Runs of the suite as the state keeps them: what is to run, and each piece's results as soon as it has ended.

::

    labs/NAME/conformance/20270131T081500Z/
    ├── run.json          the release, the mode, the specs, the images that are substitutes
    ├── 0001.json         a piece's results; written last, so a piece without it has not ended
    ├── 0001.xml          its JUnit, as the suite wrote it
    ├── 0001.log          what the suite printed
    └── causes.yaml       why specs failed, once a person has understood it (``causes``)

Every file is whole or absent, also after a power cut (``files.write``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodisk import files
from nodisk.conformance import causes, results
from nodisk.conformance.causes import Cause
from nodisk.conformance.results import Result
from nodisk.conformance.specs import Spec
from nodisk.errors import IntegrityError, UsageError

FORMAT = 1
_RUN = re.compile(r"\d{8}T\d{6}Z")
_PIECE = re.compile(r"\d{4,}\.json")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is about; it never changes while the run is resumed."""

    lab: str
    version: str
    """Kubernetes' release."""
    suite: str
    """The id of the suite's asset: another suite is another run."""
    mode: str
    focus: str | None
    began: str
    """UTC, RFC 3339."""
    specs: tuple[Spec, ...]
    official: int
    """How many specs the release has."""
    substitutes: Mapping[str, str]
    """Container image of the suite → what stands in for it."""

    def to_json(self) -> dict[str, Any]:
        """As ``run.json`` holds it."""
        return {
            "format": FORMAT,
            "lab": self.lab,
            "version": self.version,
            "suite": self.suite,
            "mode": self.mode,
            "focus": self.focus,
            "began": self.began,
            "specs": [spec.name for spec in self.specs],
            "official": self.official,
            "substitutes": dict(self.substitutes),
        }


class Run:
    """One run's folder."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan

    @classmethod
    def begin(cls, root: Path, plan: Plan) -> Run:
        """Make the folder of a new run; ``root`` is the lab's folder of all runs."""
        folder = root / re.sub(r"[-:]", "", plan.began)
        folder.mkdir(parents=True)
        files.write(folder / "run.json", json.dumps(plan.to_json(), indent=1) + "\n")
        files.sync_folder(root)
        return cls(folder, plan)

    @classmethod
    def latest(cls, root: Path) -> Run:
        """The last run that was begun; raises UsageError if there is none, IntegrityError if it is damaged."""
        folders = sorted(one for one in root.glob("*Z") if _RUN.fullmatch(one.name) and (one / "run.json").exists())
        if not folders:
            raise UsageError("no run of the conformance suite was begun on this lab", hint="leave out --resume")
        return cls(folders[-1], _plan(folders[-1] / "run.json"))

    def results(self) -> dict[str, Result]:
        """What is known so far, by spec; of several results of one spec the last. Raises IntegrityError."""
        found: dict[str, Result] = {}
        for path in self._ended():
            value = _json(path)
            if not isinstance(value, list):
                raise _damaged(path, "it is no list")
            found |= {result.name: result for result in map(results.from_json, value)}
        return found

    def keep(self, got: Iterable[Result], *, junit: bytes | None, log: str) -> None:
        """Keep what a piece gave; once this returns, nothing loses it."""
        ended = self._ended()
        number = int(ended[-1].stem) + 1 if ended else 1
        base = self.folder / f"{number:04}"
        files.write(base.with_suffix(".log"), log)
        if junit is not None:
            files.write(base.with_suffix(".xml"), junit)
        listed = [result.to_json() for result in got]
        files.write(base.with_suffix(".json"), json.dumps(listed, indent=1, ensure_ascii=False) + "\n")

    def logs(self) -> list[Path]:
        """What the suite printed, piece by piece."""
        return [path.with_suffix(".log") for path in self._ended()]

    def causes(self) -> dict[str, Cause]:
        """Why specs failed, as a person wrote it beside the results. Raises UsageError."""
        return causes.load(self.folder / causes.NAME, {spec.name for spec in self.plan.specs})

    def _ended(self) -> list[Path]:
        found = (path for path in self.folder.iterdir() if _PIECE.fullmatch(path.name))
        return sorted(found, key=lambda path: int(path.stem))


def _plan(path: Path) -> Plan:
    value = _json(path)
    try:
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']} is another nodisk's")
        texts = [value[key] for key in ("lab", "version", "suite", "mode", "began")]
        texts += [*value["specs"], *value["substitutes"], *value["substitutes"].values()]
        texts += [] if value["focus"] is None else [value["focus"]]
        if not all(isinstance(text, str) for text in texts) or type(value["official"]) is not int:
            raise TypeError("a value is of another kind")
        return Plan(
            lab=value["lab"],
            version=value["version"],
            suite=value["suite"],
            mode=value["mode"],
            focus=value["focus"],
            began=value["began"],
            specs=tuple(Spec(name) for name in value["specs"]),
            official=value["official"],
            substitutes=value["substitutes"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is damaged: {why}", hint="start over, without --resume; the old run's logs stay where they are"
    )
