"""``/boot.ipxe`` and ``/boot/MAC.ipxe``, ``/grub/grub.cfg`` and ``/grub/MAC.cfg``: where a boot's nonce is minted.

iPXE and GRUB (Secure Boot) get the same by the same rules, in the language of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.assets import nic_drivers
from nodisk.plan import inventory
from nodisk.records import sightings
from nodisk.records.events import Kind
from nodisk.records.turns import Plan
from nodisk.server.handlers import menu, twins
from nodisk.server.handlers.common import AppState, Problem, address_of, app_state_of, mac_of, source_of
from nodisk.spec.menu import DISK, LAB, MENU, asks
from nodisk.spec.model import Machine, macs
from nodisk.values import Mac, Stage


async def entry(request: Request) -> Response:
    """The script that chains to the one for the NIC that booted."""
    return PlainTextResponse(app_state_of(request).texts.entry())


@dataclass(frozen=True, slots=True)
class _Loader:
    """What iPXE or GRUB gets."""

    suffix: str
    part: str
    """The machine's script by its name in ``nodisk render``."""
    known: Callable[[Machine, str | None], str]
    other: Callable[[Machine, str], str]
    """The menu, or an entry of it that is not the lab; raises KeyError for what is no entry."""
    unknown: Callable[[Mac], str]
    elsewhere: Callable[[Machine, Mac | None], str]
    """For a request from another address than the machine's, given what has that address."""
    disk: Callable[[Machine], str]
    """For a machine of the lab outside of lessons."""


async def script(request: Request) -> Response:
    """A machine's own script for iPXE, or what it gets for the menu's password."""
    texts = app_state_of(request).texts
    if asks(texts.lab, request.query_params.get("entry", "")):
        return await menu.by_password(request, _mac(request, ".ipxe"))
    ipxe = _Loader(".ipxe", "script", texts.script, texts.other, texts.unknown, texts.address, texts.disk)
    return await _answer(request, ipxe)


async def grub(request: Request) -> Response:
    """GRUB's: the configuration that it looks for itself, which asks for the machine's own."""
    texts = app_state_of(request).texts
    if request.path_params["file"] == "grub.cfg":
        return PlainTextResponse(texts.grub_entry())
    signed = _Loader(
        ".cfg", "grub", texts.grub_script, texts.grub_other, texts.grub_unknown, texts.grub_address, texts.grub_disk
    )
    return await _answer(request, signed)


async def _answer(request: Request, loader: _Loader) -> Response:
    """A machine's own script; with a nonce if the lab is armed and the machine itself asks.

    Anybody may read the script, but only the machine's address gets (and so replaces) the machine's nonce, and only it
    uses up what it is to start once. An unknown machine gets its menu, and one that asks while the timetable has no
    lesson its own disk, unless somebody chose otherwise for it. The second machine with a MAC gets nothing.
    """
    app_state, address = app_state_of(request), address_of(request)
    mac = _mac(request, loader.suffix)
    machine = app_state.machine(mac)
    said = sightings.said(request.query_params)
    if (machine is None or address == machine.address) and (
        measuring := _inventory(request, mac, loader.known)
    ) is not None:
        return measuring
    if machine is None:
        if request.method == "GET" and app_state.limits.unknown(mac):
            twins.note(request, mac, said)
            app_state.database.sightings.see(mac, address=address, said=said, known=macs(app_state.texts.lab))
            text = f"{sightings.words(said) or 'asks for its boot script'}; to add it: nodisk machines adopt {mac}"
            app_state.database.record(Kind.UNKNOWN, text, source=source_of(request), mac=mac)
        return PlainTextResponse(loader.unknown(mac))
    if request.method != "GET" or address is None:
        return PlainTextResponse(loader.known(machine, None))
    if address != machine.address:
        if not _may_take(request, machine, address):
            return PlainTextResponse(loader.known(machine, None))
        holder = await app_state.holder(machine.address)
        if holder is not None:
            _alarm(request, machine, address, f", which {holder} has")
        return PlainTextResponse(loader.elsewhere(machine, holder))
    return await _own(request, loader, machine, said)


async def _own(request: Request, loader: _Loader, machine: Machine, said: Mapping[str, str]) -> Response:
    """The script for the machine itself, from its own address: it may count as a boot."""
    app_state = app_state_of(request)
    if await twins.refused(request, machine, said):
        return PlainTextResponse(app_state.texts.twin(machine))
    wish = menu.wish(request, machine)
    # Before the script goes out, all that is noted of it is written: as one, because ten writes take ten times as long.
    with app_state.database.together():
        return PlainTextResponse(_starts(request, loader, machine, wish, said))


def _starts(request: Request, loader: _Loader, machine: Machine, wish: menu.Wish, said: Mapping[str, str]) -> str:
    """What the machine starts, noted as what it got; Problem 404 for what is no entry of its menu."""
    app_state, mac, address = app_state_of(request), machine.mac, machine.address
    new_board, new_port = twins.changed(app_state.database.sightings.of(mac), said)
    if new_board:
        app_state.database.sightings.forget(mac)  # what the old one said is not the new one's
    app_state.database.sightings.see(mac, address=address, said=said, known=macs(app_state.texts.lab))
    ways = ("by GRUB" if loader.part == "grub" else "", _from_pool(request), new_board, new_port)
    news = bool(new_board)
    if (text := _instead(request, loader, machine, wish, ways, news=news)) is not None:
        return text
    app_state.database.inventories.ends(mac)  # or its Ignition would still be the one that measures
    nonce = app_state.database.mint(mac, machine.role, address)
    unarmed = "" if nonce else "the lab is not armed: this boot can't enrol"
    _booting(request, machine, *ways, wish.why, unarmed, news=news)
    if nic := nic_drivers.of_busid(request.query_params.get("busid", "")):
        app_state.database.set_nic(mac, nic)
    app_state.database.reset_traffic(mac)
    plain = loader.known(machine, None)
    app_state.database.serve(mac, {loader.part: plain}, alike=app_state.texts.daemons)
    return plain if nonce is None else loader.known(machine, nonce)


def _instead(
    request: Request, loader: _Loader, machine: Machine, wish: menu.Wish, ways: tuple[str, ...], *, news: bool
) -> str | None:
    """What a machine starts instead of the lab; None: the lab. Raises Problem 404 for what is no entry."""
    app_state = app_state_of(request)
    if not wish.chosen and _own_disk(app_state):
        if app_state.limits.sighting(machine.mac, Stage.IPXE):
            text = "no lesson now: it boots its own disk (nodisk room on, or nodisk arm, and it boots the lab)"
            source, name = source_of(request), str(machine.name)
            app_state.database.record(Kind.DAEMON, text, source=source, mac=machine.mac, machine=name)
        app_state.database.elsewhere.went(machine.mac, DISK)
        return loader.disk(machine)
    if wish.entry == LAB:
        app_state.database.elsewhere.came_back(machine.mac)
        return None
    try:
        text = loader.other(machine, wish.entry)
    except KeyError as error:
        raise Problem(404, "the menu has no such entry, or it asks for the password") from error
    if wish.entry != MENU:  # what is chosen there is asked for
        app_state.database.elsewhere.went(machine.mac, wish.entry)
    _booting(request, machine, *ways, wish.why, news=news)
    return text


def _mac(request: Request, suffix: str) -> Mac:
    file = request.path_params["file"]
    if not file.endswith(suffix):
        raise Problem(404, "not found")
    return mac_of(file.removesuffix(suffix))


def _booting(request: Request, machine: Machine, *details: str, news: bool) -> None:
    """Record that a machine boots, and how; ``news``: whether that must be said, however often it asks."""
    app_state = app_state_of(request)
    if news or app_state.limits.sighting(machine.mac, Stage.IPXE):
        detail, source = "; ".join(filter(None, details)), source_of(request)
        app_state.database.record(
            Kind.STAGE, detail, source=source, mac=machine.mac, machine=str(machine.name), stage=Stage.IPXE
        )


def _own_disk(app_state: AppState) -> bool:
    """Whether the lab's machines boot their own disks now: outside of lessons, unless somebody arms the lab."""
    timetable, database = app_state.texts.lab.timetable, app_state.database
    if timetable is None or database.armed():
        return False
    return Plan.of(timetable).own_disk(datetime.fromtimestamp(database.now(), UTC), database.turned())


def _inventory(request: Request, mac: Mac, known: Callable[[Machine, str | None], str]) -> Response | None:
    """The script of an inventory boot, for a machine that is to be measured; its nonce counts for a report alone.

    A machine of the lab takes lab.yaml's address first, as for any boot; of one that isn't in lab.yaml nothing is known
    but the MAC that it gives, so anyone on its segment can report in its name.
    """
    app_state, address = app_state_of(request), address_of(request)
    if request.method != "GET" or address is None or address not in app_state.texts.lab.network.subnet:
        return None
    if app_state.database.inventories.wanted(mac) is None:
        return None
    nonce = app_state.database.inventories.mint(mac, address)
    return PlainTextResponse(known(inventory.machine(mac, address), nonce))


def _may_take(request: Request, machine: Machine, address: IPv4Address) -> bool:
    """Whether a client at this address may take the machine's own and ask again; if not, that is an alarm.

    Not from outside of the segment, where lab.yaml's address would reach nobody, and not after it was told once.
    """
    net = app_state_of(request).texts.lab.network
    if address in net.subnet and address != net.server and "pool" not in request.query_params:
        return True
    _alarm(request, machine, address)
    return False


def _alarm(request: Request, machine: Machine, address: IPv4Address, in_use: str = "") -> None:
    text = f"{address} asks for the boot script of {machine.name} ({machine.address}{in_use}); it got no nonce"
    app_state_of(request).alarm("script", text, request=request, mac=machine.mac)


def _from_pool(request: Request) -> str:
    """Which address the machine had before it took its own, as it says itself."""
    try:
        return f"the room's DHCP server gave it {IPv4Address(request.query_params.get('pool', ''))}"
    except AddressValueError:
        return ""
