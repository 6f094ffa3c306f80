"""Secure Boot on, with the keys that PCs come with: what nobody signed does not boot.

What Debian signed becomes Ready in ``test_1_ready``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import Driver, lab_of_its_own

pytestmark = pytest.mark.vm

LAB = """\
name: vmtest-secure
network: {subnet: 10.80.0.0/24, server: 10.80.0.1}
os: {kernel: cloud}
secure_boot: false
virtual: {firmware: secure-boot}
machines:
  - {name: cp1, mac: "52:54:00:80:00:0b", address: 10.80.0.11, role: control-plane, memory: 2GiB}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Driver]:
    """The lab, which begins to boot."""
    with lab_of_its_own(tmp_path, LAB) as driver:
        driver("lab", "up", "--detach", timeout=1500)
        yield driver


def test_what_nobody_signed_is_refused(lab: Driver) -> None:
    """iPXE comes whole, and the firmware itself says why it does not run it."""
    served = lab.context().state.log / "dnsmasq.log"
    lab.wait(lambda: "Access Denied" in lab.console("cp1"), "the firmware refuses iPXE")
    assert "/snponly.efi to 10.80.0.11" in served.read_text(errors="replace")
    assert list(lab.status()["machines"]["cp1"]["stages"]) == ["dhcp"], "no boot script was asked for"
