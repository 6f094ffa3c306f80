"""What the daemons' logs tell of machines, recorded: who asked by DHCP, and what each loads."""

from __future__ import annotations

from dataclasses import dataclass

from nodisk.records.events import Kind
from nodisk.server import logs
from nodisk.server.handlers.common import AppState
from nodisk.spec.model import macs
from nodisk.values import Stage


@dataclass(slots=True)
class LogRecords:
    """Turns the daemons' log lines into records."""

    app_state: AppState
    _dhcp: logs.DhcpLog

    def __init__(self, app_state: AppState) -> None:
        self.app_state = app_state
        self._dhcp = logs.DhcpLog()

    def dnsmasq(self, line: str) -> None:
        """Process a line of dnsmasq's log."""
        lease = self._dhcp.read(line)
        if lease is None:
            return
        machine = self.app_state.machine(lease.mac)
        if machine is not None:
            if not self.app_state.limits.sighting(lease.mac, Stage.DHCP):
                return
            self.app_state.database.record(
                Kind.STAGE, lease.by, source="dnsmasq", mac=lease.mac, machine=str(machine.name), stage=Stage.DHCP
            )
        elif self.app_state.limits.unknown(lease.mac):
            known = macs(self.app_state.texts.lab)
            self.app_state.database.sightings.see(lease.mac, address=lease.address, known=known)
            self.app_state.database.record(Kind.UNKNOWN, f"{lease.by} asks by DHCP", source="dnsmasq", mac=lease.mac)

    def nginx(self, line: str) -> None:
        """Process a line of nginx' access log."""
        fetch = logs.fetch(line)
        if fetch is None:
            return
        if (machine := self.app_state.texts.lab.by_address(fetch.address)) is not None:
            self.app_state.database.add_traffic(machine.mac, fetch.what, fetch.bytes)
