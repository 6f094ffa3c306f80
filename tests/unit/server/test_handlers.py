"""Parts of the handlers that need no server: the enrolment's body, and the rate limit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.pki.profiles import PROFILES, Refused
from nodisk.server.handlers.common import RateLimit
from nodisk.server.handlers.enrol import parse

KEY = "ssh-host-key: ssh-ed25519 " + "A" * 68 + "\n"
CSR = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"


def test_a_body() -> None:
    found = parse(f"{KEY}profile: kubelet-client\n{CSR}profile: kube-proxy\n{CSR}".encode())
    assert found.host_keys == ("ssh-ed25519 " + "A" * 68,)
    assert found.requests == ((PROFILES["kubelet-client"], CSR), (PROFILES["kube-proxy"], CSR))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no profile"),
        (KEY.encode(), "no profile"),
        (b"hello\nprofile: kube-proxy\n", "not an SSH host key"),
        (b"ssh-host-key: ssh-dss AAAA\nprofile: kube-proxy\n", "not an SSH host key"),
        (b"profile: kube-proxy\nx\nprofile: kube-proxy\nx\n", "kube-proxy is there twice"),
        (b"profile: cluster-admin\nx\n", "not known here"),
        (KEY.encode() * 9 + b"profile: kube-proxy\nx\n", "too many SSH host keys"),
        (b"profile: kube-proxy\n\xff", "not plain ASCII"),
    ],
)
def test_bodies_that_are_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        parse(body)


@settings(max_examples=200)
@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: ("profile: " + text).encode()))
def test_no_body_does_more_than_be_refused(body: bytes) -> None:
    try:
        names = {profile.name for profile, _ in parse(body).requests}
    except Refused:
        return
    assert names <= set(PROFILES)


def test_a_source_that_says_too_much_is_cut() -> None:
    now = [0.0]
    limit = RateLimit(burst=3, per_second=1, now=lambda: now[0])
    assert [limit.allows("a") for _ in range(5)] == [True, True, True, False, False]
    assert limit.allows("b"), "each source has its own"
    now[0] = 2.0
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]


def test_the_limit_is_bounded_in_memory() -> None:
    limit = RateLimit(sources=10)
    for number in range(1000):
        limit.allows(str(number))
    assert len(limit._buckets) <= 10
