"""A PC with nothing but its NIC: on by Wake-on-LAN, off by its own Linux. Nobody tells when it is off."""

from __future__ import annotations

import time
from collections.abc import Callable

from nodisk.machines.buttons.button import PowerTrouble, Seen, State
from nodisk.machines.buttons.linux import Linux


class WakeOnLan:
    """One PC."""

    how = "wake-on-lan"

    def __init__(self, linux: Linux, send: Callable[[], None]) -> None:
        """``send`` sends its magic packet."""
        self._linux, self._send = linux, send
        self._asked = float("inf")
        self._told = False

    def look(self, within: float) -> Seen:
        """Seen while it answers or boots. Its silence says nothing, unless it was told to shut down before."""
        if self._told:
            return self._linux.gone()
        words = self._linux.seen(self._asked)
        if words is not None:
            return Seen(State.ON, words)
        return Seen(State.UNKNOWN, "it does not answer ping: off, or off the network")

    def on(self, within: float) -> None:
        """Send the packet. Nobody answers."""
        self._asked, self._told = time.time(), False
        self._send()

    def off(self, within: float) -> None:
        """Ask its Linux over ssh."""
        self._linux.power_off(within)
        self._told = True

    def cut(self, within: float) -> None:
        """Raise: a NIC can't."""
        raise PowerTrouble(
            "has neither a BMC nor a plug that could cut its power", hint="`power:` in lab.yaml names one"
        )
