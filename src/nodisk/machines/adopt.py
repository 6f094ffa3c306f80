"""Which names, addresses and seats new machines of a lab get, and the edits of lab.yaml that adopt, forget, rename and
swap machines. Pure.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from nodisk.errors import UsageError
from nodisk.spec import edit
from nodisk.spec.change import Edit
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Lab, Machine
from nodisk.spec.rules import RESERVED
from nodisk.values import Mac, Name, Role, Seat

PREFIXES = {Role.CONTROL_PLANE: "cp", Role.WORKER: "w"}
"""What machines are called that nobody names."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody said of the machines to adopt; None: nodisk chooses."""

    role: Role = Role.WORKER
    name: Name | None = None
    address: IPv4Address | None = None
    prefix: str | None = None
    seat: Seat | None = None
    columns: int | None = None
    """Seats in a row, where the machines get seats in their order."""


def adopt(text: str, lab: Lab, macs: Sequence[Mac], wish: Wish, *, taken: Collection[IPv4Address] = ()) -> Edit:
    """Add machines to the end of the lab in their order.

    ``taken``: addresses that somebody uses who is not in lab.yaml. Raises UsageError where a MAC, a name, an address
    or a seat belongs to another machine, or there are none left.
    """
    for mac in macs:
        need_unknown(lab, mac)
    names, addresses, seats = _names(lab, wish), _addresses(lab, wish, taken), _seats(lab, wish)
    machines = [_machine(mac, next(names), next(addresses), wish.role, next(seats)) for mac in macs]
    return Edit(edit.add(text, [_written(machine) for machine in machines]), (*lab.machines, *machines))


def need_unknown(lab: Lab, mac: Mac) -> None:
    """Raise UsageError if the lab has the machine already."""
    if (known := lab.by_mac(mac)) is not None:
        hint = f"nodisk machines rename {known.name} NEW gives it another name"
        raise UsageError(f"{mac} is in lab.yaml already: it is {known.name} ({known.address})", hint=hint)


def forget(text: str, lab: Lab, name: str) -> Edit:
    """Take a machine out of the lab; raises UsageError if it has none of that name."""
    machine = machine_named(lab, name)
    if len(lab.machines) == 1:
        raise UsageError(f"{name} is the only machine of {lab.name}", hint="adopt another one first")
    index = lab.machines.index(machine)
    return Edit(edit.remove(text, index), lab.machines[:index] + lab.machines[index + 1 :])


def rename(text: str, lab: Lab, old: str, new: Name) -> Edit:
    """Give a machine another name; raises UsageError if that is taken."""
    machine = machine_named(lab, old)
    _free_name(lab, new)
    return _replace(text, lab, machine, "name", new)


def swap(text: str, lab: Lab, name: str, mac: Mac) -> Edit:
    """Give a machine the MAC of the PC or NIC that has taken its place; raises UsageError if another one has it."""
    machine = machine_named(lab, name)
    other = lab.by_mac(mac)
    if other is not None:
        same = "has that MAC already" if other is machine else f"can't have {mac}: it is {other.name}'s"
        hint = "give the new NIC's MAC" if other is machine else f"nodisk machines forget {other.name}, then swap"
        raise UsageError(f"{name} {same}", hint=hint)
    return _replace(text, lab, machine, "mac", mac)


def _replace(text: str, lab: Lab, machine: Machine, key: str, value: Name | Mac) -> Edit:
    index = lab.machines.index(machine)
    changed = machine.model_copy(update={key: value})
    return Edit(
        edit.replace(text, index, key, str(value)), (*lab.machines[:index], changed, *lab.machines[index + 1 :])
    )


def _machine(mac: Mac, name: Name, address: IPv4Address, role: Role, seat: Seat | None) -> Machine:
    return Machine(name=name, mac=mac, address=address, role=role, seat=seat)


def _written(machine: Machine) -> dict[str, str]:
    values: dict[str, Any] = {"name": machine.name, "mac": machine.mac, "address": machine.address}
    if machine.role is not Role.WORKER:
        values["role"] = machine.role
    if machine.seat is not None:
        values["seat"] = machine.seat
    return {key: str(value) for key, value in values.items()}


def _free_name(lab: Lab, name: Name) -> None:
    if (other := lab.machine(str(name))) is not None:
        hint = "choose another name, or leave it out for the next free one"
        raise UsageError(f"the name {name} is taken: it is {other.mac} ({other.address})", hint=hint)
    if str(name) in RESERVED:
        raise UsageError(f"the name {name} is reserved", hint=f"reserved: {', '.join(sorted(RESERVED))}")


def _names(lab: Lab, wish: Wish) -> Iterator[Name]:
    """The name that was given, else the prefix with the next numbers that are free."""
    if wish.name is not None:
        _free_name(lab, wish.name)
        yield wish.name
        return
    prefix = PREFIXES[wish.role] if wish.prefix is None else wish.prefix
    there = {str(machine.name) for machine in lab.machines}
    for number in itertools.count(1):
        if f"{prefix}{number}" not in there:
            yield Name.parse(f"{prefix}{number}")


def _addresses(lab: Lab, wish: Wish, taken: Collection[IPv4Address]) -> Iterator[IPv4Address]:
    """The address that was given, else the next ones that nobody has, from the lab's first machine's on."""
    net = lab.network
    whose = {net.server: "the server's", net.gateway: "the gateway's"}
    whose |= {machine.address: f"{machine.name}'s" for machine in lab.machines}
    if wish.address is not None:
        if wish.address in whose:
            hint = "choose another one, or --address next"
            raise UsageError(f"{wish.address} is {whose[wish.address]} address", hint=hint)
        yield wish.address
        return
    used = {*whose, *net.dns, *taken}
    first, last = int(net.subnet.network_address) + 1, int(net.subnet.broadcast_address)
    start = min((int(machine.address) for machine in lab.machines), default=first)
    for number in (*range(start, last), *range(first, start)):
        if IPv4Address(number) not in used:
            yield IPv4Address(number)
    hint = "switch other hosts off and try again in an hour, name addresses by --address, or use a larger subnet"
    raise UsageError(f"no address of {net.subnet} is free", hint=hint if taken else "use a larger subnet")


def _seats(lab: Lab, wish: Wish) -> Iterator[Seat | None]:
    """The seat that was given, else the next free ones row by row, else none."""
    there = {machine.seat: machine for machine in lab.machines if machine.seat is not None}
    if wish.seat is not None and wish.seat in there:
        raise UsageError(f"the seat {wish.seat} is {there[wish.seat].name}'s", hint="choose another one")
    if wish.columns is None:
        yield wish.seat
        yield from itertools.repeat(None)
        return
    for number in range(999 * wish.columns):
        seat = Seat(number // wish.columns + 1, number % wish.columns + 1)
        if seat not in there:
            yield seat
