"""The files of a submission to the CNCF's conformance repository, and the tarball that Sonobuoy would have given.

The format is that of instructions.md of github.com/cncf/k8s-conformance, from memory: compare before a submission.
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
from nodisk.conformance.results import Result

HOME = "plugins/e2e/results/global"
"""Where Sonobuoy's tarball has the results of its plugin ``e2e``."""
TAR = "sonobuoy.tar.gz"


def documents(plan: Plan, results: Mapping[str, Result], log: str) -> dict[str, bytes]:
    """The four files by name. ``log``: what the suite printed, all pieces in their order."""
    return {
        "README.md": _readme(plan, results).encode(),
        "PRODUCT.yaml": yamltext.dump(product(plan)).encode(),
        "e2e.log": log.encode(errors="replace"),
        "junit_01.xml": report.to_junit(plan, results).encode(),
    }


def product(plan: Plan) -> dict[str, Any]:
    """What PRODUCT.yaml says; the vendor's own fields are for whoever submits."""
    return {
        "vendor": "",
        "name": "nodisk",
        "version": f"v{__version__}",
        "website_url": "",
        "repo_url": "",
        "documentation_url": "",
        "product_logo_url": "",
        "type": "installer",
        "description": "Kubernetes on a room of diskless machines that boot from the network.",
        "contact_email_address": "",
        "k8s_version": f"v{plan.version}",
    }


def _readme(plan: Plan, results: Mapping[str, Result]) -> str:
    told = "\n".join(f"- {line}" for line in report.lines(plan, results)[-2:])
    return f"""# Conformance of nodisk {__version__} with Kubernetes {plan.version}

Begun {plan.began}, lab `{plan.lab}`.

{told}

To reproduce it on a server with nodisk {__version__}:

```
nodisk build
nodisk serve
nodisk conformance --mode certified --submission results
```
"""


def tarball(plan: Plan, files: Mapping[str, bytes]) -> bytes:
    """Sonobuoy's layout, gzipped; equal arguments give equal bytes but for the compressor's version."""
    suites = ElementTree.Element("testsuites")
    suites.append(ElementTree.fromstring(files["junit_01.xml"]))  # noqa: S314 - written by this program
    content = {
        f"{HOME}/e2e.log": files["e2e.log"],
        f"{HOME}/junit_01.xml": ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True),
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
