#!/usr/bin/env python3
"""A program with the command line of ``e2e.test``, for tests of what surrounds it: Kubernetes' own takes hours.

It works on the real API server that it is given: each spec has a namespace with the suite's label. A spec whose name
has the word ``fails`` fails, ``skips`` skips itself, ``flaky`` fails the first time, ``hangs`` waits for its end.
"""

import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path(__file__).resolve().parent


def main() -> int:
    options = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
    names = (HERE / "names").read_text().splitlines()
    if "list-conformance-tests" in options:
        print("".join(f"- codename: '{name}'\n" for name in names))
        return 0
    if "version" in options:
        print("v1.20.2")
        return 0
    kubectl = [options["kubectl-path"], f"--kubeconfig={options['kubeconfig']}"]
    focus = re.compile(options["ginkgo.focus"])
    cases, failed = [], False
    for number, name in enumerate(names):
        if not focus.search(f"Kubernetes e2e suite {name}"):
            cases.append(f'<testcase name={quoteattr(name)} time="0"><skipped/></testcase>')
            continue
        space = f"e2e-{number}"
        subprocess.run([*kubectl, "create", "namespace", space], check=True)
        subprocess.run([*kubectl, "label", "namespace", space, "e2e-run=test"], check=True)
        inside = ""
        if "hangs" in name and not (HERE / "woken").exists():
            signal.pause()
        if "fails" in name or ("flaky" in name and not (HERE / "seen").exists()):
            if "flaky" in name:
                (HERE / "seen").touch()
            inside, failed = "<failure>it was to</failure>", True
        elif "skips" in name:
            print(f"S [SKIPPING] [0.1 seconds]\n  {name} [It]\n\n  Requires at least 9 nodes (not 0)\n{'-' * 30}")
            inside = "<skipped/>"
        subprocess.run([*kubectl, "delete", "namespace", space, "--wait=false"], check=True)
        cases.append(f'<testcase name={quoteattr(name)} time="0.1">{inside}</testcase>')
    Path(options["report-dir"], "junit_01.xml").write_text(f"<testsuite>{''.join(cases)}</testsuite>")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
