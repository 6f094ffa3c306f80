"""Which loader machines with UEFI get, and whether it can boot them where Secure Boot is on.

No machine says whether its Secure Boot is on. What can be seen is a firmware that was told what to load and never came
further, which has other causes as well.
"""

from __future__ import annotations

import time
from pathlib import Path

from nodisk.assets import built, signature
from nodisk.assets.store import Store
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.errors import NodiskError
from nodisk.records.database import Database
from nodisk.records.events import Kind, fetched_nothing
from nodisk.spec.model import DhcpMode, Firmware, Lab, Machine
from nodisk.state import LabState

NAME = "loaders"
_DOCS = "docs/how-to/secure-boot.md"


def loaders(lab: Lab, state: LabState, *, virtual: bool) -> list[Finding]:
    """What lab.yaml says, whether the built kernel is signed, and which machines look refused."""
    return [*_wanted(lab, virtual=virtual), *_by_http(lab, virtual=virtual), *_kernel(lab, state), *stuck(lab, state)]


def _wanted(lab: Lab, *, virtual: bool) -> list[Finding]:
    plain = [str(machine.name) for machine in lab.machines if not lab.signed_loader(machine)]
    refused = [machine for machine in lab.machines if lab.firmware(machine).signed_only]
    refused = [machine for machine in refused if not lab.signed_loader(machine)]
    if virtual and refused:
        names = ", ".join(str(machine.name) for machine in refused)
        text = f"the virtual firmware is {_named(lab, refused)}, which refuses iPXE, and {names} would get it"
        return [error(NAME, text, "add `secure_boot: true` to lab.yaml")]
    if not lab.any_signed_loader:
        return [ok(NAME, "UEFI machines get iPXE, which firmware with Secure Boot on refuses; see secure_boot")]
    if lab.network.dhcp is DhcpMode.NONE:
        text = "with `dhcp: none` the room's own server must give UEFI machines shimx64.efi, from this server's TFTP"
        return [warning(NAME, text, "paste what `nodisk dhcp-snippet` prints")]
    who = "every machine but " + ", ".join(plain) if plain else "every machine"
    return [ok(NAME, f"shim and GRUB, signed, for {who} that boots by UEFI; they boot it with Secure Boot on or off")]


def _by_http(lab: Lab, *, virtual: bool) -> list[Finding]:
    """Firmware that boots by HTTP, beside a room's own server: dnsmasq's proxyDHCP answers PXE clients alone."""
    if lab.network.dhcp is not DhcpMode.PROXY:
        return []
    machines = [machine for machine in lab.machines if lab.firmware(machine).by_http]
    if virtual and machines:
        names = ", ".join(str(machine.name) for machine in machines)
        text = f"with `dhcp: proxy` firmware that boots by HTTP ({_named(lab, machines)}) gets no answer: {names}"
        pxe = "firmware: uefi or secure-boot, which boot by PXE"
        return [error(NAME, text, f"{pxe}; or `dhcp: none`, with nodisk dhcp-snippet")]
    return [ok(NAME, "with `dhcp: proxy` UEFI must boot by PXE: firmware set to HTTP boot alone gets no answer")]


def _named(lab: Lab, machines: list[Machine]) -> str:
    """The firmware of these machines, each kind once, in the model's order."""
    kinds = {lab.firmware(machine) for machine in machines}
    return " or ".join(str(one) for one in Firmware if one in kinds)


def _kernel(lab: Lab, state: LabState) -> list[Finding]:
    if not lab.any_signed_loader:
        return []
    try:
        kernel = Store(state.state).path(built.manifests(state.state, lab)["image"].file("vmlinuz"))
    except NodiskError:
        return []  # not built: others say so
    return [kernel_finding(kernel)]


def kernel_finding(kernel: Path) -> Finding:
    """Whether shim can take a kernel: shim trusts what Debian's key signed."""
    hint = "nodisk build --refresh; Debian signs its own kernels only"
    try:
        names = signature.signers(kernel)
    except (ValueError, OSError) as problem:
        return error(NAME, f"the image's kernel can't be read: {problem}", hint)
    if any("Debian Secure Boot" in name for name in names):
        return ok(NAME, f"the image's kernel is signed ({', '.join(names)})")
    text = f"the image's kernel is signed by {', '.join(names) or 'nobody'}: with Secure Boot on, shim refuses it"
    return error(NAME, text, hint)


def stuck(lab: Lab, state: LabState, now: float | None = None) -> list[Finding]:
    """Machines that got an address and then fetched nothing, by what stands in the way."""
    if not state.database.exists():
        return []
    found, now = dict[str, list[str]](), time.time() if now is None else now
    with Database(state.database, reading=True) as database:
        for machine in lab.machines:
            if why := fetched_nothing(database.events(mac=machine.mac, kinds=(Kind.STAGE,), limit=500), now):
                found.setdefault(why, []).append(str(machine.name))
    hint = f"look at the machine's screen, and at this host's firewall ({_DOCS})"
    return [warning(NAME, f"{', '.join(names)}: {why}", hint) for why, names in found.items()]
