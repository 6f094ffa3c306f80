"""``nodisk init --from-room``: listen to a room that is switched on, and ask what to make of it."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import click

from nodisk import interrupts, ui
from nodisk.check import dhcp_probe, offers
from nodisk.check.arrivals import Room
from nodisk.check.dhcp import Offer
from nodisk.errors import EnvironmentProblem, NodiskError, UsageError
from nodisk.machines import vendors
from nodisk.spec.guess import Guess
from nodisk.spec.template import Seen
from nodisk.values import Mac
from nodisk.waiting import Deadline

_NOBODY = IPv4Address(0)


class NumberOrMac(click.ParamType[int | Mac]):
    """A machine by its place in the order in which they come, or by its MAC."""

    name = "number|mac"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | Mac:
        """What a text says."""
        if isinstance(value, int | Mac):
            return value
        text = str(value)
        if text.isascii() and text.isdigit() and 1 <= len(text) <= 4 and int(text):
            return int(text)
        try:
            return Mac.parse(text)
        except ValueError:
            self.fail(f"{text!r} is neither a number of the list (1, 2 …) nor a MAC", param, ctx)


@dataclass(frozen=True, slots=True)
class Way:
    """How to listen, and whom to ask."""

    seconds: float
    count: int | None
    """So many machines are enough; None: as many as come."""
    control_plane: int | Mac | None
    """A number in the order in which they came, or a MAC; None: the first, or whom the user names."""
    ask: bool
    """Whether somebody is asked before anything is written."""


def look(guess: Guess, way: Way) -> Seen | None:
    """Listen, and show who comes; None: the user wants nothing written.

    Raises EnvironmentProblem without root or an interface, NodiskError if no machine was seen, UsageError for a
    control plane that was not.
    """
    if guess.interface is None:
        raise EnvironmentProblem(
            "no network interface of this host has an IPv4 address in a subnet of a room's size",
            hint="give the server a fixed address first, or name the interface: --interface eth0",
        )
    try:
        own = dhcp_probe.mac_of(guess.interface)
        room, interrupted = _listen(guess, own, way)
    except PermissionError as error:
        raise EnvironmentProblem("listening to a network interface needs root", hint="run it with sudo") from error
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(f"{guess.interface}: {error}", hint="is it up, and an Ethernet interface?") from error
    mode, why = room.mode()
    ui.say(f"dhcp: {mode}: {why}")
    for relay in sorted(room.relays):
        ui.say(f"a DHCP relay ({relay}) passes requests on to a server elsewhere")
    if room.others:
        ui.say(f"{len(room.others)} other devices asked for an address and didn't boot from the network")
    if not room.machines:
        raise NodiskError(
            "no machine that boots from the network was seen",
            hint="set network boot (PXE) first in their firmware; is this host on their switch and VLAN?",
        )
    first = _control_plane(list(room.machines), way)
    asks = way.ask and sys.stdin.isatty()
    if interrupted and way.ask and not asks:
        return None
    if asks and not click.confirm(f"Write these {len(room.machines)} machines?", default=True, err=True):
        return None
    if asks and first is None:
        first = _control_plane_asked(list(room.machines))
    names = vendors.vendors(room.machines)
    macs = list(room.machines)
    chosen = macs[0] if first is None else first
    ordered = [chosen, *(mac for mac in macs if mac != chosen)]
    machines = [(mac, f"{macs.index(mac) + 1}. seen: {_what(room, mac, names[mac])}") for mac in ordered]
    taken = {one.address for found in room.answers.values() for one in found}
    taken |= {one.server for found in room.answers.values() for one in found}
    return Seen(machines, mode, why, taken - {_NOBODY})


def _listen(guess: Guess, own: Mac, way: Way) -> tuple[Room, bool]:
    """What was heard, and whether Ctrl-C ended it. The host's own question shows who gives addresses here."""
    interface = guess.interface or ""
    probes = {own: None, Mac(offers.OWN): guess.server}  # as BIOS, and as UEFI
    room = Room(frozenset(probes), guess.server)
    makers: dict[Mac, str | None] = {}

    def take(packet: bytes) -> None:
        if (machine := room.take(packet)) is not None:
            makers.update(vendors.vendors([machine.mac]))
            ui.say(f"{len(room.machines):>3}. {machine.mac}  {_what(room, machine.mac, makers[machine.mac])}")

    answers: dict[Mac, list[Offer]] = {}
    asked = threading.Thread(target=_ask, args=(interface, probes, answers), name="nodisk-dhcp", daemon=True)
    with interrupts.noted() as interrupted:
        long = "until Ctrl-C" if way.seconds == float("inf") else f"for {way.seconds:g} s (Ctrl-C ends it)"
        ui.say(f"listening on {interface} {long}: switch the PCs on, in the order of their numbers")
        asked.start()
        deadline = Deadline(None if way.seconds == float("inf") else way.seconds)

        def ended() -> bool:
            return interrupted() or (way.count is not None and len(room.machines) >= way.count)

        dhcp_probe.listen(interface, deadline, take, ended)
        asked.join(dhcp_probe.LISTEN + 1)
        for mac, found in dict(answers).items():
            for one in found:
                room.note(mac, one)
        return room, interrupted()


def _ask(interface: str, probes: dict[Mac, IPv4Address | None], answers: dict[Mac, list[Offer]]) -> None:
    try:
        answers |= dhcp_probe.ask(interface, probes)
    except PermissionError:
        return  # without the right to ask there is none to listen, and listening says so
    except OSError as error:
        ui.say(f"who gives addresses could not be asked: {error}")


def _what(room: Room, mac: Mac, maker: str | None) -> str:
    machine = room.machines[mac]
    relayed = f", through the relay {machine.relay}" if machine.relay else ""
    return f"NIC by {maker or 'an unknown maker'}, {machine.firmware}{relayed}"


def _control_plane(macs: list[Mac], way: Way) -> Mac | None:
    """Whom --control-plane means."""
    wanted = way.control_plane
    if isinstance(wanted, int):
        if wanted <= len(macs):
            return macs[wanted - 1]
        text = f"--control-plane {wanted}: {len(macs)} machines were seen"
        raise UsageError(text, hint=f"1 to {len(macs)}, or a MAC")
    if wanted is not None and wanted not in macs:
        text = f"--control-plane {wanted}: it was not seen"
        raise UsageError(text, hint="is it on, and does it boot from the network?")
    return wanted


def _control_plane_asked(macs: list[Mac]) -> Mac:
    number = click.prompt(
        "Which one runs the control plane", type=click.IntRange(1, len(macs)), default=1, show_default=True, err=True
    )
    return macs[int(number) - 1]
