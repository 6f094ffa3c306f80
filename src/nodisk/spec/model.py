"""The model of lab.yaml. Field descriptions here become the JSON Schema and the reference.

Everything is frozen. Rules between fields (ranges, duplicates, roles) are in ``spec.rules``; ``spec.load`` reads the
file and points at its lines.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import Field

from nodisk import ports
from nodisk.spec.model_addons import Addon
from nodisk.spec.model_backup import Backup
from nodisk.spec.model_class_registry import ClassRegistry
from nodisk.spec.model_kubernetes import Engine, Isolation, Kubernetes, PodNetwork, Policies
from nodisk.spec.model_menu import Menu, MenuChoice
from nodisk.spec.model_os import Os
from nodisk.spec.model_peers import PeersOrOff
from nodisk.spec.model_power import PowerKind, PowerSettings
from nodisk.spec.model_timetable import Timetable
from nodisk.spec.once import once
from nodisk.spec.section import Section
from nodisk.values import Mac, Name, Role, Seat, Size


class DhcpMode(StrEnum):
    """Who gives the machines their addresses."""

    FULL = "full"  # nodisk's dnsmasq is the segment's only DHCP server
    PROXY = "proxy"  # the room has its own; nodisk adds only what to boot (proxyDHCP)
    NONE = "none"  # the room's own server or iPXE menu chains to http://SERVER/boot.ipxe


class Nic(StrEnum):
    """A kind of NIC that QEMU has, by QEMU's own name."""

    VIRTIO = "virtio-net-pci"
    E1000 = "e1000"
    E1000E = "e1000e"
    IGB = "igb"
    RTL8139 = "rtl8139"
    VMXNET3 = "vmxnet3"
    PCNET = "pcnet"
    TULIP = "tulip"
    USB_NET = "usb-net"


class TaintEffect(StrEnum):
    """What a taint does to pods that don't tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Network(Section):
    """The segment that the server and all machines are on."""

    subnet: IPv4Network
    """The segment's addresses, such as 10.77.0.0/24."""
    server: IPv4Address
    """The server's address on it; the cluster's API is always there, on port 6443."""
    interface: str | None = None
    """The server's network interface on that segment; found by its address if absent. A virtual lab creates its own."""
    gateway: IPv4Address | None = None
    """The machines' default route; absent: the room has no route to other networks."""
    dns: tuple[IPv4Address, ...] = ()
    """At most three DNS servers to forward to; absent: the server answers only for the lab's own names."""
    dhcp: DhcpMode = DhcpMode.FULL
    """Who gives addresses: `full` (nodisk), `proxy` (the room's own DHCP, nodisk adds the boot file), `none` (the
    room's own, which also says what to boot). With the last two, that server must give every machine its `address`."""


class Taint(Section):
    """A taint of a node."""

    key: str
    """Such as example.org/gpu."""
    value: str = ""
    """May be empty."""
    effect: TaintEffect
    """NoSchedule, PreferNoSchedule or NoExecute."""


class RoleSettings(Section):
    """What all machines of one role have in common."""

    butane: str | None = None
    """A Butane snippet that is merged into the Ignition of every machine of this role."""
    menu: MenuChoice = MenuChoice()
    """What these machines start by themselves, and when."""


class Firmware(StrEnum):
    """What a virtual machine boots with."""

    BIOS = "bios"
    UEFI = "uefi"
    UEFI_HTTP = "uefi-http"
    SECURE_BOOT = "secure-boot"
    SECURE_BOOT_HTTP = "secure-boot-http"

    @property
    def by_http(self) -> bool:
        """Whether it asks for HTTP boot, and not for PXE."""
        return self in (Firmware.UEFI_HTTP, Firmware.SECURE_BOOT_HTTP)

    @property
    def signed_only(self) -> bool:
        """Whether its Secure Boot is on: it runs nothing that Microsoft's keys don't vouch for."""
        return self in (Firmware.SECURE_BOOT, Firmware.SECURE_BOOT_HTTP)


class Machine(Section):
    """One PC of the room."""

    name: Name
    """Its host name and its node's name. A number alone is allowed, but most programs take it for an address: reach
    such a machine by `nodisk ssh`, or as NAME.LAB.internal."""
    mac: Mac
    """The MAC address of the NIC that it boots from, in any usual spelling: 8c:ec:4b:00:00:05,
    8C-EC-4B-00-00-05, 8cec.4b00.0005, 8cec4b000005, also with DHCP's 01- before it."""
    address: IPv4Address
    """Its fixed address in the subnet."""
    role: Role = Role.WORKER
    """`control-plane` or `worker`."""
    seat: Seat | None = None
    """Where it stands: row and place in the row, each from 1. In `{…}` it needs quotes: `seat: "2,3"`."""
    memory: Size | None = None
    """Its RAM, for the RAM budget of `nodisk check`; of a virtual machine also what it gets."""
    secure_boot: bool | None = None
    """What it is given by UEFI, where that is to differ from the lab's `secure_boot`."""
    cpus: Annotated[int, Field(ge=1, le=512)] = 2
    """Processors of a virtual machine."""
    firmware: Firmware | None = None
    """What a virtual machine boots with, where that is to differ from `virtual.firmware`."""
    nic_model: Nic = Nic.VIRTIO
    """The NIC of a virtual machine, by QEMU's name. All but `virtio-net-pci` and `vmxnet3` need `os.kernel: generic`;
    `igb` needs QEMU 8, and can't boot from the network by itself."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of its node; the server reconciles them on existing nodes, too."""
    taints: tuple[Taint, ...] = ()
    """Taints of its node; reconciled in the same way."""
    butane: str | None = None
    """A Butane snippet that is merged into this machine's Ignition."""
    power: PowerSettings = PowerSettings(kind=PowerKind.WAKE_ON_LAN)
    """How it is switched on and off; absent: on by Wake-on-LAN, off by its own Linux."""
    menu: MenuChoice = MenuChoice()
    """What it starts by itself, and when."""


class Listen(StrEnum):
    """Who can reach the console."""

    LOOPBACK = "loopback"
    LAB = "lab"


class Console(Section):
    """The room's pages in a browser. `nodisk console` prints a link to sign in."""

    listen: Listen = Listen.LOOPBACK
    """`loopback` (browsers on the server itself) or `lab` (everybody on the segment, at the server's address)."""
    port: Annotated[int, Field(ge=1024, le=65535)] = ports.CONSOLE
    """Its TCP port, for HTTPS."""


class Virtual(Section):
    """Settings for a virtual lab only; a real room ignores them."""

    firmware: Firmware = Firmware.BIOS
    """`bios` (SeaBIOS), `uefi` (OVMF, which boots by PXE), `uefi-http` (OVMF, which boots by HTTP), `secure-boot`
    (OVMF with Secure Boot on and Microsoft's keys, which boots by PXE) or `secure-boot-http` (the same, by HTTP)."""
    cpu: str | None = None
    """QEMU's CPU model; absent: the host's with KVM, the fastest known with TCG."""


class Lab(Section):
    """The room: one server and its machines."""

    name: Name
    """The lab's name; it also names the cluster."""
    network: Network
    """The segment."""
    kubernetes: Kubernetes = Kubernetes()
    """The release."""
    os: Os = Os()
    """The machines' Linux."""
    ssh_keys: tuple[str, ...] = ()
    """Public keys that may log in as `admin` on every machine."""
    secure_boot: bool = False
    """`true` where the PCs' firmware has Secure Boot on: by UEFI they then get Debian's signed loaders (shim and GRUB)
    instead of iPXE, which nobody has signed. Those loaders run with Secure Boot off as well."""
    butane: str | None = None
    """A Butane snippet that is merged into every machine's Ignition."""
    menu: Menu = Menu()
    """What a machine shows before it boots."""
    roles: dict[Role, RoleSettings] = Field(default_factory=dict)
    """Settings by role."""
    machines: Annotated[tuple[Machine, ...], Field(min_length=1)]
    """The PCs."""
    timetable: Timetable | None = None
    """The lessons; absent: nobody switches the room but you."""
    console: Console = Console()
    """The room's pages in a browser."""
    virtual: Virtual = Virtual()
    """Settings of the virtual lab."""
    addons: tuple[Addon, ...] = ()
    """What the cluster always has beside Kubernetes itself: objects from manifests of yours. `nodisk serve` applies
    them when the API first answers, in this order, and removes the objects of those that are no longer here."""
    backup: Backup | None = None
    """Backups of the room; absent: only those that are asked for by command."""
    class_registry: ClassRegistry | None = None
    """A registry for students' own images: docs/how-to/class-registry.md. Absent: there is none."""
    peers: PeersOrOff = None
    """Machines that boot give parts of the image to each other; absent or `off`: all of it comes from the server.
    Experimental: see docs/explanation/peers.md. The image is another one then: `nodisk build`."""

    @property
    def layers_between_machines(self) -> bool:
        """Whether machines give each other layers of container images."""
        return self.has_cluster and self.peers is not None and self.peers.layers

    def gives_layers(self, machine: Machine) -> bool:
        """Whether a machine takes layers from others, too, and gives them on: workers, for a control plane's own images
        are what everybody else's boot waits for."""
        return self.layers_between_machines and machine.role is Role.WORKER

    @property
    def server_enforces(self) -> bool:
        """Whether machines enforce NetworkPolicies by rules from the server."""
        kube = self.kubernetes
        by_default = kube.network is PodNetwork.ROUTED and kube.policies_manifest is None
        asked = by_default if kube.policies is None else kube.policies is Policies.SERVER
        return self.has_cluster and asked

    @property
    def isolates_names(self) -> bool:
        """Whether a class's pods resolve no other class's names, nor another student's."""
        return self.has_cluster and self.kubernetes.isolation is Isolation.NAMES

    @property
    def has_cluster(self) -> bool:
        """Whether nodisk makes a cluster of the machines; otherwise they are plain Debian."""
        return self.kubernetes.engine is not Engine.NONE

    @property
    def console_address(self) -> IPv4Address:
        """Where the console listens."""
        return self.network.server if self.console.listen is Listen.LAB else IPv4Address("127.0.0.1")

    @property
    def console_url(self) -> str:
        """Where browsers reach the console of a room (a virtual lab's is forwarded)."""
        return f"https://{self.console_address}:{self.console.port}"

    def machine(self, name: str) -> Machine | None:
        """The machine of that name."""
        return next((machine for machine in self.machines if str(machine.name) == name), None)

    def by_mac(self, mac: Mac) -> Machine | None:
        """The machine with that MAC."""
        return _by_mac(self).get(mac)

    def by_address(self, address: IPv4Address) -> Machine | None:
        """The machine with that address."""
        return _by_address(self).get(address)

    def signed_loader(self, machine: Machine | None) -> bool:
        """Whether a machine gets shim and GRUB where it boots by UEFI; None: one that lab.yaml doesn't know."""
        own = machine.secure_boot if machine is not None else None
        return self.secure_boot if own is None else own

    def firmware(self, machine: Machine) -> Firmware:
        """What a virtual machine boots with."""
        return machine.firmware or self.virtual.firmware

    @property
    def any_signed_loader(self) -> bool:
        """Whether any machine gets them."""
        return self.secure_boot or any(machine.secure_boot for machine in self.machines)

    def by_role(self, role: Role) -> tuple[Machine, ...]:
        """The machines of one role, in the file's order."""
        return tuple(machine for machine in self.machines if machine.role is role)


@once
def _by_mac(lab: Lab) -> dict[Mac, Machine]:
    return {machine.mac: machine for machine in reversed(lab.machines)}


@once
def _by_address(lab: Lab) -> dict[IPv4Address, Machine]:
    return {machine.address: machine for machine in reversed(lab.machines)}


@once
def macs(lab: Lab) -> frozenset[Mac]:
    """The MACs of all machines."""
    return frozenset(machine.mac for machine in lab.machines)
