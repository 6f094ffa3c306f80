"""The commented lab.yaml that ``nodisk init`` writes: pure, a guess in, text out. The text is a valid lab.yaml."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from nodisk import yamltext
from nodisk.spec.guess import Guess
from nodisk.spec.model import Kubernetes
from nodisk.values import Name

_MACHINES = 3


def render(name: Name, guess: Guess) -> str:
    """The text of a first lab.yaml."""
    net = guess.subnet
    real = guess.interface is not None
    cp, *workers = _free(guess)
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
    if real:
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
# One entry a PC. `nodisk machines adopt MAC` writes one, `nodisk machines list` shows the PCs that asked so far.
machines:
"""
    text += _machine("cp1", 1, cp, "control-plane", "2GiB", comment="   # runs the API; 2 GiB or more")
    for number, address in enumerate(workers, 1):
        text += _machine(f"w{number}", number + 1, address, "worker", "1GiB")
    return text


def _machine(name: str, number: int, address: IPv4Address, role: str, memory: str, *, comment: str = "") -> str:
    return (
        f'  - name: {name}\n    mac: "52:54:00:00:00:{number:02x}"\n    address: {address}\n'
        f"    role: {role}{comment}\n    memory: {memory}\n"
    )


def _free(guess: Guess) -> list[IPv4Address]:
    """Free addresses for the example's machines: from the eleventh on if there is room."""
    net = guess.subnet
    first = 11 if net.prefixlen <= 27 else 1
    found = []
    for offset in range(first, first + _MACHINES + 2):
        address = net.network_address + offset
        if address not in (guess.server, guess.gateway):
            found.append(address)
    return found[:_MACHINES]


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
