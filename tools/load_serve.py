"""For ``console_load``: ``nodisk serve`` as it is, but that students' terminals are shells of this host.

No cluster runs where the console is loaded, so there are no pods. What an API server and a kubelet add is in no figure.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.shells import Host

from nodisk import cli
from nodisk.console import common


def on_this_host(*_: Any) -> Host:
    """Where terminals run, in the place of ``InCluster``."""
    return Host()


if __name__ == "__main__":
    common.InCluster = on_this_host  # type: ignore[misc, assignment]
    cli.main()
