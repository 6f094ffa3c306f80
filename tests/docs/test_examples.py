"""Every example in the documentation is run, or says why it can't be."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.doc_examples import ROOT, Example, examples, matches, pages

ALL = [example for page in pages() for example in examples(page)]
PROOFS = ("unit", "api", "lab", "by ", "not run: ")


@pytest.mark.parametrize("example", ALL, ids=lambda e: e.where)
def test_every_example_says_how_it_is_proved(example: Example) -> None:
    assert example.proof.startswith(PROOFS), f"{example.where}: no <!-- test: … --> above the block"
    assert example.steps, f"{example.where}: a console block without a `$ ` line"

    for path, test in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", example.proof):
        assert (ROOT / path).is_file(), f"{example.where}: there is no {path}"
        assert f"def {test}" in (ROOT / path).read_text(), f"{example.where}: {path} has no {test}"


@pytest.mark.parametrize("example", [e for e in ALL if e.proof == "unit"], ids=lambda e: e.where)
def test_unit_examples(example: Example, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NODISK_STATE": str(tmp_path / "state"),
    }
    env.pop("NODISK_LAB", None)
    for folder in ("examples", "docs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for step in example.steps:
        done = subprocess.run(
            ["/bin/sh", "-c", step.command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        printed = done.stdout + done.stderr
        assert done.returncode == step.status, f"{example.where}: {step.command}\n{printed}"
        if step.output:
            assert matches(step.output, printed), f"{example.where}: {step.command} printed\n{printed}"


def test_matching() -> None:
    assert matches(("a ... c", "...", "z"), "a b c\nd\ne\nz\n")
    assert matches(("...", "z"), "z")
    assert not matches(("a",), "a\nb")
