"""What a nonce is worth: once, for minutes, for one machine, one role, one address, while the lab is armed."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.records import nonces
from nodisk.records.nonces import Claim, Nonce, Why, refusal
from nodisk.values import Mac, Role

MAC, OTHER = Mac.parse("52:54:00:00:00:01"), Mac.parse("52:54:00:00:00:02")
ADDRESS = IPv4Address("10.0.0.1")
NONCE = Nonce(MAC, Role.WORKER, ADDRESS, minted=1000.0)
CLAIM = Claim(MAC, Role.WORKER, ADDRESS, "request")
USED = replace(NONCE, used=1000.5, request="request")


def test_it_counts() -> None:
    assert refusal(NONCE, CLAIM, now=1001.0, armed_until=2000.0) is None
    assert refusal(NONCE, CLAIM, now=1000.0 + nonces.LIFETIME, armed_until=nonces.FOREVER) is None


@pytest.mark.parametrize(
    ("nonce", "claim", "reason"),
    [
        (None, CLAIM, "never given out"),
        (NONCE, replace(CLAIM, mac=OTHER), "another machine"),
        (NONCE, replace(CLAIM, address=IPv4Address("10.0.0.2")), "another address"),
        (NONCE, replace(CLAIM, address=None), "another address"),
        (NONCE, replace(CLAIM, role=Role.CONTROL_PLANE), "lab.yaml now says control-plane"),
        (replace(NONCE, used=1000.5), CLAIM, "used before"),
        (replace(NONCE, used=1000.5, request="other"), CLAIM, "used before"),
        (replace(USED, address=IPv4Address("10.0.0.2")), CLAIM, "another address"),
        (USED, replace(CLAIM, mac=OTHER), "another machine"),
        (USED, replace(CLAIM, role=Role.CONTROL_PLANE), "lab.yaml now says control-plane"),
        (replace(USED, superseded=True), CLAIM, "newer script"),
        (replace(USED, minted=1001.0 - nonces.LIFETIME - 1), CLAIM, "older than 15 minutes"),
        (replace(NONCE, superseded=True), CLAIM, "newer script"),
        (replace(NONCE, minted=1001.0 - nonces.LIFETIME - 1), CLAIM, "older than 15 minutes"),
        (replace(NONCE, minted=1002.0), CLAIM, "older than"),  # the server's clock was set back
    ],
)
def test_it_does_not_count(nonce: Nonce | None, claim: Claim, reason: str) -> None:
    found = refusal(nonce, claim, now=1001.0, armed_until=2000.0)
    assert found is not None
    assert reason in found.text
    assert "\n" not in found.text


def test_when_a_new_boot_helps() -> None:
    """And only the machine itself is told so."""
    again = {Why.ROLE, Why.SUPERSEDED, Why.LATE}
    assert {why for why in Why if nonces.Refusal(why, "").passes} == again
    old = replace(NONCE, superseded=True, minted=0.0)
    for claim in (replace(CLAIM, mac=OTHER), replace(CLAIM, address=IPv4Address("10.0.0.2"))):
        found = refusal(old, claim, now=5000.0, armed_until=nonces.FOREVER)
        assert found
        assert not found.passes
    found = refusal(old, replace(CLAIM, role=Role.CONTROL_PLANE), now=5000.0, armed_until=None)
    assert found
    assert not found.passes, "a new boot would get no nonce"


def test_the_request_that_used_it_counts_again() -> None:
    assert refusal(USED, CLAIM, now=1001.0, armed_until=2000.0) is None
    assert nonces.repeats(USED, CLAIM)
    assert not nonces.repeats(NONCE, CLAIM)
    assert "not armed" in str(refusal(USED, CLAIM, now=1001.0, armed_until=None))


@pytest.mark.parametrize("until", [None, 1001.0, 0.0])
def test_not_while_disarmed(until: float | None) -> None:
    assert "not armed" in str(refusal(NONCE, CLAIM, now=1001.0, armed_until=until))


@given(st.text(max_size=300))
def test_whatever_is_sent_as_a_nonce_has_a_digest(text: str) -> None:
    assert len(nonces.digest(text)) == 64


def test_a_nonce_fits_a_command_line_and_is_never_the_same() -> None:
    made = {nonces.mint() for _ in range(100)}
    assert len(made) == 100
    assert all(len(nonce) == 32 and nonce.isalnum() for nonce in made)
