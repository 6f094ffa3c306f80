"""Which way a machine is switched: lab.yaml's, or QEMU's in a virtual lab."""

from __future__ import annotations

from collections.abc import Callable

from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.machines import passwords, wake
from nodisk.machines.buttons.amt import Amt
from nodisk.machines.buttons.button import Button, PowerTrouble
from nodisk.machines.buttons.ipmi import Ipmi
from nodisk.machines.buttons.linux import Linux
from nodisk.machines.buttons.plug import Plug
from nodisk.machines.buttons.redfish import Redfish
from nodisk.machines.buttons.virtual import Virtual
from nodisk.machines.buttons.wol import WakeOnLan
from nodisk.machines.power import Power
from nodisk.spec.model import Machine
from nodisk.spec.model_power import PowerKind


def button(context: LabContext, machine: Machine, *, nic: Callable[[], str]) -> Button:
    """A machine's button; ``nic`` finds the server's interface. Raises PowerTrouble without a password."""
    if context.netns is not None:
        return Virtual(Power(context.lab, context.state), machine)
    power, name = machine.power, str(machine.name)
    linux = Linux(context, machine)
    if power.kind is PowerKind.WAKE_ON_LAN:
        network = context.lab.network

        def send() -> None:
            try:
                wake.send([machine.mac], server=network.server, subnet=network.subnet, interface=nic())
            except NodiskError as error:
                raise PowerTrouble(error.message, hint=error.hint) from error

        return WakeOnLan(linux, send)
    password = passwords.read(context.state, machine)
    if power.kind is PowerKind.PLUG and (password is not None or power.user is None):
        return Plug(power, password, linux, whose=name)
    if password is None:
        raise PowerTrouble(f"no password is kept for {power.user}", hint=f"nodisk power login {name}")
    if power.kind is PowerKind.IPMI:
        return Ipmi(power, password, whose=name)
    if power.kind is PowerKind.REDFISH:
        return Redfish(power, password, whose=name)
    return Amt(power, password, linux, whose=name)
