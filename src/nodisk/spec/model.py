"""The model of lab.yaml. Field descriptions here become the JSON Schema and the reference.

Everything is frozen. Rules between fields (ranges, duplicates, roles) are in ``spec.rules``; ``spec.load`` reads the
file and points at its lines.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from nodisk import ports
from nodisk.spec.lessons import DaysOff, Lead, Lesson, Zone
from nodisk.values import KubeVersion, Mac, Name, Role, Seat, Size


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, data: Any) -> Any:
        """A key without a value (``packages:`` with every line below commented out) is treated as absent."""
        if not isinstance(data, dict):
            return data
        known = keys(cls)
        return {key: value for key, value in data.items() if value is not None or key not in known}


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a section as lab.yaml has them; one that is a word of Python has another name in the model."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


class DhcpMode(StrEnum):
    """Who gives the machines their addresses."""

    FULL = "full"  # nodisk's dnsmasq is the segment's only DHCP server
    PROXY = "proxy"  # the room has its own; nodisk adds only what to boot (proxyDHCP)
    NONE = "none"  # the room's own server or iPXE menu chains to http://SERVER/boot.ipxe


class Engine(StrEnum):
    """What makes a cluster of the machines."""

    KUBEADM = "kubeadm"  # Kubernetes, by nodisk
    NONE = "none"  # nobody: plain Debian with SSH


class Source(StrEnum):
    """Where a release of Kubernetes comes from."""

    AUTO = "auto"
    UPSTREAM = "upstream"
    DEBIAN = "debian"
    PATH = "path"


class PodNetwork(StrEnum):
    """How pods on different machines reach each other."""

    ROUTED = "routed"
    FLANNEL = "flannel"
    CALICO = "calico"
    CILIUM = "cilium"


class Policies(StrEnum):
    """Who enforces NetworkPolicies where the pods' network doesn't."""

    CONTROLLER = "controller"  # kube-network-policies, with an official release; with Debian's nobody
    SERVER = "server"  # each machine, by rules that the server compiles


class ImageKind(StrEnum):
    """Which Linux the machines boot."""

    DEBIAN = "debian"
    FLATCAR = "flatcar"
    FEDORA_COREOS = "fedora-coreos"


class Suite(StrEnum):
    """Which Debian the node image is made of."""

    BOOKWORM = "bookworm"
    TRIXIE = "trixie"
    FORKY = "forky"
    SID = "sid"


class Kernel(StrEnum):
    """Which of Debian's kernels: `generic` has drivers for real PCs; `cloud` is smaller, for virtual machines only."""

    GENERIC = "generic"
    CLOUD = "cloud"


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


class Network(_Section):
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


class NetworkManifest(_Section):
    """A manifest of your own."""

    path: Path
    """A YAML file."""
    sha256: str
    """Its hash, as `sha256sum` prints it: any file other than the one you reviewed is refused."""


class Kubernetes(_Section):
    """The release of Kubernetes and the cluster's inner networks."""

    engine: Engine = Engine.KUBEADM
    """`kubeadm`: nodisk makes a Kubernetes cluster of the machines. `none`: they boot plain Debian with SSH and Python,
    for whatever you install on them; every other setting of this section is then refused."""
    source: Source = Source.AUTO
    """`upstream` (official binaries), `debian` (1.20.2, built from Debian's source; for tests), `path` (a folder of
    yours), `auto` (upstream where it can be reached, else debian)."""
    version: KubeVersion | None = None
    """Such as 1.36.1; absent: the newest patch of 1.36, the newest line that nodisk has been proved with. Up to 1.37
    if requested."""
    path: Path | None = None
    """For `source: path`: a folder with bin/ and images/."""
    pods: IPv4Network = IPv4Network("10.244.0.0/16")
    """Addresses for pods; every machine gets a /24 of it."""
    services: IPv4Network = IPv4Network("10.96.0.0/16")
    """Addresses for Services."""
    network: PodNetwork = PodNetwork.ROUTED
    """How pods reach each other: `routed` needs no daemon where all machines are on one segment; `flannel` and
    `calico` by the manifest that their project publishes, of a version pinned by its hash; `cilium` publishes none
    and needs a `network_manifest`."""
    network_manifest: NetworkManifest | None = None
    """A manifest of your own for `flannel`, `calico` or `cilium`, instead of the pinned one."""
    policies: Policies = Policies.CONTROLLER
    """Who enforces NetworkPolicies with `routed` and `flannel`: `controller` is kube-network-policies, which only the
    official releases get; `server` (with `routed`, every release): the server compiles them, and the machines apply
    them."""
    policies_manifest: NetworkManifest | None = None
    """A manifest of your own for the controller that enforces NetworkPolicies with `routed` and `flannel`, instead of
    the pinned one, which only the official releases get."""


class Os(_Section):
    """What the machines boot."""

    image: ImageKind = ImageKind.DEBIAN
    """`debian` (built by nodisk). `flatcar` and `fedora-coreos` are recognised and refused: nodisk can't boot them."""
    suite: Suite | None = None
    """Debian's suite; absent: chosen for the release (containerd 2 is needed from Kubernetes 1.37)."""
    kernel: Kernel = Kernel.GENERIC
    """`generic` for real PCs, `cloud` (smaller) for virtual machines."""
    packages: tuple[str, ...] = ()
    """More Debian packages to put into the image."""
    firmware: tuple[str, ...] = ()
    """Debian packages with firmware that the room's NICs need, such as firmware-realtek."""
    mirror: str | None = None
    """A Debian mirror's URL; absent: the one in this host's own apt configuration."""


class Taint(_Section):
    """A taint of a node."""

    key: str
    """Such as example.org/gpu."""
    value: str = ""
    """May be empty."""
    effect: TaintEffect
    """NoSchedule, PreferNoSchedule or NoExecute."""


class MenuChoice(_Section):
    """What a role or a machine has otherwise than the lab's `menu`."""

    default: str | None = None
    """The entry that starts by itself."""
    timeout: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Seconds for which the menu waits for a key; 0: no menu."""


class MenuEntry(_Section):
    """Another system of the room."""

    name: Name
    """Its name for `default` and `nodisk next-boot`."""
    title: str | None = None
    """The line in the menu, in plain ASCII; absent: its name."""
    url: str | None = None
    """What to chain to: an iPXE script or a program that iPXE starts. GRUB, with Secure Boot, takes only a signed
    `.efi` from http or tftp."""
    kernel: str | None = None
    """Instead of `url`: the URL of a Linux kernel. With Secure Boot it must be signed, and come by http or tftp."""
    initrd: str | None = None
    """With `kernel`: the URL of its initramfs."""
    arguments: str = ""
    """With `kernel`: its command line. Everybody on the wire can read it."""
    password: bool = False
    """`true`: asks for the menu's password (`nodisk menu password`). GRUB's menu leaves such an entry out."""


class Menu(_Section):
    """What a machine shows before it boots: the lab, its disk, `entries`, a shell (by password), reboot, power off."""

    default: str = "lab"
    """The entry that starts by itself: `lab`, `disk` or the name of one of `entries` that asks for no password."""
    timeout: Annotated[int, Field(ge=0, le=3600)] = 0
    """Seconds for which the menu waits for a key; 0: no menu, `default` starts at once."""
    entries: tuple[MenuEntry, ...] = ()
    """More systems."""


class RoleSettings(_Section):
    """What all machines of one role have in common."""

    butane: str | None = None
    """A Butane snippet that is merged into the Ignition of every machine of this role."""
    menu: MenuChoice = MenuChoice()
    """What these machines start by themselves, and when."""


class PowerKind(StrEnum):
    """How a machine is switched on and off."""

    WAKE_ON_LAN = "wake-on-lan"  # on by its NIC, off by its own Linux
    IPMI = "ipmi"
    REDFISH = "redfish"
    AMT = "amt"  # Intel's, by WS-Management
    PLUG = "plug"  # a socket that takes requests over HTTP


class PowerSettings(_Section):
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


class Firmware(StrEnum):
    """What a virtual machine boots with."""

    BIOS = "bios"
    UEFI = "uefi"
    UEFI_HTTP = "uefi-http"
    SECURE_BOOT = "secure-boot"


class Machine(_Section):
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
    `igb` needs QEMU 8."""
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


Number = Annotated[int, Field(ge=0, le=1000)]


class Keep(_Section):
    """How many backups `nodisk backup prune` keeps: the newest ones, and the last one of each period."""

    last: Number = 3
    """The newest, however old."""
    daily: Number = 7
    """One for each of so many days."""
    weekly: Number = 5
    """One for each of so many weeks."""
    monthly: Number = 12
    """One for each of so many months."""


class Backup(_Section):
    """Where backups of the room go. `nodisk backup` makes, lists, proves and restores them."""

    target: str
    """A folder, `ssh://USER@HOST/PATH` or `s3://HOST/BUCKET/PATH`; best on another host or disk."""
    password_file: Path | None = None
    """The file with the password that encrypts them; absent: nodisk makes one in the state directory. Keep a copy of
    it elsewhere: without it nobody can read a backup."""
    keep: Keep = Keep()
    """Which backups are kept."""
    schedule: str | None = None
    """When `nodisk serve` makes one and prunes, as systemd.time(7) writes calendar events: `daily`, `Mon..Fri 18:00`.
    Absent: only by command."""


class Listen(StrEnum):
    """Who can reach the console."""

    LOOPBACK = "loopback"
    LAB = "lab"


class Console(_Section):
    """The room's pages in a browser. `nodisk console` prints a link to sign in."""

    listen: Listen = Listen.LOOPBACK
    """`loopback` (browsers on the server itself) or `lab` (everybody on the segment, at the server's address)."""
    port: Annotated[int, Field(ge=1024, le=65535)] = ports.CONSOLE
    """Its TCP port, for HTTPS."""


class Virtual(_Section):
    """Settings for a virtual lab only; a real room ignores them."""

    firmware: Firmware = Firmware.BIOS
    """`bios` (SeaBIOS), `uefi` (OVMF, which boots by PXE), `uefi-http` (OVMF, which boots by HTTP) or `secure-boot`
    (OVMF with Secure Boot on and Microsoft's keys, which boots by PXE)."""
    cpu: str | None = None
    """QEMU's CPU model; absent: the host's with KVM, the fastest known with TCG."""


class Outside(StrEnum):
    """What a machine boots outside of lessons."""

    DISK = "disk"
    LAB = "lab"


class Timetable(_Section):
    """The lessons: `nodisk serve` switches the room on before each and off after it. At least one pause of the week
    must be longer than twice the `lead`."""

    lessons: tuple[Lesson, ...]
    """One a line, by the clock on the wall, every week: `mon 10:15-12:00`, `mon,wed 8:00-9:30`, `tue-fri 14:00-15:30`.
    An end before the begin is on the next day: `fri 22:00-01:00`."""
    except_: Annotated[tuple[DaysOff, ...], Field(alias="except")] = ()
    """Days without lessons: `2026-11-11`, or the first and the last, `2026-12-21..2027-01-06`. A lesson over midnight
    belongs to the day on which it begins."""
    timezone: Zone | None = None
    """The lessons' time zone by its IANA name, such as Europe/Warsaw; absent: the server's."""
    lead: Lead = Lead(15)
    """How long before a lesson the room is switched on, at most `2h`. A break of up to twice as long is no reason to
    switch it off."""
    outside: Outside = Outside.DISK
    """What a machine of lab.yaml boots that is switched on while the room is off and the lab is not armed: `disk` (its
    own) or `lab` (Linux in RAM, which can't join)."""


class Lab(_Section):
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
    backup: Backup | None = None
    """Backups of the room; absent: only those that are asked for by command."""

    @property
    def server_enforces(self) -> bool:
        """Whether machines enforce NetworkPolicies by rules from the server."""
        return self.has_cluster and self.kubernetes.policies is Policies.SERVER

    @property
    def has_cluster(self) -> bool:
        """Whether nodisk makes a cluster of the machines; otherwise they are plain Debian."""
        return self.kubernetes.engine is not Engine.NONE

    @property
    def console_address(self) -> IPv4Address:
        """Where the console listens."""
        return self.network.server if self.console.listen is Listen.LAB else IPv4Address("127.0.0.1")

    def machine(self, name: str) -> Machine | None:
        """The machine of that name."""
        return next((machine for machine in self.machines if str(machine.name) == name), None)

    def by_mac(self, mac: Mac) -> Machine | None:
        """The machine with that MAC."""
        return next((machine for machine in self.machines if machine.mac == mac), None)

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
