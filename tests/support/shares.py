"""Which of pytest-xdist's workers takes what, and in which order: what waits longest comes first.

A file is one worker's, as with ``--dist loadfile``. All files of ``tests/api`` are three workers': each starts a
control plane of its own, which takes a quarter of a minute to start and computes for as long as it runs. Unit tests,
which only compute, come last: they fill what is left, and no worker waits for another's last long file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

API = PurePosixPath("tests/api")
PLANES = 3
SHARES = tuple(f"{API} {number}" for number in range(PLANES))
LONGEST_OF_API = (
    *("test_classes", "test_upgrade", "test_class_storage", "test_interrupted", "test_console_classes"),
    *("test_verify_bench", "test_metrics", "test_conformance", "test_conformance_pods", "test_backup", "test_door"),
)
LAST_OF_API = ("test_addons",)
"""It makes kinds and takes them away. The quota controller then lists all kinds anew, which may hold up the others."""
LONGEST = (
    *("backup/test_faults", "backup/test_sftp", "server/test_layers", "server/test_class_registry", "power/test_room"),
    *(
        "browser/test_console",
        "server/test_backup",
        "server/test_timetable",
        "server/test_storage",
        "server/test_serve",
    ),
    *("node/test_peers", "server/test_console_load", "server/test_boot_storm", "server/test_storm", "server/test_dhcp"),
    *("assets/test_addon_mirror", "check/test_wire", "check/test_from_room", "backup/test_killed", "assets/test_image"),
)
"""Of the others, by the end of the path."""


class Shares(LoadFileScheduling):  # type: ignore[misc]
    """As ``--dist loadfile``, but for ``tests/api``.

    That keeps together what has the same words before the first ``::``. It is told of API's tests below the names of
    ``PLANES`` files that are none, and tells of them so: both are translated here. (``--dist loadgroup`` would have the
    groups show in the names of all tests, and no name in a report would be one to run again.)
    """

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        super().add_node_collection(node, shared(collection))

    def remove_node(self, node: WorkerController) -> str | None:
        """Returns what ran when the worker crashed, if it did."""
        crashed: str | None = super().remove_node(node)
        return None if crashed is None else own_name(crashed)


def shared(tests: Sequence[str]) -> list[str]:
    """The names of tests, API's below their shares': ``tests/api 0::tests/api/test_x.py::test_y``."""
    files = {test.partition("::")[0] for test in tests}
    api = sorted((file for file in files if API in PurePosixPath(file).parents), key=turn)
    share = {file: SHARES[number % PLANES] for number, file in enumerate(api)}
    return [f"{share[file]}::{test}" if (file := test.partition("::")[0]) in share else test for test in tests]


def own_name(test: str) -> str:
    """A test's own name, of one that ``shared`` returned."""
    first, _, rest = test.partition("::")
    return rest if first in SHARES else test


def turn(file: str) -> tuple[int, int, str]:
    """When it is a file's turn: its key to sort by."""
    path = PurePosixPath(file)
    if API in path.parents:
        last = path.stem in LAST_OF_API
        return int(last), _place(LONGEST_OF_API, path.stem), file
    if "unit" in path.parts or "golden" in path.parts:
        return 4, 0, file
    ending = f"{path.parent.name}/{path.stem}"
    return (2 if ending in LONGEST else 3), _place(LONGEST, ending), file


def _place(names: Iterable[str], name: str) -> int:
    known = [*names]
    return known.index(name) if name in known else len(known)
