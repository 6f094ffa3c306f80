"""Which port of which switch a machine hangs on, from the LLDP (IEEE 802.1AB) that iPXE heard. Pure.

A machine alone sees the frames of its own port, so it is the machine that has to tell. iPXE listens to LLDP all the
time and hands out any TLV's value as it came: nothing is installed in the node image, and a machine that lab.yaml
doesn't know yet can tell too. What is left is to read three values, and anyone on the wire can write whatever they like
into them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address

from nodisk.values import Mac

_MAC, _NETWORK = {"chassis": 4, "port": 3}, {"chassis": 5, "port": 4}
"""Subtypes that are no text (tables 8-2 and 8-3); all others are names of some sort."""
_IPV4 = 1
"""IANA's number of an address family."""


def switch(values: Mapping[str, bytes]) -> str:
    """The switch: its name, else its chassis ID; '' if neither is there. ``values`` are by ``plan.boot.LLDP``.

    The text may hold anything.
    """
    return _text(values.get("system", b"")) or _id("chassis", values.get("chassis", b""))


def port(values: Mapping[str, bytes]) -> str:
    """The port's ID; '' if it isn't there. The text may hold anything."""
    return _id("port", values.get("port", b""))


def _id(what: str, value: bytes) -> str:
    """A chassis or port ID: a byte for its subtype, then what that says."""
    kind, rest = value[:1], value[1:]
    if kind == bytes([_MAC[what]]) and len(rest) == 6:
        return str(Mac(int.from_bytes(rest, "big")))
    if kind == bytes([_NETWORK[what]]) and len(rest) == 5 and rest[0] == _IPV4:
        return str(IPv4Address(rest[1:]))
    return _text(rest)


def _text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def order(switch_name: str, port_name: str) -> tuple[tuple[tuple[bool, int, str], ...], ...]:
    """For sorting by port: numbers in names count as numbers, so that port 10 comes after port 9."""
    return tuple(
        tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"([0-9]{1,9})", name))
        for name in (switch_name, port_name)
    )
