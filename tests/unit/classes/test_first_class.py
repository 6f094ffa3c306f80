"""What a newcomer does first: judge a roster without a cluster, then make the class that ``lab up`` names."""

from __future__ import annotations

import re
import shlex
from decimal import Decimal
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from nodisk.classes import sizes
from nodisk.classes.capacity import GIB, Amounts, Capacity
from nodisk.classes.sizes import amount
from nodisk.commands.classes import class_
from nodisk.commands.machines import FIRST_CLASS

ROOT = Path(__file__).parents[3]
MEASURED = Amounts(Decimal("1.5"), Decimal("0.95") * GIB, 200)
"""What the two workers of examples/virtual.yaml have for classes, at the least that "1.0 GiB" can stand for."""


def test_four_tiny_students_fit_the_virtual_lab() -> None:
    name, size = sizes.find("tiny")
    each = Amounts(amount(size.cpu), amount(size.memory) + amount(size.ephemeral), size.pods)
    wanted = Amounts(each.cores * 4, each.ram * 4, each.pods * 4)
    Capacity(2, MEASURED, Amounts(), wanted, 4, name).refuse()


def test_the_steps_of_the_sheet_fit_a_tiny_student() -> None:
    size = sizes.named()["tiny"]
    pods = 3  # two copies of echo, and the pod that writes files
    assert pods <= size.pods
    assert pods * amount(size.container.memory) <= amount(size.memory)
    assert pods * amount(size.container.ephemeral) <= amount(size.ephemeral)
    assert pods * amount(size.container.cpu) <= amount(size.cpu)


def test_what_lab_up_names_is_a_command() -> None:
    create = class_.commands["create"]
    with create.make_context("create", [*shlex.split(FIRST_CLASS)], resilient_parsing=False) as made:
        assert isinstance(made, click.Context)
        assert made.params["size"] in sizes.named()
        assert len(made.params["students"].split(",")) == 4


def test_the_table_of_sizes_is_what_the_sizes_are() -> None:
    page = (ROOT / "docs" / "reference" / "class-sizes.md").read_text(encoding="utf-8")
    known = [size.model_dump() for size in sizes.named().values()]
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| (.+?) \|[^|]+\|$", page, re.MULTILINE))
    fields = [name for name in known[0] if name != "container"] + [
        f"container.{name}" for name in known[0]["container"]
    ]
    for field in fields:
        outer, _, inner = field.partition(".")
        values = [str(size[outer][inner] if inner else size[outer]) for size in known]
        assert [cell.strip() for cell in rows[field].split("|")] == values, field


@pytest.fixture
def lab(tmp_path: Path) -> list[str]:
    return ["--lab", str(ROOT / "examples" / "virtual.yaml"), "--state", str(tmp_path / "state")]


def test_a_roster_is_judged_without_a_cluster(lab: list[str], tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_text("name,id\nAnna Nowak,1\nJan Kowalski,2\n")
    words = ["create", "k8s", "--roster", str(roster), "--dry-run", *lab]
    done = CliRunner().invoke(class_, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "k8s-anna-nowak" in done.stdout
    assert "capacity not checked" in done.stderr
