"""Each chart is rendered once: what came of it is kept by the content of all that it was made of.

Helm takes seconds, and all who look at the add-ons want the same: pages of the console, several at the same time, and
the server, which applies them.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from nodisk.assets import helm
from nodisk.assets.helm import Rendered
from nodisk.spec.model_addons import HelmChart

MOST = 32
"""Charts that are kept, with their objects; a lab has a few."""


@dataclass(slots=True)
class Once:
    """What was made of each content, or is being made. For any thread."""

    most: int = MOST
    _made: dict[str, Future[Rendered]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str, make: Callable[[], Rendered]) -> Rendered:
        """What ``make`` returns, for the caller to change; of several at the same time one calls it.

        What it raises, all of them get, and nothing is kept of that.
        """
        with self._lock:
            made = self._made.pop(key, None)
            ours = made is None
            if made is None:
                made = Future()
            self._made[key] = made  # the newest at the end
            while len(self._made) > self.most:
                del self._made[next(iter(self._made))]
        if ours:
            try:
                made.set_result(make())
            except BaseException as error:
                with self._lock:
                    if self._made.get(key) is made:
                        del self._made[key]
                made.set_exception(error)
        return copy.deepcopy(made.result())


_ONCE = Once()


def render(name: str, archive: Path, chart: HelmChart, *, version: str | None, log: Path) -> Rendered:
    """As ``helm.render`` of an archive that was checked (``helm.check_archive``), and raises as it does.

    ``log`` is written where Helm runs.
    """
    return _ONCE.get(
        key(name, chart, version, helm.program()), lambda: helm.render(name, archive, chart, version=version, log=log)
    )


def key(name: str, chart: HelmChart, version: str | None, program: Path) -> str:
    """Of all that Helm's output follows from, with Helm itself: another is another file, or has another time."""
    about = program.stat()
    what = [name, chart.sha256, str(chart.namespace), chart.values, version]
    return hashlib.sha256(
        json.dumps([*what, str(program), about.st_size, about.st_mtime_ns, about.st_ino]).encode()
    ).hexdigest()
