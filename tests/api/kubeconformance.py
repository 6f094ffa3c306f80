#!/usr/bin/env python3
"""The program of the official conformance image in small, told what to do as that is told: by its environment.

It works on the real API server, as its account may: each spec has a namespace with the suite's label. A spec whose name
has the word ``fails`` fails, ``skips`` skips itself, ``flaky`` fails the first time, ``hangs`` waits for its end. Its
JUnit is laid out as Ginkgo 2's. HERE is a folder with the names of its specs, KUBECTL that program.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr


def main() -> int:
    here, results = Path(os.environ["HERE"]), Path(os.environ["RESULTS_DIR"])
    focus = re.compile(os.environ["E2E_FOCUS"])
    cases = ['<testcase name="[SynchronizedBeforeSuite]" status="passed" time="0.1"></testcase>']
    failed = False
    with (results / "e2e.log").open("w") as log:
        print("ginkgo", os.environ["E2E_EXTRA_GINKGO_ARGS"], file=log, flush=True)
        for number, name in enumerate((here / "names").read_text().splitlines()):
            status, time, inside = "skipped", 0.0, '<skipped message="skipped"></skipped>'
            if focus.search(f"Kubernetes e2e suite {name}"):
                print("runs", name, file=log, flush=True)
                status, inside = run(here, number, name)
                time, failed = 0.1, failed or status == "failed"
            cases.append(
                f'<testcase name={quoteattr(f"[It] {name}")} status="{status}" time="{time}">{inside}</testcase>'
            )
    (results / "junit_01.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return int(failed)


def run(here: Path, number: int, name: str) -> tuple[str, str]:
    """Run one spec: its status, and what its case holds."""
    space = f"e2e-{number}"
    kubectl("create", "namespace", space)
    kubectl("label", "namespace", space, "e2e-run=test")
    if "hangs" in name and not (here / "woken").exists():
        signal.pause()
    first = not (here / "seen").exists()
    if "flaky" in name:
        (here / "seen").touch()
    kubectl("delete", "namespace", space, "--wait=false")
    if "fails" in name or ("flaky" in name and first):
        return "failed", '<failure message="" type="failed">it was to</failure>'
    if "skips" in name:
        return "skipped", '<skipped message="skipped - Requires at least 9 nodes (not 1)"></skipped>'
    return "passed", ""


def kubectl(*words: str) -> None:
    subprocess.run([os.environ["KUBECTL"], *words], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
