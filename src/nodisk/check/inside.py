"""``python -m nodisk.check.inside CHECK FILE PID``: one check of the wire in the namespace that this process is in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nodisk.check import wire
from nodisk.spec.load import load


def main() -> None:
    """Print the findings as JSON; PID is the lab's own server, 0 if none runs."""
    name, file, pid = sys.argv[1:]
    findings = wire.check(name, load(Path(file)), int(pid) or None)
    json.dump([finding.as_json() for finding in findings], sys.stdout)


if __name__ == "__main__":
    main()
