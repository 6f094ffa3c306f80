"""``nodisk lab bench --storm``: what it refuses, and what it shows where nobody got the image."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from nodisk.bench import storm
from nodisk.commands.lab_bench import lab_bench


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--link 100M", "--link and --size belong to --storm N"),
        ("--size 8MiB --matrix", "--link and --size belong to --storm N"),
        ("--storm 3 --matrix", "leave out --matrix"),
        ("--storm 3 --size 0", "--size: an empty image measures nothing"),
        ("--storm 3 --size much", "much"),
        ("--storm 3 --link 5x", "'5x' is no rate"),
        ("--storm 2", "3<=x<=200"),
    ],
)
def test_refused_before_anything_runs(words: str, said: str) -> None:
    done = CliRunner().invoke(lab_bench, words.split())
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(("machines", "rounds"), [(9, "2 times"), (10, "3 times")])
def test_faulty_machines_are_a_tenth(machines: int, rounds: str) -> None:
    done = CliRunner().invoke(lab_bench, ["--storm", str(machines), "--dry-run"])
    assert rounds in done.output


def test_nobody_got_it() -> None:
    nobody = storm.Round("alone", 3, 0, None, None, None, None, 0.5, None, 10.0, 1.0, 0)
    [row] = storm.rows([nobody])
    assert len(row) == len(storm.headings())
    assert row[1:7] == ["0/3", "-", "-", "-", "-", "-"]
    told = json.dumps(storm.to_json(storm.Storm(3, 1_000_000, 4096), [nobody]), allow_nan=False)
    assert json.loads(told)["rounds"][0]["last"] is None
