"""lab.yaml's model: how machines are switched."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated

from pydantic import Field

from nodisk.spec.section import Section


class PowerKind(StrEnum):
    """How a machine is switched on and off."""

    WAKE_ON_LAN = "wake-on-lan"  # on by its NIC, off by its own Linux
    IPMI = "ipmi"
    REDFISH = "redfish"
    AMT = "amt"  # Intel's, by WS-Management
    PLUG = "plug"  # a socket that takes requests over HTTP


class PowerSettings(Section):
    """How a machine is switched on and off. Passwords are not here: `nodisk power login NAME` keeps them."""

    kind: PowerKind
    """`wake-on-lan`, `ipmi`, `redfish`, `amt` (Intel AMT) or `plug` (a smart plug with an HTTP interface)."""
    address: IPv4Address | None = None
    """`ipmi`: the BMC's address."""
    port: Annotated[int, Field(ge=1, le=65535)] = 623
    """`ipmi`: its UDP port."""
    url: str | None = None
    """`redfish` and `amt`: where it answers, such as https://10.77.1.5, https://10.77.0.12:16993 or, for AMT without
    TLS, http://10.77.0.12:16992."""
    user: str | None = None
    """The account to log in with; a plug may need none."""
    system: str | None = None
    """`redfish`: the Id of the system to switch, for a BMC that has more than one."""
    certificate: Path | None = None
    """With an https URL: a PEM file with the very certificate that the other side shows, whatever name is in it.
    Absent, and `ca` too: it must be signed by an authority of this host's trust store."""
    ca: Path | None = None
    """With an https URL: a PEM file with the authority that signed its certificate."""
    on_url: str | None = None
    """`plug`: a GET of it switches on, such as http://10.77.0.60/relay/0?turn=on."""
    off_url: str | None = None
    """`plug`: a GET of it switches off."""
    status_url: str | None = None
    """`plug`: a GET of it answers with JSON that says which it is, or with `on` or `off`."""
    status_key: str | None = None
    """`plug`: the key in that JSON; absent: `output`, `ison`, `POWER` and their like are known."""
