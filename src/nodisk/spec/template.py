"""The commented lab.yaml that ``nodisk init`` writes: pure, a guess in, text out. The text is a valid lab.yaml.

Its machines are examples, or those that were seen in the room.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from nodisk import yamltext
from nodisk.errors import UsageError
from nodisk.spec.guess import Guess
from nodisk.spec.model import DhcpMode
from nodisk.spec.model_kubernetes import Kubernetes
from nodisk.values import Mac, Name

_MACHINES = 3
_SEARCH = 1 << 16
"""Addresses of a large subnet that are looked at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a room."""

    machines: Sequence[tuple[Mac, str]]
    """In the order of lab.yaml, each with what was seen of it; the first is the control plane. At least one."""
    dhcp: DhcpMode
    why: str
    """Why that suits the room."""
    taken: Collection[IPv4Address] = ()
    """Addresses that others have."""


def render(name: Name, guess: Guess, seen: Seen | None = None) -> str:
    """The text of a first lab.yaml; raises UsageError if its subnet has no addresses for all that was seen."""
    net = guess.subnet
    real = guess.interface is not None
    text = f"""\
# The lab: one server (this host) and the machines that it boots over the network.
# Reference of every key: docs/reference/lab-yaml.md. `nodisk check` says what is wrong, with its line.

name: {yamltext.scalar(str(name))}

network:
  subnet: {net}{"   # of this host's " + guess.interface if guess.interface else "   # an example: the room's segment"}
  server: {guess.server}   # this host's address on it; a fixed one
"""
    interface = yamltext.scalar(guess.interface or "enp1s0")
    text += f"  {'' if real else '# '}interface: {interface}\n"
    gateway = guess.gateway or "ADDRESS"
    text += (
        f"  {'' if guess.gateway else '# '}gateway: {gateway}   # the machines' way out of the room; may be left out\n"
    )
    text += "  # dns: [9.9.9.9]   # at most three; left out: the machines know only the lab's own names\n"
    if seen is not None:
        text += f"  dhcp: {seen.dhcp}   # {_comment(seen.why)}\n"
    elif real:
        text += "  dhcp: proxy   # the room's own server gives each machine the address below; `full`: nodisk does\n"
    else:
        text += "  dhcp: full    # nodisk is the segment's only DHCP server; `proxy`: it joins the room's own\n"
    text += (
        "\nkubernetes:\n  source: auto   # upstream where it can be reached, else Debian's 1.20 (for trying out only)\n"
    )
    text += '  # version: "1.36"\n'
    text += _ranges(net)
    text += """
# os:
#   suite: trixie                    # left out: what suits the release
#   kernel: cloud                    # smaller, for virtual machines only
#   firmware: [firmware-realtek]     # firmware that the PCs' NICs need
#   packages: [htop]

"""
    if guess.ssh_keys:
        text += "ssh_keys:   # may log in as `admin` on every machine\n"
        text += "".join(f"  - {yamltext.scalar(key)}\n" for key in guess.ssh_keys)
    else:
        text += "# ssh_keys:   # may log in as `admin` on every machine\n#   - ssh-ed25519 AAAA… you@here\n"
    text += """
# timetable:   # the server switches the room on before each lesson and off after it
#   lessons: [mon 10:15-12:00, "tue,thu 8:00-9:30"]
#   except: [2026-12-21..2027-01-06]
#   timezone: Europe/Warsaw
"""
    return text + (_examples(guess) if seen is None else _seen(guess, seen))


def _examples(guess: Guess) -> str:
    """Machines to put one's own in place of."""
    text = """
# One entry a PC. `nodisk machines adopt MAC` writes one, `nodisk machines list` shows the PCs that asked so far.
machines:
"""
    addresses = list(itertools.islice(_free(guess, ()), _MACHINES))
    for number, address in enumerate(addresses, 1):
        first = number == 1
        text += (
            f"  - name: {'cp1' if first else f'w{number - 1}'}\n"
            f'    mac: "52:54:00:00:00:{number:02x}"\n    address: {address}\n'
            f"    role: {'control-plane   # runs the API; 2 GiB or more' if first else 'worker'}\n"
            f"    memory: {'2GiB' if first else '1GiB'}\n"
        )
    return text


def _seen(guess: Guess, seen: Seen) -> str:
    """The room's own machines, each with what was seen of it."""
    text = """
# The PCs that were switched on, in that order; the control plane comes first. `memory` may be added to each, for the
# RAM budget of `nodisk check`; `nodisk machines rename` and `adopt` change this list later.
machines:
"""
    addresses = list(itertools.islice(_free(guess, seen.taken), len(seen.machines)))
    if len(addresses) < len(seen.machines):
        raise UsageError(
            f"{guess.subnet} has no addresses for {len(seen.machines)} machines",
            hint="use a larger subnet, or write lab.yaml by hand",
        )
    for number, ((mac, what), address) in enumerate(zip(seen.machines, addresses, strict=True)):
        role = "    role: control-plane   # runs the API; 2 GiB or more\n" if number == 0 else ""
        text += (
            f"  - name: {f'w{number}' if number else 'cp1'}   # {_comment(what)}\n"
            f'    mac: "{mac}"\n    address: {address}\n{role}'
        )
    return text


def _comment(text: str) -> str:
    """Fit for the rest of a line, whatever somebody on the wire has said."""
    return re.sub(r"[^ -~]", "?", text)


def _free(guess: Guess, taken: Collection[IPv4Address]) -> Iterator[IPv4Address]:
    """Free addresses for machines: from the eleventh on if there is room, then those before it."""
    net = guess.subnet
    first, last = 11 if net.prefixlen <= 27 else 1, net.num_addresses - 1
    for offset in (*range(first, min(last, first + _SEARCH)), *range(1, first)):
        address = net.network_address + offset
        if address not in (guess.server, guess.gateway) and address not in taken:
            yield address


def _ranges(subnet: IPv4Network) -> str:
    """Ranges for pods and Services, written out only where the defaults would overlap the room's."""
    taken, text = [subnet], ""
    for key in ("pods", "services"):
        default: IPv4Network = Kubernetes.model_fields[key].default
        choices = [default, *(IPv4Network(f"{base}.0.0/16") for base in ("172.20", "172.28", "192.168", "10.244"))]
        chosen = next(choice for choice in choices if not any(choice.overlaps(other) for other in taken))
        taken.append(chosen)
        if chosen != default:
            text += f"  {key}: {chosen}   # the usual {default} overlaps this room's subnet\n"
    return text
