"""The files of a submission to the CNCF's conformance repository, and the tarball that Sonobuoy would have given.

Compared with github.com/cncf/k8s-conformance (instructions.md, reviewing.md), with the program that checks its pull
requests (github.com/kubernetes-sigs/verify-conformance), and with Sonobuoy's page on its snapshots and its source
(pkg/client/results):

- a pull request holds README.md, PRODUCT.yaml, e2e.log and junit_01.xml in ``vX.Y/NAME/``, and nothing else;
- the root of junit_01.xml is ``testsuites``, and each spec of the release's conformance has passed in it;
- PRODUCT.yaml has the fields below and no other; those of a person who submits are empty here, and may not stay so;
- only the latest three lines of Kubernetes are accepted.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from nodisk import __version__, yamltext
from nodisk.conformance import report
from nodisk.conformance.records import Plan
from nodisk.conformance.results import Outcome, Result

PLUGIN = "plugins/e2e"
HOME = f"{PLUGIN}/results/global"
"""Where Sonobuoy's tarball has the results of its plugin ``e2e``."""
TAR = "sonobuoy.tar.gz"
DIR = "nodisk"
"""The folder's name in the repository."""
_STATUS = {Outcome.PASSED: "passed", Outcome.SKIPPED: "skipped"}


def documents(plan: Plan, results: Mapping[str, Result], log: str) -> dict[str, bytes]:
    """The four files by name. ``log``: what the suite printed, all pieces in their order."""
    return {
        "README.md": _readme(plan, results).encode(),
        "PRODUCT.yaml": yamltext.dump(product(plan)).encode(),
        "e2e.log": log.encode(errors="replace"),
        "junit_01.xml": _junit(plan, results),
    }


def place(plan: Plan) -> str:
    """The folder in the repository, which its pull request's title names as well."""
    return f"v{'.'.join(plan.version.split('.')[:2])}/{DIR}"


def product(plan: Plan) -> dict[str, Any]:
    """What PRODUCT.yaml says; the vendor's own fields are are left to the vendor. All are texts."""
    line = ".".join(plan.version.split(".")[:2])
    return {
        "vendor": "",
        "name": "nodisk",
        "version": f"v{__version__}",
        "website_url": "",
        "repo_url": "",
        "documentation_url": "",
        "product_logo_url": "",
        "type": "installer",
        "description": f"Kubernetes {line} on a room of diskless machines that boot from the network.",
        "contact_email_address": "",
    }


def _junit(plan: Plan, results: Mapping[str, Result]) -> bytes:
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.fromstring(report.to_junit(plan, results))  # noqa: S314 - written by this program
    for key in ("tests", "failures", "errors", "time"):
        suites.set(key, suite.get(key, "0"))
    suites.append(suite)
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def _readme(plan: Plan, results: Mapping[str, Result]) -> str:
    told = "\n".join(f"- {line}" for line in report.lines(plan, results)[-2:])
    return f"""# Conformance of nodisk {__version__} with Kubernetes {plan.version}

Begun {plan.began}, lab `{plan.lab}`.

{told}

`e2e.log` holds what each process of the suite printed, one after another: {len(plan.specs)} specs ran in pieces, and
what failed in its piece ran once more, alone.

## Reproduce it

On a server with nodisk {__version__} and a `lab.yaml` of the room (`nodisk init` writes one):

```
nodisk build
nodisk serve
nodisk status
nodisk conformance --mode certified --submission results
```
"""


def tarball(plan: Plan, results: Mapping[str, Result], files: Mapping[str, bytes]) -> bytes:
    """As much of Sonobuoy's snapshot as such a run has, gzipped.

    It has nothing of nodes, objects and pods' logs: nothing of Sonobuoy's was there to ask for them. Equal arguments
    give equal bytes but for the compressor's version.
    """
    content = {
        f"{HOME}/e2e.log": files["e2e.log"],
        f"{HOME}/junit_01.xml": files["junit_01.xml"],
        f"{PLUGIN}/sonobuoy_results.yaml": yamltext.dump(_summary(plan, results)).encode(),
        "meta/info.json": json.dumps({"kubernetes": f"v{plan.version}", "made_by": f"nodisk {__version__}"}).encode(),
        "serverversion.json": json.dumps({"gitVersion": f"v{plan.version}"}).encode(),
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(content.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(made.getvalue(), mtime=0)


def _summary(plan: Plan, results: Mapping[str, Result]) -> dict[str, Any]:
    """What ``sonobuoy results`` reads: the file's specs with their status, and one status for all."""
    specs = []
    for name in sorted(spec.name for spec in plan.specs):
        status = _STATUS.get(results[name].outcome, "failed") if name in results else "failed"
        specs.append({"name": name, "status": status})
    whole = "failed" if any(one["status"] == "failed" for one in specs) else "passed"
    suite = {"name": "Kubernetes e2e suite", "status": whole, "items": specs}
    file = {
        "name": "junit_01.xml",
        "status": whole,
        "meta": {"file": "results/global/junit_01.xml", "type": "file"},
        "items": [suite],
    }
    return {"name": "e2e", "status": whole, "meta": {"type": "summary"}, "items": [file]}
