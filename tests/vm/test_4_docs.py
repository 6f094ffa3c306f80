"""The documentation's examples that need a booted lab, run on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.doc_examples import Example, examples, matches, pages
from tests.vm.driver import Driver

pytestmark = pytest.mark.vm

# kubectl's own log on stderr, which it writes where the API server takes longer than ten seconds: not on the page.
LOG_LINE = re.compile(r"^(?:[IWE]\d{4} \d\d:|Trace\[).*\n?", re.MULTILINE)
LAB_EXAMPLES = [example for page in pages() for example in examples(page) if example.proof == "lab"]


@pytest.mark.parametrize("example", LAB_EXAMPLES, ids=lambda example: example.where)
def test_example(vm: Driver, example: Example, tmp_path: Path) -> None:
    vm.await_ready("cp1", "w1", "w2")  # what the pages assume
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NODISK_LAB": str(vm.file)}
    for step in example.steps:
        done = subprocess.run(
            ["/bin/sh", "-c", step.command],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        printed = done.stdout + LOG_LINE.sub("", done.stderr)
        assert done.returncode == step.status, f"{example.where}: {step.command}\n{printed}"
        if step.output:
            assert matches(step.output, printed), f"{example.where}: {step.command} printed\n{printed}"
