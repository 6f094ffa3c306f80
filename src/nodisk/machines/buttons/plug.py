"""A smart plug by three URLs: on, off, status.

A plug knows whether the socket has power, not whether the PC runs. So a PC counts as on where the plug is on and the PC
is seen, and one that is silent behind a plug that is on was shut down: its power goes off and on, and the firmware must
be set to start then ("restore on AC power loss").
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx2

from nodisk.machines.buttons.button import PowerTrouble, Seen, State, rest
from nodisk.machines.buttons.linux import Linux
from nodisk.machines.buttons.web import Web
from nodisk.spec.model_power import PowerSettings
from nodisk.waiting import Deadline

KNOWN = ("output", "ison", "POWER", "POWER1", "relay", "state", "on")
"""Keys by which plugs say whether they are on (Shelly's two generations, Tasmota, others)."""
_WORDS: dict[Any, State] = {"on": State.ON, "1": State.ON, "true": State.ON}
_WORDS |= {"off": State.OFF, "0": State.OFF, "false": State.OFF}
DISCHARGE = 5.0
"""Seconds without power after which a PC's power supply has noticed."""


class Plug:
    """One PC's plug."""

    def __init__(self, power: PowerSettings, password: str | None, linux: Linux, *, whose: str) -> None:
        self._on, self._off = power.on_url or "", power.off_url or ""
        self._status, self._key = power.status_url or "", power.status_key
        auth = None if power.user is None or password is None else httpx2.BasicAuth(power.user, password)
        self._web, self._linux = Web(power, auth, whose=whose), linux
        self._asked = float("inf")

    @property
    def how(self) -> str:
        """By what means."""
        return f"plug {urlsplit(self._on).netloc}"

    def look(self, within: float) -> Seen:
        """What the plug says, and whether the PC behind it is seen."""
        plug = self._plug(within)
        if plug is State.OFF:
            return Seen(State.OFF, "its plug is off")
        if plug is State.UNKNOWN:
            return Seen(State.UNKNOWN, "its plug does not say whether it is on")
        words = self._linux.seen(self._asked)
        if words is None:
            return Seen(State.UNKNOWN, "its plug is on, but it does not answer ping")
        return Seen(State.ON, f"its plug is on and {words}")

    def on(self, within: float) -> None:
        """Switch the plug on; off first, where the PC behind it was shut down."""
        if self._plug(within) is State.ON:
            self.cut(within)
            rest(DISCHARGE)
        self._asked = time.time()
        self._web.get(self._on, within)

    def off(self, within: float) -> None:
        """Shut the PC's Linux down, then switch the plug off."""
        deadline = Deadline(within)
        if self._linux.seen(float("inf")) is not None:
            self._linux.power_off(within)
            while self._linux.gone().state is not State.OFF:
                if deadline.passed:
                    raise PowerTrouble(
                        "did not shut down in time, so its plug was left on", hint="--cut switches it off"
                    )
        self.cut(max(deadline.left, 5.0))

    def cut(self, within: float) -> None:
        """Switch the plug off."""
        self._web.get(self._off, within)

    def _plug(self, within: float) -> State:
        return state_of(self._web.get(self._status, within), self._key)


def state_of(body: bytes, key: str | None) -> State:
    """What a plug's answer says: JSON with a key whose value is on or off, or one such word."""
    text = body.decode(errors="replace").strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    if isinstance(found, dict):
        found = next((found[name] for name in ((key,) if key else KNOWN) if name in found), None)
    elif key is not None:
        return State.UNKNOWN
    return _WORDS.get(str(found).lower(), State.UNKNOWN) if isinstance(found, (str, bool, int)) else State.UNKNOWN
