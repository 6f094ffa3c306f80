"""``python -m nodisk.check.inside FILE PID CHECK…``: network checks in this process' namespace."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nodisk.check import wire
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.spec.load import load


def main() -> None:
    """Print the findings as JSON; PID is the lab's own server, 0 if none runs."""
    file, pid, *names = sys.argv[1:]
    lab = load(Path(file))
    found = all_or_raise(in_parallel(lambda name: wire.check(name, lab, int(pid) or None), names))
    json.dump([finding.as_json() for findings in found for finding in findings], sys.stdout)


if __name__ == "__main__":
    main()
