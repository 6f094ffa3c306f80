"""A BMC by Redfish (DMTF DSP0266, DSP0268): one system's PowerState and its Reset action, over TLS.

Basic authentication, which DSP0266 requires of every service: a session would have to be ended again, and BMCs have
few of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from nodisk.machines.buttons.button import PowerTrouble, Seen, State
from nodisk.machines.buttons.web import Web
from nodisk.spec.model_power import PowerSettings

ROOT = "/redfish/v1/"
_STATES = {"On": State.ON, "Off": State.OFF}
_ON = ("On", "ForceOn")
_OFF = ("GracefulShutdown", "PushPowerButton")
_CUT = ("ForceOff",)


class Redfish:
    """One system of a Redfish service."""

    def __init__(self, power: PowerSettings, password: str, *, whose: str) -> None:
        self._url, self._wanted = power.url or "", power.system
        self._web = Web(power, httpx2.BasicAuth(power.user or "", password), whose=whose)
        self._path: str | None = None

    @property
    def how(self) -> str:
        """By what means."""
        return f"redfish {urlsplit(self._url).netloc}"

    def look(self, within: float) -> Seen:
        """The system's PowerState; PoweringOn and the like are no state yet."""
        said = self._system(within).get("PowerState")
        words = f"the BMC says {str(said)[:20]}"
        return Seen(_STATES.get(said if isinstance(said, str) else "", State.UNKNOWN), words)

    def on(self, within: float) -> None:
        """Reset to On."""
        self._reset(_ON, within)

    def off(self, within: float) -> None:
        """GracefulShutdown, where the BMC has it; else its button."""
        self._reset(_OFF, within)

    def cut(self, within: float) -> None:
        """ForceOff."""
        self._reset(_CUT, within)

    def _system(self, within: float) -> dict[str, Any]:
        if self._path is None:
            root = self._web.get_json(urljoin(self._url, ROOT), within)
            listed = self._web.get_json(self._link(root.get("Systems"), "Systems"), within)
            self._path = self._choose(listed.get("Members"))
        return self._web.get_json(urljoin(self._url, self._path), within)

    def _choose(self, members: Any) -> str:
        paths = [path_of(member) for member in members] if isinstance(members, list) else []
        known = [path for path in paths if path is not None]
        if self._wanted is not None:
            known = [path for path in known if path.rstrip("/").rpartition("/")[2] == self._wanted]
        if len(known) == 1:
            return known[0]
        names = ", ".join((path or "").rstrip("/").rpartition("/")[2] for path in paths[:8])
        what = "no system" if not known else f"{len(known)} systems"
        raise PowerTrouble(f"has {what} that could be meant ({names})", hint="name one: `power: {system: ID}`")

    def _link(self, link: Any, what: str) -> str:
        path = path_of(link)
        if path is None:
            raise PowerTrouble(f"is no Redfish service: it names no {what}")
        return urljoin(self._url, path)

    def _reset(self, ways: Sequence[str], within: float) -> None:
        target, way = reset_of(self._system(within), ways)
        body = json.dumps({"ResetType": way}).encode()
        headers = {"Content-Type": "application/json"}
        self._web.request("POST", urljoin(self._url, target), within, content=body, headers=headers)


def path_of(link: Any) -> str | None:
    """The path of a link (``{"@odata.id": "/redfish/v1/Systems"}``); None unless it stays on its own server."""
    path = link.get("@odata.id") if isinstance(link, dict) else None
    good = isinstance(path, str) and path.startswith("/") and not path.startswith("//") and path.isprintable()
    return path if good else None


def reset_of(system: dict[str, Any], ways: Sequence[str]) -> tuple[str, str]:
    """Where to post a reset, and the first of ``ways`` that the system takes; raises PowerTrouble."""
    actions = system.get("Actions")
    reset = actions.get("#ComputerSystem.Reset") if isinstance(actions, dict) else None
    if not isinstance(reset, dict):
        raise PowerTrouble("offers no way to switch that system")
    target = path_of({"@odata.id": reset.get("target")})
    if target is None:
        raise PowerTrouble("names no place to post a reset to")
    allowed = reset.get("ResetType@Redfish.AllowableValues")
    if not isinstance(allowed, list):
        return target, ways[0]
    for way in ways:
        if way in allowed:
            return target, way
    raise PowerTrouble(f"takes none of {', '.join(ways)}")
