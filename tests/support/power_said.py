"""What writers say until the power is cut: a JSON list a line, each of which must hold afterwards."""

from __future__ import annotations

import json

Said = list[list[str]]
"""Acknowledgements in order, each the list that a writer printed, as texts."""


def acknowledge(*what: object) -> None:
    """Say that something is done."""
    print(json.dumps(what), flush=True)


def parsed(lines: list[str]) -> Said:
    """A writer's acknowledgements; a line that the writer's end cut short is none."""
    return [[str(word) for word in json.loads(line)] for line in lines if line.endswith("\n")]
