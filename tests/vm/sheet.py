"""A student's printed sheet: its command lines, and doing them as the student would, line by line in one shell."""

from __future__ import annotations

import html
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from nodisk import run

_MARK = "--- end of step"


@dataclass(frozen=True)
class Step:
    """One numbered step of the sheet."""

    title: str
    commands: str


class _Steps(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Step] = []
        self._tag, self._title, self._text = "", "", ""

    def handle_starttag(self, tag: str, _: object) -> None:
        if tag in ("h2", "pre"):
            self._tag, self._text = tag, ""

    def handle_data(self, data: str) -> None:
        if self._tag:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == self._tag == "h2":
            self._title = self._text
        elif tag == self._tag == "pre":
            self.found.append(Step(self._title, self._text))
        if tag == self._tag:
            self._tag = ""


def steps(text: str) -> list[Step]:
    """All steps of a sheet (HTML), with their commands as a person reads them."""
    parser = _Steps()
    parser.feed(text)
    assert parser.found, html.escape(text[:500])
    return parser.found


def follow(
    sheet: list[Step], folder: Path, *, netns: str | None, timeout: float = 600
) -> Mapping[str, subprocess.CompletedProcess[str]]:
    """Type all steps into one bash in ``folder``; step's title → its output (both streams) and last command's status.

    The shell knows nothing of the administrator: an empty home, no KUBECONFIG, no kubectl but the one that is fetched.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    script = "".join(f'{step.commands.rstrip()}\necho "{_MARK} $?"\n' for step in sheet)
    path = ":".join(("/usr/local/bin", "/usr/bin", "/bin"))
    words = ["env", "-i", f"PATH={path}", f"HOME={home}", f"TERM={os.environ.get('TERM', 'dumb')}", "LC_ALL=C.UTF-8"]
    shell = ["bash", "-c", "exec 2>&1; source /dev/stdin"]
    done = run.run([*words, *shell], stdin=script, cwd=folder, netns=netns, timeout=timeout, check=False)
    parts = re.split(rf"^{re.escape(_MARK)} (\d+)$\n?", done.stdout, flags=re.M)
    assert len(parts) == 2 * len(sheet) + 1, done.stdout
    return {
        step.title: subprocess.CompletedProcess(step.commands, int(parts[2 * place + 1]), parts[2 * place], "")
        for place, step in enumerate(sheet)
    }
