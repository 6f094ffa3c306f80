"""``/boot.ipxe`` and ``/boot/MAC.ipxe``, ``/grub/grub.cfg`` and ``/grub/MAC.cfg``: where a boot's nonce is minted.

iPXE and GRUB (Secure Boot) get the same by the same rules, in the language of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.assets import nic_drivers
from nodisk.records import sightings
from nodisk.records.events import Kind
from nodisk.records.turns import Plan
from nodisk.server.handlers import twins
from nodisk.server.handlers.common import AppState, Problem, address_of, app_state_of, mac_of, source_of
from nodisk.spec.model import Machine
from nodisk.values import Mac, Stage


async def entry(request: Request) -> Response:
    """The script that chains to the one for the NIC that booted."""
    return PlainTextResponse(app_state_of(request).texts.entry())


async def script(request: Request) -> Response:
    """A machine's own script for iPXE."""
    texts = app_state_of(request).texts
    return await _answer(request, ".ipxe", texts.script, texts.unknown, texts.address, part="script")


async def grub(request: Request) -> Response:
    """GRUB's: the configuration that it looks for itself, which asks for the machine's own."""
    texts = app_state_of(request).texts
    if request.path_params["file"] == "grub.cfg":
        return PlainTextResponse(texts.grub_entry())
    return await _answer(request, ".cfg", texts.grub_script, texts.grub_unknown, texts.grub_address, part="grub")


async def _answer(
    request: Request,
    suffix: str,
    known: Callable[[Machine, str | None], str],
    unknown: Callable[[Mac], str],
    elsewhere: Callable[[Machine, Mac | None], str],
    *,
    part: str,
) -> Response:
    """A machine's own script; with a nonce if the lab is armed and the machine itself asks.

    Anybody may read the script, but only the machine's address gets (and so replaces) the machine's nonce. What one
    gets who asks from another address is ``elsewhere``, given who has the machine's. An unknown machine gets its menu,
    one that asks while the timetable has no lesson its own disk, and the second machine with a MAC nothing. ``part``:
    the script's name in ``nodisk render``.
    """
    app_state, address = app_state_of(request), address_of(request)
    file = request.path_params["file"]
    if not file.endswith(suffix):
        raise Problem(404, "not found")
    mac = mac_of(file.removesuffix(suffix))
    machine = app_state.machine(mac)
    said = sightings.said(request.query_params)
    if machine is None:
        if request.method == "GET" and app_state.limits.unknown(mac):
            twins.note(request, mac, said)
            lab_macs = [one.mac for one in app_state.texts.lab.machines]
            app_state.database.sightings.see(mac, address=address, said=said, known=lab_macs)
            text = f"{sightings.words(said) or 'asks for its boot script'}; to add it: nodisk machines adopt {mac}"
            app_state.database.record(Kind.UNKNOWN, text, source=source_of(request), mac=mac)
        return PlainTextResponse(unknown(mac))
    if request.method != "GET" or address is None:
        return PlainTextResponse(known(machine, None))
    if address != machine.address:
        if not _may_take(request, machine, address):
            return PlainTextResponse(known(machine, None))
        holder = await app_state.holder(machine.address)
        if holder is not None:
            _alarm(request, machine, address, f", which {holder} has")
        return PlainTextResponse(elsewhere(machine, holder))
    if _own_disk(app_state):
        if app_state.limits.sighting(mac, Stage.IPXE):
            text = "no lesson now: it boots its own disk (nodisk room on, or nodisk arm, and it boots the lab)"
            app_state.database.record(Kind.DAEMON, text, source=str(address), mac=mac, machine=str(machine.name))
        texts = app_state.texts
        return PlainTextResponse(texts.grub_disk(machine) if part == "grub" else texts.disk(machine))
    return await _own(request, machine, address, said, known, part)


async def _own(  # noqa: PLR0917 - what _answer knows by then
    request: Request,
    machine: Machine,
    address: IPv4Address,
    said: Mapping[str, str],
    known: Callable[[Machine, str | None], str],
    part: str,
) -> Response:
    """The script for the machine itself, from its own address: it may count as a boot."""
    app_state, mac = app_state_of(request), machine.mac
    lab_macs = [one.mac for one in app_state.texts.lab.machines]
    if await twins.refused(request, machine, said):
        return PlainTextResponse(app_state.texts.twin(machine))
    new_board, new_port = twins.changed(app_state.database.sightings.of(mac), said)
    if new_board:
        app_state.database.sightings.forget(mac)  # what the old one said is not the new one's
    app_state.database.sightings.see(mac, address=address, said=said, known=lab_macs)
    nonce = app_state.database.mint(mac, machine.role, address)
    name = str(machine.name)
    unarmed = "" if nonce else "the lab is not armed: this boot can't enrol"
    way = "by GRUB" if part == "grub" else ""
    detail = "; ".join(filter(None, (way, _from_pool(request), new_board, new_port, unarmed)))
    if new_board or app_state.limits.sighting(mac, Stage.IPXE):
        app_state.database.record(Kind.STAGE, detail, source=str(address), mac=mac, machine=name, stage=Stage.IPXE)
    if nic := nic_drivers.of_busid(request.query_params.get("busid", "")):
        app_state.database.set_nic(mac, nic)
    app_state.database.reset_traffic(mac)
    app_state.database.serve(mac, {part: known(machine, None), **app_state.texts.daemons})
    return PlainTextResponse(known(machine, nonce))


def _own_disk(app_state: AppState) -> bool:
    """Whether the lab's machines boot their own disks now: outside of lessons, unless somebody arms the lab."""
    timetable, database = app_state.texts.lab.timetable, app_state.database
    if timetable is None or database.armed():
        return False
    return Plan.of(timetable).own_disk(datetime.fromtimestamp(database.now(), UTC), database.turned())


def _may_take(request: Request, machine: Machine, address: IPv4Address) -> bool:
    """Whether who asks from this address may take the machine's own and ask again; if not, that is an alarm.

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
