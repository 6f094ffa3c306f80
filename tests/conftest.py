"""What all tests start from."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal

import pytest
from hypothesis import HealthCheck, settings
from tests.support import shares

import nodisk

# Whoever starts the tests may ignore these (nohup, a shell's background job), and what ignores them hands that on: the
# programs under test would then rightly ignore what tests send them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# A run that is ended by `kill` or `timeout` takes its namespaces and daemons away, as after Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# A host may forbid bytecode. Tests start nodisk a thousand times: each would compile a hundred modules for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long an example takes is the host's affair: a busy one must fail no test. And the same commit gives the same
# examples, so that nobody's change is red for what another's text would have met: `make test-all` looks for new ones.
EXPLORE = "NODISK_TEST_EXPLORE" in os.environ
settings.register_profile(
    "nodisk", deadline=None, derandomize=not EXPLORE, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("nodisk")

# Hypothesis takes constants out of the modules that are loaded, and with them other examples: all of them, so that the
# examples don't hang on which tests a process ran before.
for found in pkgutil.walk_packages(nodisk.__path__, "nodisk."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes take files in this order; one process has them as they are."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: shares.turn(item.nodeid.partition("::")[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> shares.Shares | None:
    """For ``--dist loadfile``."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return shares.Shares(config, log)
