"""When a nonce is valid. Pure: the stored nonce and the claim go in; a refusal or nothing comes out.

A nonce is on the kernel command line, which anyone on the wire can read while the machine boots. So it is no secret; it
is a ticket for one enrolment, of one machine, from one address, within minutes. The identical request may be repeated
while the nonce is valid, because the first answer may have been lost.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address

from nodisk.values import Mac, Role

LIFETIME = 15 * 60.0
"""Seconds from the boot script to enrolment: a slow PC (or QEMU without KVM) needs a few minutes."""
BOOTS = 3
"""How often in a row a machine reboots by itself because its nonce was too old; then somebody has to look at it."""
FOREVER = float("inf")
"""``armed_until`` of a lab that is armed until it is disarmed."""


def mint() -> str:
    """A new nonce: 128 random bits, letters and digits only, so that it fits a kernel command line."""
    return secrets.token_hex(16)


def digest(nonce: str) -> str:
    """What the database stores instead of the nonce."""
    return hashlib.sha256(nonce.encode("utf-8", "surrogatepass")).hexdigest()


def request_digest(body: bytes) -> str:
    """What the database stores of the request that used a nonce."""
    return hashlib.sha256(body).hexdigest()


@dataclass(frozen=True, slots=True)
class Nonce:
    """A nonce as it was minted."""

    mac: Mac
    role: Role
    address: IPv4Address
    minted: float
    used: float | None = None
    request: str | None = None
    """The digest of the request that used it."""
    superseded: bool = False
    """The machine fetched its script again: only the newest is valid."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A request to use a nonce."""

    mac: Mac
    role: Role
    """The role that lab.yaml gives this MAC now."""
    address: IPv4Address | None
    request: str
    """The digest of the request's body."""


class Why(StrEnum):
    """Why a claim is refused."""

    UNKNOWN = "unknown"
    MACHINE = "machine"
    ADDRESS = "address"
    USED = "used"
    ROLE = "role"
    DISARMED = "disarmed"
    SUPERSEDED = "superseded"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An invalid claim."""

    why: Why
    text: str
    """One line for the machine's screen."""

    @property
    def passes(self) -> bool:
        """Whether a new boot is likely to help: this one was too slow, or lab.yaml has changed in the meantime.

        Only the machine's own address, with a nonce that it got, is told so.
        """
        return self.why in (Why.ROLE, Why.SUPERSEDED, Why.LATE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a claim was valid."""

    refusal: Refusal | None
    """Why not; None: it was valid."""
    again: bool = False
    """It is a repeat of the request that used the nonce."""


def repeats(nonce: Nonce, claim: Claim) -> bool:
    """Whether this repeats the request that used the nonce, because its answer was lost.

    Only its sender and the server can know the request's bytes: they went through TLS, and contain fresh public keys
    and signatures. So nobody else gains anything, and the nonce still stands for one set of keys.
    """
    return nonce.used is not None and nonce.request == claim.request


def refusal(nonce: Nonce | None, claim: Claim, *, now: float, armed_until: float | None) -> Refusal | None:
    """Why this claim is refused; None: it is valid."""
    if nonce is None:
        return Refusal(Why.UNKNOWN, "this nonce was never given out")
    used_by_another = nonce.used is not None and not repeats(nonce, claim)
    changed = f"this nonce was given to a {nonce.role}, and lab.yaml now says {claim.role}: boot again"
    problems = (
        (nonce.mac != claim.mac, Why.MACHINE, "this nonce was given to another machine"),
        (nonce.address != claim.address, Why.ADDRESS, "this nonce was given to another address"),
        (used_by_another, Why.USED, "this nonce was used before: someone may have raced this machine"),
        (
            armed_until is None or now >= armed_until,
            Why.DISARMED,
            "the lab is not armed: nodisk arm --for 15m, then boot again",
        ),
        (nonce.role is not claim.role, Why.ROLE, changed),
        (
            nonce.superseded,
            Why.SUPERSEDED,
            "the machine fetched a newer script since, or the lab was disarmed: boot again",
        ),
        (
            not 0 <= now - nonce.minted <= LIFETIME,
            Why.LATE,
            f"this nonce is older than {LIFETIME / 60:g} minutes: boot again",
        ),
    )
    return next((Refusal(why, text) for wrong, why, text in problems if wrong), None)


@dataclass(slots=True)
class Passing:
    """How often in a row each machine was told to reboot. In memory only: a restarted server counts from zero."""

    _times: dict[Mac, int] = field(default_factory=dict)

    def again(self, mac: Mac) -> bool:
        """Whether the machine should reboot by itself once more; after ``BOOTS`` times it should not."""
        self._times[mac] = self._times.get(mac, 0) + 1
        if self._times[mac] <= BOOTS:
            return True
        self.forget(mac)
        return False

    def forget(self, mac: Mac) -> None:
        """The machine has enrolled."""
        self._times.pop(mac, None)
