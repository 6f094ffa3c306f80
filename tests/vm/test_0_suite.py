"""Kubernetes' conformance suite, which test_5_conformance.py runs: compiled before the lab is there.

That takes nine minutes on two cores, once: the store keeps it. Emulated machines would take their share of the cores,
and be slowed down by it.
"""

from __future__ import annotations

import pytest
from tests.support import assets

from nodisk.assets import suite

pytestmark = pytest.mark.vm


def test_the_suite_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():  # so that its progress is seen
        found = assets.conformance_suite()
    found.check()
    assert found.version() == suite.VERSION
