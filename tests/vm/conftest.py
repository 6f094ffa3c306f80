"""One virtual lab for all VM tests: booted once, removed at the end.

Its machines have three kinds of firmware: what boots anyway shows that each kind becomes Ready. The files
``test_0_*`` have labs of their own and run before it is there: machines that idle are emulated too, and slow them down.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver

LAB = """\
name: vmtest
network: {subnet: 10.78.0.0/24, server: 10.78.0.1}
os: {kernel: cloud}
class_registry: {size: 64MiB, per_namespace: 32MiB}
machines:
  - {name: cp1, mac: "52:54:00:78:00:0b", address: 10.78.0.11, role: control-plane, memory: 2GiB}
  - {name: w1, mac: "52:54:00:78:00:15", address: 10.78.0.21, memory: 1GiB, firmware: uefi-http}
  - {name: w2, mac: "52:54:00:78:00:16", address: 10.78.0.22, memory: 1GiB, firmware: secure-boot, secure_boot: true}
"""


@pytest.fixture(scope="session")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """The lab, up and proved by ``nodisk lab up``, its output in ``up.log`` beside lab.yaml."""
    if ready := os.environ.get("NODISK_TEST_LAB"):
        # For the one who writes these tests: the lab.yaml below, up already, and left as it is.
        yield Driver(Path(ready))
        return
    file = tmp_path_factory.mktemp("vmtest") / "lab.yaml"
    file.write_text(LAB)
    driver = Driver(file)
    driver("lab", "down", "--purge")  # what an earlier run left when it was killed
    try:
        done = driver("lab", "up", "--within", str(BOOT_WITHIN), timeout=BOOT_WITHIN + 1500)
        file.with_name("up.log").write_text(done.stdout + done.stderr)
        yield driver
    finally:
        driver("lab", "down", "--purge")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the machines' state into the report of a test that failed: the lab is gone before anybody can look."""
    report = yield
    driver = getattr(item, "funcargs", {}).get("vm")
    if report.failed and isinstance(driver, Driver):
        try:
            said = [driver(*words, check=False).stdout for words in (("status",), ("events", "--since", "15m"))]
            text = "\n".join([*said, driver.consoles(40)])
        except Exception as error:  # an error here would end the whole session
            text = f"not to be had: {error!r}"
        report.sections.append(("machines", text))
    return report
