"""Snippets for DHCP servers that can't be run where nodisk is tested: Windows Server, RouterOS, OpenWrt.

Written from their vendors' documentation. OpenWrt's server is dnsmasq, whose lines are run, if not on a router.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodisk.plan.dhcp_answers import HTTP_CLIENT, IPXE_OPTION, Answer, Room

NO_EXCEPTIONS = ("windows", "mikrotik")
"""Servers whose snippet does not give single machines another program: how is not clear enough from their docs."""


def dnsmasq_lines(room: Room) -> Iterator[str]:
    """dnsmasq's own lines, for a dnsmasq anywhere. Tags are prefixed: the room's own may have the same words."""
    if room.answers:
        yield f"dhcp-match=set:nodisk-ipxe,{IPXE_OPTION}"
        yield f"dhcp-boot=tag:nodisk-ipxe,{room.script}"
    for mac in sorted({mac for answer in room.answers for mac in answer.only}):
        yield f"dhcp-mac=set:nodisk-exception,{mac}"
    for answer in room.answers:
        tag = f"nodisk-{answer.name}"
        whose = "tag:nodisk-exception," if answer.only else "tag:!nodisk-exception," if answer.but else ""
        yield from (f"dhcp-match=set:{tag},option:client-arch,{number}" for number in answer.architectures)
        server = "" if answer.http else f",,{room.server}"
        yield f"dhcp-boot=tag:!nodisk-ipxe,tag:{tag},{whose}{answer.file}{server}"
        if answer.http:
            yield f"dhcp-option-force=tag:!nodisk-ipxe,tag:{tag},60,{HTTP_CLIENT}"
    if room.reservations:
        yield from (f"dhcp-host={one.mac},{one.address},{one.name}." for one in room.lab.machines)


def _for_all(room: Room) -> Iterator[Answer]:
    """The answers that do not concern single machines only."""
    return (answer for answer in room.answers if not answer.only)


def windows(room: Room) -> Iterator[str]:
    """PowerShell for Windows Server's DHCP role (module DhcpServer: policies by vendor and user class).

    Policies know no option 175, but iPXE's user class (option 77). The first policy that matches gives an option.
    """
    scope = room.lab.network.subnet.network_address
    yield "# In PowerShell as an administrator. If a command says that its class or policy exists, it is there already."
    yield f"$scope = '{scope}'"
    if room.answers:
        yield "Add-DhcpServerv4Class -Name 'nodisk ipxe' -Type User -Data 'iPXE'"
        yield "Add-DhcpServerv4Policy -Name 'nodisk ipxe' -ScopeId $scope -Condition OR -UserClass EQ,'nodisk ipxe'"
        setting = "Set-DhcpServerv4OptionValue -ScopeId $scope -PolicyName 'nodisk ipxe'"
        yield f"{setting} -OptionId 67 -Value '{room.script}'"
    for answer in _for_all(room):
        name, kind = f"nodisk {answer.name}", HTTP_CLIENT if answer.http else "PXEClient"
        classes = [f"{name} {number}" for number in answer.architectures]
        for one, number in zip(classes, answer.architectures, strict=True):
            yield f"Add-DhcpServerv4Class -Name '{one}' -Type Vendor -Data '{kind}:Arch:{number:05}'"
        wanted = ",".join(f"'{one}*'" for one in classes)
        yield f"Add-DhcpServerv4Policy -Name '{name}' -ScopeId $scope -Condition OR -VendorClass EQ,{wanted}"
        setting = f"Set-DhcpServerv4OptionValue -ScopeId $scope -PolicyName '{name}'"
        if answer.http:
            yield f"{setting} -OptionId 60 -Value '{HTTP_CLIENT}'  # define option 60 (string) first if it is missing"
        else:
            yield f"{setting} -OptionId 66 -Value '{room.server}'"
        yield f"{setting} -OptionId 67 -Value '{answer.file}'"
    for machine in room.lab.machines if room.reservations else ():
        where = f"-IPAddress {machine.address} -ClientId {machine.mac.hyphened}"
        yield f"Add-DhcpServerv4Reservation -ScopeId $scope {where} -Name '{machine.name}'"


def mikrotik(room: Room) -> Iterator[str]:
    """RouterOS 7 (`/ip dhcp-server matcher`): options by what the client's option 60 begins with, iPXE's by 77."""
    yield "# In a terminal of RouterOS 7. Put the name of your DHCP server and of its pool in the first two lines."
    yield ':global nodiskServer "SERVER"'
    yield ':global nodiskPool "POOL"'
    if room.answers:
        yield f"/ip dhcp-server network set [find address={room.lab.network.subnet}] next-server={room.server}"
        yield from _matcher("ipxe", room.script, 77, "iPXE")
    for answer in _for_all(room):
        kind = HTTP_CLIENT if answer.http else "PXEClient"
        for number in answer.architectures:
            also = HTTP_CLIENT if answer.http else ""
            yield from _matcher(f"{answer.name}-{number}", answer.file, 60, f"{kind}:Arch:{number:05}", option_60=also)
    for machine in room.lab.machines if room.reservations else ():
        where = f"address={machine.address} mac-address={str(machine.mac).upper()}"
        yield f"/ip dhcp-server lease add {where} server=$nodiskServer comment={machine.name}"


def _matcher(name: str, file: str, code: int, value: str, *, option_60: str = "") -> Iterator[str]:
    options = [f"nodisk-{name}"]
    yield f"/ip dhcp-server option add name=nodisk-{name} code=67 value=\"s'{file}'\""
    if option_60:
        options.append(f"nodisk-{name}-60")
        yield f"/ip dhcp-server option add name=nodisk-{name}-60 code=60 force=yes value=\"s'{option_60}'\""
    yield f"/ip dhcp-server option sets add name=nodisk-{name} options={','.join(options)}"
    yield (
        f"/ip dhcp-server matcher add name=nodisk-{name} server=$nodiskServer address-pool=$nodiskPool"
        f' code={code} value="{value}" matching-type=substring option-set=nodisk-{name}'
    )


def openwrt(room: Room) -> Iterator[str]:
    """OpenWrt reads /etc/dnsmasq.conf beside its own settings."""
    yield "# In a shell of the router:"
    yield "cat >> /etc/dnsmasq.conf <<'END'"
    yield from dnsmasq_lines(room)
    yield "END"
    yield "/etc/init.d/dnsmasq restart"
